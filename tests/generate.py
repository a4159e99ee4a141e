"""Random programs: valid ones, built by the rules of the language, and broken ones, made from these by edits."""

import math
import re

from hypothesis import strategies as st
from writer import KINKED, MOST, NAMES, RARE, SHAPES, SMOOTH, Choose, Shapes, Value, Writer, windowed

PIECES = ("", "", " ", "(", ")", "{", "}", ",", "=", "|>", "h_1", "x", "0", "-1", "relu", "\n", "§", "1e999", "^", ";", "[", ":")
"""Put into broken programs."""
WORDS = (
    "0",
    "2.5",
    "1e300",
    "64",
    "inf",
    "pi",
    "relu",
    "log",
    "sqrt",
    "sign",
    "max_pool",
    "batch_norm",
    "concat",
    "true",
    "standard",
)


def weighted(w: Writer, v: Value) -> Value:
    """A dense layer, a convolution or attention, fresh or tied."""
    options = ["dense"] if v.law == "data" else ["dense", "tied"]
    options += ["conv", "conv", "conv_local"] if v.shape and not w.adjacency else []
    options += ["conv_transpose"] if v.shape and not w.adjacency and math.prod(v.shape) * 2 ** len(v.shape) <= MOST else []
    options += ["attention", "attention", "depthwise"] if v.shape and v.law != "data" and not w.adjacency else []
    kind = w.pick(*options)
    if kind == "tied":
        return Value(w.assign(f"{w.layer(w.pick('W', 'V'))}({v.name})"), v.shape, "gaussian")
    if kind == "conv_transpose":
        stride = w.pick("1", "2")
        padding = w.pick("same", "circular")
        call = f"conv_transpose({v.name}, {w.pick('2', '3')}, stride={stride}, padding={padding}, {w.options()})"
        return Value(w.assign(call), tuple(n * int(stride) for n in v.shape), "gaussian")
    if kind in ("conv", "conv_local", "depthwise"):
        window, shape = windowed(w, v.shape)
        if kind == "depthwise":
            call = f"depthwise_conv({v.name}, {window}, W_std={w.std()}{w.pick('', ', b_std=0.2')}) |> dense({w.options()})"
        else:
            call = f"{kind}({v.name}, {window}, {w.options()})"
        return Value(w.assign(call), shape, "gaussian")
    if kind == "attention":
        return Value(w.assign(_attention(w, v)), v.shape, "gaussian")
    return Value(w.assign(w.dense(v.name)), v.shape, "gaussian")


def _attention(w: Writer, v: Value) -> str:
    tied = w.pick("tied_query_key=true, ", f"tied_query_key=true, query_std={w.pick('0.8', w.params[0])}, ", "")
    rest = w.pick("", ", mechanism=identity", ", mechanism=relu", ", mechanism=abs") if tied else ""
    rest += w.pick("", ", causal=true") + w.pick("", ", position_std=0.5") + w.pick("", ", b_std=0.2")
    rest += ", width=64" if w.standard else ""
    return f"attention({v.name}, {tied}value_std={w.std()}, out_std={w.std()}{rest})"


def nonlinear(w: Writer, v: Value) -> Value:
    rare = RARE if w.chance(6) else ()
    call = w.act(*(rare or SMOOTH + KINKED)).format(v.name)
    if w.chance(2):
        gate = f"{call} * {w.dense(v.name)}"
        other = w.act("erf", "relu", "cos").format(w.dense(v.name))
        scaled = f"{w.params[0]} * {call}"
        call = w.pick(f"{call} + {v.name}", f"0.5 * {call}", f"{call} - 0.3", scaled, gate, f"{call} * {other}")
    return Value(w.assign(call), v.shape, "function")


def linear(w: Writer, v: Value) -> Value:
    """A norm, a pool, a selection: what has no weights that mix channels."""
    options = ["layer_norm", "rms_norm", "dropout"] if v.law != "data" else []
    options += ["reverse", "aggregate"] if w.adjacency and v.shape else []
    options += ["reverse", "pool", "slice", "resize", "positional"] if v.shape and not w.adjacency else []
    options = [o for o in options if not (o == "positional" and v.law == "data")]
    if not options:
        return v
    kind = w.pick(*options)
    if kind == "pool":
        window, shape = windowed(w, v.shape, pool=True)
        call = w.pick("avg_pool({}, {})", "avg_pool({}, {}, normalize_edges=true)", "sum_pool({}, {})")
        return Value(w.assign(call.format(v.name, window)), shape, v.law)
    if kind == "slice":
        return _slice(w, v)
    if kind == "resize":
        shape = tuple(w.choose((1, 2, 3)) for _ in v.shape)
        text = str(shape[0]) if len(shape) == 1 else str(shape)
        return Value(w.assign(f"resize({v.name}, {text}, method={w.pick('linear', 'nearest')})"), shape, v.law)
    if kind == "aggregate":
        return Value(w.assign(f"aggregate({v.name}, {w.adjacency})"), v.shape, v.law)
    if kind == "positional":
        fixed = len(v.shape) == 1 and w.chance(4)
        return Value(w.assign(f"positional({v.name}, {'kind=fixed, ' * fixed}std=0.6)"), v.shape, "function" if fixed else v.law)
    if kind == "dropout":
        return Value(w.assign(f"dropout({v.name}, keep=0.8)"), v.shape, "function")
    affine = w.chance(4)
    options = "(affine=true)" * affine
    return Value(
        w.assign(f"{v.name} |> {kind}{options}" if kind != "reverse" else f"reverse({v.name})"),
        v.shape,
        "function" if affine and kind != "reverse" else v.law,
    )


