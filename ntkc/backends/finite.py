"""Network -> the finite network in JAX: `init` and `apply`."""

from collections.abc import Iterator
from functools import cache

import sympy as sp

from ntkc.backends.present import Present
from ntkc.backends.printer import text
from ntkc.ir.network import (
    CarriedNode,
    CombineNode,
    ConcatNode,
    FinalNode,
    InputNode,
    ItemNode,
    JointNode,
    MapNode,
    MixingNode,
    Network,
    Node,
    NonlinearNode,
    PositionalNode,
    VectorNode,
    WeightedNode,
)
from ntkc.ir.readout import feeds_body, readout
from ntkc.ir.recursion import given_symbol
from ntkc.ir.sample import Sample


def forward(network: Network) -> Iterator[str]:
    """The lines of `_forward`, `init` and `apply`; loops run in Python, with fresh weights at each turn."""
    inputs = [(i, n) for i, n in enumerate(network.nodes) if isinstance(n, InputNode)]
    yield "\n\ndef _forward(weights, xs, params, outputs=1):"
    yield '    """The finite network; `weights(name, shape)` reads or makes an array."""'
    yield from (f'    {p.symbol.name} = params["{p.name}"]' for p in network.parameters)
    if (name := _of_default_width(network)) is not None:
        yield f"    weights.learn({name})"
    givens = [given_symbol(n.adjacency, "1").name[:-2] for _, n in inputs if n.adjacency]
    givens += [mask for i, _ in inputs if (mask := Present(network).of(i))]
    yield "    " + "".join(f"{name}, " for name in (*(f"v{i}" for i, _ in inputs), *givens)).rstrip() + " = xs"
    yield from (f"    v{i} = v{i}[..., None]  # a channel axis, as all values have one" for i, n in inputs if n.type.tokens)
    yield from _body(network, None, "    ")
    results = ", ".join(f'"{name}": v{node}' for name, node in network.outputs)
    yield f"    return _unwrap({{{results}}})"
    yield "\n\ndef init(key, widths=512, inputs=None, **params):"
    yield '    """Random weights as a dict of arrays; `widths` where a layer has none, `inputs` shapes where it says `_`."""'
    yield "    shapes = inputs or [shape for _, shape in INPUTS]"
    yield "    shapes = [shape if isinstance(shape, tuple) else (shape,) for shape in shapes]"
    yield "    if any(None in shape for shape in shapes):"
    yield '        raise ValueError("the size of an input is not in the file; give inputs=[shape]")'
    yield "    weights = _Weights({}, key, widths)"
    yield "    xs = [jnp.zeros((1, *s), int) if name in TOKENS else jnp.ones((1, *s)) for (name, _), s in zip(INPUTS, shapes)]"
    yield "    xs += [jnp.ones((1, shapes[i][0]) if k in MASKS else (1, shapes[i][0], shapes[i][0])) for k, i in GIVENS.items()]"
    yield "    _forward(weights, xs, _finite_parameters(params))"
    yield "    return weights.arrays"
    yield "\n\ndef apply(arrays, x, **params):"
    yield '    """The network at the rows of x, with weights from `init`."""'
    yield "    given, params = _split(params)"
    yield '    xs = _inputs("x", x, given)'
    yield "    return _else_nan(_forward(_Weights(arrays), xs, _finite_parameters(params)), _valid(xs, params))"


def _of_default_width(network: Network) -> str | None:
    """The array of some layer whose width is the default one."""
    last = last_layers(network)
    for index, node in enumerate(network.nodes):
        plain = isinstance(node, WeightedNode) and getattr(node.layer, "width", 0) is None and node.layer.gaussian
        if plain and index not in last and isinstance(node, WeightedNode):
            turns, place = 0, node.home
            while place is not None:
                turns, place = turns + 1, network.loops[place].parent
            return f'"{node.weight}{"[0]" * turns}/W"'
    return None


@cache
def last_layers(network: Network) -> frozenset[int]:
    """The layers whose channels are those of an output: all that it sums, unless the network goes on from one of them."""
    found = [readout(network, node) for _, node in network.outputs]
    between = frozenset(index for each in found for index in each.between)
    free = (r.layers for r in found if not r.others and not any(feeds_body(network, i, between) for i in r.layers))
    return frozenset(index for layers in free for index in layers)


def _body(network: Network, place: int | None, indent: str) -> Iterator[str]:
    opened: set[int] = set()
    for index, node in enumerate(network.nodes):
        inner = _child(network, node.origin.loop, place)
        if node.origin.loop == place and not isinstance(node, InputNode | ItemNode | CarriedNode):
            yield from _line(network, index, node, indent)
            yield from Present(network).line(index, indent)
        elif inner is not None and inner not in opened:
            opened.add(inner)
            yield from _loop(network, inner, indent)


def _child(network: Network, place: int | None, parent: int | None) -> int | None:
    """The loop directly inside `parent` that a place is in."""
    while place is not None and network.loops[place].parent != parent:
        place = network.loops[place].parent
    return place


