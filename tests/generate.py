"""Random programs: valid ones, built by the rules of the language, and broken ones, made from these by edits."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

SIZES = {"vector": (), "sequence": (4,), "image": (3, 2), "tokens": (4,), "graph": (4,)}
SMOOTH = ("erf", "gelu", "sin", "cos")
KINKED = ("relu", "abs", "leaky_relu")
STD = st.sampled_from(["1", "0.7", "1.3", "s"])
BIAS = st.sampled_from(["", ", b_std=0.2", ", b_std=t"])


@dataclass(frozen=True)
class Value:
    name: str
    shape: tuple[int, ...]
    law: str
    """data, gaussian or function."""


@dataclass
class Writer:
    """Statements so far."""

    draw: st.DrawFn
    lines: list[str] = field(default_factory=list)
    count: int = 0
    tied: dict[str, str] = field(default_factory=dict)
    """Named layers, by their call."""
    adjacency: str = ""

    def name(self, prefix: str = "h") -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def assign(self, expr: str) -> str:
        name = self.name()
        self.lines.append(f"{name} = {expr}")
        return name

    def pick(self, *options: str) -> str:
        return self.draw(st.sampled_from(options))

    def layer(self, name: str, options: str = "") -> str:
        """A named layer, written once."""
        if name not in self.tied:
            self.tied[name] = f"layer {name} = dense(W_std={self.draw(STD)}{self.draw(BIAS)}{options})"
        return name


def weighted(w: Writer, v: Value) -> Value:
    """A dense layer or a convolution, fresh or tied."""
    options = ["dense", "tied"] if v.law != "data" else ["dense"]
    options += ["conv", "local"] if v.shape and not w.adjacency else []
    options += ["attention", "depthwise"] if v.shape and v.law != "data" and not w.adjacency else []
    kind = w.pick(*options)
    std, bias = w.draw(STD), w.draw(BIAS)
    if kind == "tied":
        return Value(w.assign(f"{w.layer(w.pick('W', 'V'))}({v.name})"), v.shape, "gaussian")
    if kind in ("conv", "local"):
        name, size, padding = {"conv": "conv", "local": "conv_local"}[kind], w.pick("1", "2", "3"), w.pick("same", "circular")
        return Value(w.assign(f"{name}({v.name}, {size}, padding={padding}, W_std={std}{bias})"), v.shape, "gaussian")
    if kind == "depthwise":
        return Value(w.assign(f"depthwise_conv({v.name}, 2, W_std={std}{bias}) |> dense"), v.shape, "gaussian")
    if kind == "attention":
        causal = w.pick("", ", causal=true")
        mechanism = w.pick("", ", mechanism=identity", ", mechanism=relu")
        call = f"attention({v.name}, tied_query_key=true, value_std={std}{causal}{mechanism}{bias})"
        return Value(w.assign(call), v.shape, "gaussian")
    return Value(w.assign(f"dense({v.name}, W_std={std}{bias})"), v.shape, "gaussian")


def nonlinear(w: Writer, v: Value) -> Value:
    act = w.pick(*SMOOTH, *KINKED)
    call = f"leaky_relu({v.name}, 0.3)" if act == "leaky_relu" else f"{act}({v.name})"
    if w.draw(st.booleans()):
        gate = f"{call} * dense({v.name}, W_std={w.draw(STD)}{w.draw(BIAS)})"
        call = w.pick(f"{call} + {v.name}", f"0.5 * {call}", f"{call} - 0.3", gate)
    return Value(w.assign(call), v.shape, "function")


def linear(w: Writer, v: Value) -> Value:
    """A norm, a pool, a selection, or a sum with an earlier value of the same kind."""
    options = ["layer_norm", "rms_norm", "dropout"] if v.law != "data" else []
    options += ["reverse", "pool"] if v.shape else []
    options += ["aggregate"] if w.adjacency and v.shape else []
    if not options:
        return v
    kind = w.pick(*options)
    if kind == "pool":
        edges = w.pick("", ", normalize_edges=true")
        return Value(w.assign(f"avg_pool({v.name}, 2, stride=1, padding=same{edges})"), v.shape, v.law)
    if kind == "aggregate":
        return Value(w.assign(f"aggregate({v.name}, {w.adjacency})"), v.shape, v.law)
    keep = ", keep=0.8" if kind == "dropout" else ""
    return Value(w.assign(f"{kind}({v.name}{keep})"), v.shape, "function" if kind == "dropout" else v.law)


def repeated(w: Writer, v: Value) -> Value:
    """A loop of two or three turns, with fresh weights or with one layer for all turns, of one value or of two."""
    act, std, bias = w.pick(*SMOOTH, *KINKED[:2]), w.draw(STD), w.draw(BIAS)
    tied = w.pick("", "", w.pick("W", "V"))
    body = f"{w.layer(tied)}({act}({v.name}))" if tied else f"dense({act}({v.name}), W_std={std}{bias})"
    skip = w.pick("", f"0.5 * {v.name} + ")
    other = w.name("g")
    second = w.draw(st.booleans())
    if second:
        w.lines.append(f"{other} = dense({v.name}, W_std={w.draw(STD)})")
        skip = f"0.5 * {other} + " if skip else ""
    exchange = f"; {other} = dense({w.pick('erf', 'relu')}({other}))" if second else ""
    w.lines.append(f"repeat {w.pick('2', '3')} {{ {v.name} = {skip}{body}{exchange} }}")
    return v


def scanned(w: Writer, v: Value) -> Value:
    """A recurrent network with tied weights, of one state or of two."""
    name, a, b = w.name("hs"), w.layer(w.name("A")), w.layer(w.name("B"))
    act, leak = w.pick("erf", "relu", "sin"), w.pick("", "0.4 * h + ")
    if w.draw(st.booleans()) and not leak:
        c = w.layer(w.name("C"))
        inner = w.pick(
            f"h = {act}({a}(h) + {b}(u)); c = erf({c}(c) + {b}(h))", f"c = erf({c}(c) + {b}(u)); h = {act}({a}(h) + {c}(c))"
        )
        w.lines.append(f"{name} = scan u in {v.name}, h = 0, c = 0 {{ {inner} }}")
    elif w.draw(st.integers(0, 3)) == 0:
        inner = f"h = 0.4 * h + {act}({a}(h) + {b}(u)); c = 0.3 * c + erf({b}(h) + {a}(c))"
        w.lines.append(f"{name} = scan u in {v.name}, c = 0, h = 0 {{ {inner} }}")
    else:
        w.lines.append(f"{name} = scan u in {v.name}, h = 0 {{ h = {leak}{act}({a}(h) + {b}(u)) }}")
    return Value(name, v.shape, "function")


def started(w: Writer) -> tuple[Value, list[str]]:
    """The first value, and the inputs that it is of."""
    kind = w.pick(*SIZES)
    shape = SIZES[kind]
    sizes = ", ".join(map(str, (*shape, 3)))
    w.adjacency = "G" if kind == "graph" else ""
    inputs = [f"input x: {kind}({sizes}){' with G' if w.adjacency else ''}"]
    value = Value("x", shape, "data")
    if kind == "tokens":
        value = Value(w.assign(f"embedding(x, std={w.draw(STD)})"), shape, "gaussian")
    elif kind != "graph" and w.draw(st.integers(0, 3)) == 0:
        inputs.append(f"input y: {kind}({sizes})")
        shared = w.layer("S") if w.draw(st.booleans()) else ""
        second = f"{shared}(y)" if shared else f"dense(y, W_std={w.draw(STD)})"
        value = Value(w.assign(f"{shared or 'dense'}(x) + {second}"), shape, "gaussian")
    if len(shape) == 1 and not w.adjacency and w.draw(st.booleans()):
        value = scanned(w, value)
    return value, inputs


def joined(w: Writer, value: Value, history: list[Value]) -> Value:
    """A sum with an earlier value, or both side by side."""
    twins = [v for v in history if v.shape == value.shape and v.law == value.law != "data" and v != value]
    if not twins or not w.draw(st.booleans()):
        return value
    twin = w.draw(st.sampled_from(twins)).name
    if w.draw(st.integers(0, 3)) == 0:
        return Value(w.assign(f"concat({value.name}, {twin}) |> dense"), value.shape, "gaussian")
    return Value(w.assign(f"{value.name} + {w.draw(STD)} * {twin}"), value.shape, value.law)


@st.composite
def programs(draw: st.DrawFn) -> str:
    """The text of a valid program."""
    w = Writer(draw)
    value, inputs = started(w)
    history = [value]
    for _ in range(draw(st.integers(2, 5))):
        if value.law == "gaussian":
            step = draw(st.sampled_from([nonlinear, nonlinear, linear, weighted, repeated]))
        else:
            step = draw(st.sampled_from([weighted, weighted, linear]))
        value = step(w, value)
        value = joined(w, value, history)
        history.append(value)
    lines = ["param s = 1.1 in (0, inf)", "param t = 0.3 in [0, inf)", *inputs, *w.tied.values(), *w.lines]
    return "arch net {\n" + "".join(f"    {line}\n" for line in [*lines, f"output {_outputs(w, value, history)}"]) + "}\n"


def _outputs(w: Writer, value: Value, history: list[Value]) -> str:
    """One output, or two of which one may need more of the positions."""
    found = [value]
    if w.draw(st.integers(0, 3)) == 0:
        found.append(w.draw(st.sampled_from(history)))
    ends = [[" |> global_avg_pool", " |> flatten", " |> last"] if v.shape else [""] for v in found]
    texts = [f"{v.name}{w.pick(*end)} |> dense(W_std={w.draw(STD)}{w.draw(BIAS)})" for v, end in zip(found, ends, strict=True)]
    return texts[0] if len(texts) == 1 else f"p = {texts[0]}, q = {texts[1]}"


@st.composite
def broken(draw: st.DrawFn) -> str:
    """A program with a few random edits."""
    text = draw(programs())
    for _ in range(draw(st.integers(1, 3))):
        i, j = sorted(draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2)))
        piece = draw(
            st.sampled_from(["", " ", "(", ")", "{", "}", ",", "=", "|>", "h1", "x", "0", "-1", "relu", "\n", "§", "1e999", "^"])
        )
        text = text[:i] + piece + text[min(j, i + draw(st.integers(0, 8))) :]
    return text