def _slice(w: Writer, v: Value) -> Value:
    indices, shape = [], []
    for n in v.shape:
        index = w.pick(":", "1:", "::2", ":-1", "::-1", "0", "-1") if n > 1 else ":"
        if ":" in index:
            shape.append(len(range(n)[slice(*(int(p) if p else None for p in (*index.split(":"), "")[:3]))]))
        indices.append(index)
    return Value(w.assign(f"{v.name}[{', '.join(indices)}]"), tuple(shape), v.law)


def repeated(w: Writer, v: Value) -> Value:
    """A loop of two or three turns, with fresh weights or with one layer for all turns, of one value or of two."""
    if w.chance(5) and not w.standard:
        w.custom("residual")
        w.lines.append(f"repeat {w.pick('2', 'n')} {{ {v.name} = residual({v.name}, {w.pick('0.5', w.params[0])}) }}")
        return v
    act, tied = w.act(*SMOOTH, *KINKED[:2]).format(v.name), w.pick("", "", w.pick("W", "V"))
    body = f"{w.layer(tied)}({act})" if tied else w.dense(act)
    skip = w.pick("", f"0.5 * {v.name} + ")
    other = w.name("g")
    second = w.chance(2)
    if second:
        w.lines.append(f"{other} = {w.dense(v.name)}")
        skip = f"0.5 * {other} + " if skip else ""
    exchange = f"; {other} = {w.dense(w.act('erf', 'relu').format(other))}" if second else ""
    w.lines.append(f"repeat {w.pick('2', '3', 'n')} {{ {v.name} = {skip}{body}{exchange} }}")
    return v


def scanned(w: Writer, v: Value) -> Value:
    """A recurrent network with tied weights: of one state or two, one way or both."""
    name, a, b = w.name("hs"), w.layer(w.name("A")), w.layer(w.name("B"))
    act, leak = w.act("erf", "relu", "sin", "gelu"), w.pick("", "0.4 * h + ")
    plain = f"h = {leak}{act.format(f'{a}(h) + {b}(u)')}"
    kind = w.pick("plain", "plain", "pair", "leaky", "both", "gated", "fresh")
    if kind == "pair":
        c = w.layer(w.name("C"))
        inner = w.pick(
            f"h = {act.format(f'{a}(h) + {b}(u)')}; c = erf({c}(c) + {b}(h))",
            f"c = erf({c}(c) + {b}(u)); h = {act.format(f'{a}(h) + {c}(c)')}",
        )
        w.lines.append(f"{name} = scan u in {v.name}, h = 0, c = 0 {{ {inner} }}")
    elif kind == "leaky":
        inner = f"h = 0.4 * h + {act.format(f'{a}(h) + {b}(u)')}; c = 0.3 * c + erf({b}(h) + {a}(c))"
        w.lines.append(f"{name} = scan u in {v.name}, c = 0, h = 0 {{ {inner} }}")
    elif kind == "both":
        back = w.name("hs")
        w.lines.append(f"{name} = scan u in {v.name}, h = 0 {{ {plain} }}")
        w.lines.append(f"{back} = scan u in reverse({v.name}), h = 0 {{ {plain} }}")
        return Value(w.assign(f"concat({name}, reverse({back})) |> dense({w.options()})"), v.shape, "gaussian")
    elif kind == "gated":
        w.lines.append(f"{name} = scan u in {v.name}, h = 0 {{ h = erf({b}(u)) * {w.dense('u')} + {act.format(f'{a}(h)')} }}")
    elif kind == "fresh":
        fresh = w.dense("h")
        w.lines.append(f"{name} = scan u in {v.name}, h = 0 {{ h = {act.format(f'{fresh} + {b}(u)')} }}")
    else:
        w.lines.append(f"{name} = scan u in {v.name}, h = 0 {{ {plain} }}")
    return Value(name, v.shape, "function")


def started(w: Writer, shapes: Shapes) -> tuple[Value, list[str]]:
    """The first value, and the inputs that it is of."""
    kind = w.pick(*shapes)
    shape = w.choose(shapes[kind])
    sizes = ", ".join(map(str, (*shape, 3)))
    w.adjacency = "G" if kind == "graph" else ""
    inputs = [f"input x: {kind}({sizes}){' with G' if w.adjacency else ''}"]
    value = Value("x", shape, "data")
    if kind == "tokens":
        value = Value(w.assign(f"embedding(x, std={w.std()}{', width=64' * w.standard})"), shape, "gaussian")
    elif kind != "graph" and w.chance(4):
        inputs.append(f"input y: {kind}({sizes})")
        shared = w.layer("S") if w.chance(2) else ""
        second = f"{shared}(y)" if shared else w.dense("y")
        value = Value(w.assign(f"{f'{shared}(x)' if shared else w.dense('x')} + {second}"), shape, "gaussian")
    if len(shape) == 1 and not w.adjacency and w.chance(2):
        value = scanned(w, value)
    return value, inputs