def _loop(network: Network, index: int, indent: str) -> Iterator[str]:
    loop = network.loops[index]
    if loop.scan:
        yield from _scan(network, index, indent)
        return
    names = "".join(f"v{network.carried(index, slot)}, " for slot in range(len(loop.slots))).rstrip()
    if names:
        yield f"{indent}{names} = {''.join(f'v{slot.initial}, ' for slot in loop.slots).rstrip()}"
    yield f"{indent}for turn{index} in range({loop.count}):"
    yield from _body(network, index, indent + "    ")
    if names:
        yield f"{indent}    {names} = {''.join(f'v{slot.following}, ' for slot in loop.slots).rstrip()}"


def _scan(network: Network, index: int, indent: str) -> Iterator[str]:
    """Step after step; every step's states are kept."""
    loop = network.loops[index]
    items = [(i, n.operand) for i, n in enumerate(network.nodes) if isinstance(n, ItemNode) and n.loop == index]
    sequence = network.walked(index)[0]
    carried = [network.carried(index, slot) for slot in range(len(loop.slots))]
    for place, slot in zip(carried, loop.slots, strict=True):
        width = network.widths[slot.following] or "weights.width"
        yield f"{indent}v{place}, kept{place} = jnp.zeros((v{sequence}.shape[0], {width})), []"
    yield f"{indent}for turn{index} in range({loop.count}):"
    yield from (f"{indent}    v{item} = v{operand}[:, turn{index}]" for item, operand in items)
    yield from _body(network, index, indent + "    ")
    names = "".join(f"v{place}, " for place in carried).rstrip()
    yield f"{indent}    {names} = {''.join(f'v{slot.following}, ' for slot in loop.slots).rstrip()}"
    mask = Present(network).of(sequence)
    for place in carried:
        if mask:
            yield f"{indent}    v{place} = v{place} * {mask}[:, turn{index}, None]"
        yield f"{indent}    kept{place}.append(v{place})"


def _line(network: Network, index: int, node: Node, indent: str) -> Iterator[str]:
    match node:
        case WeightedNode(layer=layer, operand=operand) | MixingNode(layer=layer, operand=operand):
            sample = layer.sample()
            last = index in last_layers(network)
            function, name = sample.function.__name__, _weight_name(network, node)
            present = Present(network)
            more = present.attended(node) if isinstance(node, MixingNode) else ""
            read = present.read(index, operand)
            yield f"{indent}v{index} = {function}(weights, {name}, {read}, {_arguments(sample, last)}{more})"
        case VectorNode(layer=layer, like=like):
            sample = layer.sample()
            arguments = ", ".join(map(_value, sample.arguments))
            yield f"{indent}v{index} = {sample.function.__name__}(weights, {_weight_name(network, node)}, v{like}, {arguments})"
        case MapNode(layer=layer, operand=operand) | PositionalNode(layer=layer, operand=operand) | JointNode(layer, operand):
            sample = layer.sample()
            name, arguments = sample.function.__name__, "".join(f", {_value(a)}" for a in sample.arguments)
            present = Present(network)
            special = present.positional(index, node, name, arguments) if isinstance(node, PositionalNode) else None
            arguments += present.normed(node) if isinstance(node, MapNode) else ""
            yield f"{indent}v{index} = {special or f'{name}({present.read(index, operand)}{arguments})'}"
            if getattr(layer, "affine", False):
                name = _in_turn(network, f"gain{index}", node.origin.loop)
                yield f"{indent}v{index} = _affine(weights, {name}, v{index})"
        case ConcatNode(parts=parts):
            yield f"{indent}v{index} = jnp.concatenate([{', '.join(f'v{i}' for _, i in parts)}], -1)"
        case CombineNode(terms=()):
            first = next(i for i, n in enumerate(network.nodes) if isinstance(n, InputNode))
            yield f"{indent}v{index} = jnp.zeros((v{first}.shape[0], {network.widths[index] or 'weights.width'}))"
        case CombineNode(terms=terms):
            total = sp.Add(*(k * sp.Symbol(f"v{i}") for k, i in terms))
            yield f"{indent}v{index} = {text(total)}"
        case NonlinearNode(function=function, symbols=symbols, operands=operands):
            where = {s: sp.Symbol(f"v{i}", real=True) for s, i in zip(symbols, operands, strict=True)}
            yield f"{indent}v{index} = {text(function.subs(where))}"
        case FinalNode(loop=loop, slot=slot):
            place = network.carried(loop, slot)
            yield f"{indent}v{index} = " + (f"jnp.stack(kept{place}, 1)" if network.loops[loop].scan else f"v{place}")


def _arguments(sample: Sample, last: bool) -> str:
    """A layer's width is that of the file, else the output has `outputs` channels and the rest the default."""
    width, *rest = sample.arguments
    shown = "outputs" if last and width is None else _value(width)
    return ", ".join([shown, *map(_value, rest)])


def _value(value: object) -> str:
    return text(value) if isinstance(value, sp.Expr) else repr(value)


def _weight_name(network: Network, node: WeightedNode | MixingNode | VectorNode) -> str:
    return _in_turn(network, node.weight, node.home)


def _in_turn(network: Network, name: str, place: int | None) -> str:
    """Weights made inside a loop have the turn in their name."""
    turns = list[int]()
    while place is not None:
        turns.insert(0, place)
        place = network.loops[place].parent
    suffix = "".join(f"[{{turn{t}}}]" for t in turns)
    return f'f"{name}{suffix}"' if suffix else f'"{name}"'
