"""Random programs: valid ones, built by the rules of the language, and broken ones, made from these by edits."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

SIZES = {"vector": (), "sequence": (4,), "image": (3, 2)}
SMOOTH = ("erf", "gelu", "sin", "cos")
KINKED = ("relu", "abs", "leaky_relu")
STD = st.sampled_from(["1", "0.7", "1.3", "s"])
BIAS = st.sampled_from(["", ", b_std=0.2", ", b_std=t"])


@dataclass
class Writer:
    """Statements so far; each value has a name, a shape of positions and whether it is Gaussian (data: None)."""

    draw: st.DrawFn
    lines: list[str] = field(default_factory=list)
    count: int = 0
    tied: dict[str, str] = field(default_factory=dict)
    """Named layers, by their call."""

    def name(self, prefix: str = "h") -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def assign(self, expr: str) -> str:
        name = self.name()
        self.lines.append(f"{name} = {expr}")
        return name

    def pick(self, *options: str) -> str:
        return self.draw(st.sampled_from(options))


@dataclass(frozen=True)
class Value:
    name: str
    shape: tuple[int, ...]
    law: str
    """data, gaussian or function."""


def weighted(w: Writer, v: Value) -> Value:
    """A dense layer or a convolution, fresh or tied."""
    options = ["dense", "tied"] + (["conv", "attention"] if v.shape else [])
    kind = w.pick(*(options if v.law != "data" else options[:2] + options[2:3]))
    std, bias = w.draw(STD), w.draw(BIAS)
    if kind == "tied" and (v.law != "data"):
        if "W" not in w.tied:
            w.tied["W"] = f"layer W = dense(W_std={std}{bias})"
        return Value(w.assign(f"W({v.name})"), v.shape, "gaussian")
    if kind == "conv":
        size, padding = w.pick("1", "2", "3"), w.pick("same", "circular")
        return Value(w.assign(f"conv({v.name}, {size}, padding={padding}, W_std={std}{bias})"), v.shape, "gaussian")
    if kind == "attention":
        causal = w.pick("", ", causal=true")
        return Value(w.assign(f"attention({v.name}, tied_query_key=true, value_std={std}{causal})"), v.shape, "gaussian")
    return Value(w.assign(f"dense({v.name}, W_std={std}{bias})"), v.shape, "gaussian")


def nonlinear(w: Writer, v: Value) -> Value:
    act = w.pick(*SMOOTH, *KINKED)
    call = f"leaky_relu({v.name}, 0.3)" if act == "leaky_relu" else f"{act}({v.name})"
    if w.draw(st.booleans()):
        call = w.pick(f"{call} + {v.name}", f"0.5 * {call}", f"{call} - 0.3")
    return Value(w.assign(call), v.shape, "function")


def linear(w: Writer, v: Value) -> Value:
    """A norm, a pool, a selection, or a sum with an earlier value of the same kind."""
    options = ["layer_norm", "rms_norm"] if v.law != "data" else []
    options += ["reverse", "pool"] if v.shape else []
    if not options:
        return v
    kind = w.pick(*options)
    if kind == "pool":
        return Value(w.assign(f"avg_pool({v.name}, 2, stride=1, padding=same)"), v.shape, v.law)
    return Value(w.assign(f"{kind}({v.name})"), v.shape, v.law)


def repeated(w: Writer, v: Value) -> Value:
    """A loop of two or three turns with fresh weights."""
    act, std, bias = w.pick(*SMOOTH, *KINKED[:2]), w.draw(STD), w.draw(BIAS)
    body = f"dense({act}({v.name}), W_std={std}{bias})"
    skip = w.pick("", f"0.5 * {v.name} + ")
    w.lines.append(f"repeat {w.pick('2', '3')} {{ {v.name} = {skip}{body} }}")
    return v


def scanned(w: Writer, v: Value) -> Value:
    """A recurrent network with tied weights."""
    name, a, b = w.name("hs"), w.name("A"), w.name("B")
    w.lines += [f"layer {a} = dense(W_std={w.draw(STD)}{w.draw(BIAS)})", f"layer {b} = dense(W_std={w.draw(STD)})"]
    act, leak = w.pick("erf", "relu", "sin"), w.pick("", "0.4 * h + ")
    w.lines.append(f"{name} = scan u in {v.name}, h = 0 {{ h = {leak}{act}({a}(h) + {b}(u)) }}")
    return Value(name, v.shape, "function")


@st.composite
def programs(draw: st.DrawFn) -> str:
    """The text of a valid program."""
    w = Writer(draw)
    kind = w.pick(*SIZES)
    shape = SIZES[kind]
    value = Value("x", shape, "data")
    if len(shape) == 1 and draw(st.booleans()):
        value = scanned(w, value)
    history = [value]
    for _ in range(draw(st.integers(2, 5))):
        if value.law == "gaussian":
            step = draw(st.sampled_from([nonlinear, nonlinear, linear, weighted] + ([repeated] if not w.tied else [])))
        else:
            step = draw(st.sampled_from([weighted, weighted, linear]))
        value = step(w, value)
        twins = [v for v in history if v.shape == value.shape and v.law == value.law != "data" and v != value]
        if twins and draw(st.booleans()):
            value = Value(w.assign(f"{value.name} + {w.draw(STD)} * {draw(st.sampled_from(twins)).name}"), value.shape, value.law)
        history.append(value)
    ends = [" |> global_avg_pool", " |> flatten", " |> last"] if value.shape else [""]
    sizes = ", ".join(map(str, (*shape, 3)))
    head = ["param s = 1.1 in (0, inf)", "param t = 0.3 in [0, inf)", f"input x: {kind}({sizes})", *w.tied.values()]
    lines = [*head, *w.lines, f"output {value.name}{w.pick(*ends)} |> dense(W_std={draw(STD)}{draw(BIAS)})"]
    return "arch net {\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


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