def joined(w: Writer, value: Value, history: list[Value]) -> Value:
    """A sum or product with an earlier value, or both side by side; or all positions become one vector."""
    if value.shape and value.law != "data" and w.chance(6):
        act = " |> " + w.pick("relu", "erf") if value.law == "gaussian" and w.chance(2) else ""
        call = f"{value.name} |> {w.pick('flatten' + act, 'global_avg_pool', 'global_sum_pool', 'last')} |> dense({w.options()})"
        return Value(w.assign(call), (), "gaussian")
    twins = [v for v in history if v.shape == value.shape and v.law == value.law != "data" and v != value]
    if not twins or not w.chance(2):
        return value
    twin = w.choose(twins).name
    kind = w.pick("sum", "sum", "channel", "axis", "product")
    if kind == "channel":
        act = " |> " + w.pick("relu", "erf") if value.law == "gaussian" and w.chance(2) else ""
        return Value(w.assign(f"concat({value.name}, {twin}){act} |> dense({w.options()})"), value.shape, "gaussian")
    if kind == "axis" and value.shape and not w.adjacency and 2 * math.prod(value.shape) <= MOST:
        axis = {1: "time", 2: "height", 3: "depth"}[len(value.shape)]
        shape = (2 * value.shape[0], *value.shape[1:])
        return Value(w.assign(f"concat({value.name}, {twin}, axis={axis})"), shape, value.law)
    if kind == "product" and value.law == "gaussian":
        return Value(w.assign(f"{w.act('erf', 'relu', 'cos').format(value.name)} * {twin}"), value.shape, "function")
    return Value(w.assign(f"{value.name} + {w.std()} * {twin}"), value.shape, value.law)


def program(choose: Choose, shapes: Shapes = SHAPES) -> str:
    """The text of a valid program."""
    first = choose(NAMES)
    names = (first, choose([n for n in NAMES if n != first]))
    w = Writer(choose, names, standard=choose(range(5)) == 4)
    value, inputs = started(w, shapes)
    history = [value]
    for _ in range(choose((2, 3, 4, 5))):
        if value.law == "gaussian":
            step = choose([nonlinear, nonlinear, nonlinear, linear, weighted, repeated])
        else:
            step = choose([weighted, weighted, weighted, linear])
        value = step(w, value)
        history.append(value)
        value = joined(w, value, history[:-1])
        history.append(value)
    head = ["option parameterization = standard"] * w.standard
    head += [f"param {names[0]} = 1.1 in (0, inf)", f"param {names[1]} = 0.3 in [0, inf)", "const n = 2"]
    body = [*head, *inputs, *w.tied.values(), *w.lines, f"output {_outputs(w, value, history)}"]
    return "".join(f"{text}\n" for text in w.used.values()) + "arch net {\n" + "".join(f"    {x}\n" for x in body) + "}\n"


def _outputs(w: Writer, value: Value, history: list[Value]) -> str:
    """One output, or two of which one may need more of the positions."""
    found = [value]
    if w.chance(4):
        found.append(w.choose(history))
    ends = [[" |> global_avg_pool", " |> flatten", " |> last"] if v.shape else [""] for v in found]
    texts = [f"{v.name}{w.pick(*end)} |> dense({w.options()})" for v, end in zip(found, ends, strict=True)]
    if len(texts) == 1 and value.law == "function" and w.chance(10):
        return value.name  # without a readout, which is a warning
    return texts[0] if len(texts) == 1 else f"p = {texts[0]}, q = {texts[1]}"


@st.composite
def programs(draw: st.DrawFn) -> str:
    """The same as a strategy."""
    return program(lambda options: draw(st.sampled_from(options)))


@st.composite
def broken_programs(draw: st.DrawFn) -> str:
    """The same as a strategy."""
    return broken(lambda options: draw(st.sampled_from(options)))


def broken(choose: Choose) -> str:
    """A program with a few random edits: of characters, or of a word or a line, after which it may still be valid."""
    text = program(choose)
    for _ in range(choose((1, 2, 3))):
        kind = choose(("characters", "word", "word", "line"))
        if kind == "characters":
            i = choose(range(len(text) + 1))
            text = text[:i] + choose(PIECES) + text[i + choose(range(9)) :]
        elif kind == "word":
            words = list(re.finditer(r"[\w.]+", text)) or [re.match("", text)]
            word, other = choose(words), choose([w.group() for w in words] + list(WORDS))
            text = text[: word.start()] + other + text[word.end() :]
        else:
            lines = text.splitlines(keepends=True)
            i, j = choose(range(len(lines) + 1)), choose(range(len(lines) + 1))
            text = "".join(lines[:i] + lines[j : j + 1] + lines[i + choose((0, 1)) :])
    return text
