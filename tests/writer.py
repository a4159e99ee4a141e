"""What a random program is written with: words of the language, and the statements so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Shapes: TypeAlias = dict[str, list[tuple[int, ...]]]
SHAPES: Shapes = {
    "vector": [()],
    "sequence": [(4,), (5,), (3,)],
    "image": [(3, 2), (2, 3), (4, 2)],
    "volume": [(2, 2, 2), (2, 1, 3)],
    "tokens": [(4,), (3,)],
    "graph": [(4,), (3,)],
}
MASKABLE: Shapes = {"sequence": [(5,), (6,)], "tokens": [(5,)], "graph": [(4,)]}
"""Of programs whose sequences come with masks."""
MOST = 12
"""Positions of a value; the reference walks over pairs of them."""
SMOOTH = ("erf", "gelu", "sin", "cos", "bump", "zerf")
KINKED = ("relu", "abs", "leaky_relu", "bent", "relu2")
RARE = ("tanh", "sigmoid", "sign", "cubic", "ripple", "jump")
"""By series, or without a slope of their own everywhere."""
CUSTOM = {
    "bump": "activation bump(z) = exp(-z^2) * cos(z)",
    "zerf": "activation zerf(z; beta = 0.8) = z * erf(beta * z)",
    "bent": "activation bent(z) = where(z > 0.5, 2 * z - 0.7, where(z < -1, 0.2 * z + 0.5, 0.3))",
    "jump": "activation jump(z) = where(z > 0.5, 2 * z, where(z < -1, 0.2 * z, 0.3))",
    "relu2": "activation relu2(z) = relu(z)^2",
    "cubic": "activation cubic(z) = poly(z, 0.2, -0.5, 0, 0.1) + hermite(z, 2) / 3",
    "ripple": "activation ripple(z; w = 1) = sin(w * z)^2 + z / 2",
    "residual": "block residual(h, scale) {\n    return h + scale * (h |> erf |> dense(W_std=1.1))\n}",
}
NAMES = ("s", "z", "a0", "theta", "mean", "beta", "det", "rho", "y1", "n1", "f", "q")
"""Of hyperparameters; some are the compiler's own words."""
Choose: TypeAlias = Callable[[Sequence[Any]], Any]
"""One of these."""


@dataclass(frozen=True)
class Value:
    name: str
    shape: tuple[int, ...]
    law: str
    """data, gaussian or function."""


@dataclass
class Writer:
    """Statements so far."""

    choose: Choose
    params: tuple[str, str] = ("s", "t")
    standard: bool = False
    adjacency: str = ""
    lines: list[str] = field(default_factory=list)
    count: int = 0
    tied: dict[str, str] = field(default_factory=dict)
    """Named layers, by their declaration."""
    used: dict[str, str] = field(default_factory=dict)
    """Activations and blocks, by their definition."""

    def name(self, prefix: str = "h") -> str:
        self.count += 1
        return f"{prefix}_{self.count}"

    def assign(self, expr: str) -> str:
        name = self.name()
        self.lines.append(f"{name} = {expr}")
        return name

    def pick(self, *options: str) -> str:
        return self.choose(options)

    def chance(self, of: int) -> bool:
        return self.choose(range(of)) == of - 1

    def std(self) -> str:
        return self.pick("1", "0.7", "1.3", self.params[0], f"sqrt({self.params[0]})")

    def options(self, bias: bool = True) -> str:
        """Of a layer with weights."""
        own = ", b_std=" + self.pick("0.2", self.params[1]) if bias and self.chance(2) else ""
        wide = ", width=64" if self.standard else ""
        return f"W_std={self.std()}{own}{wide}"

    def dense(self, name: str) -> str:
        return f"dense({name}, {self.options()})"

    def layer(self, name: str) -> str:
        """A named layer, written once."""
        self.tied.setdefault(name, f"layer {name} = dense({self.options()})")
        return name

    def custom(self, name: str) -> str:
        if name in CUSTOM:
            self.used[name] = CUSTOM[name]
        return name

    def act(self, *names: str) -> str:
        """The call of an activation, its value left open."""
        name = self.custom(self.pick(*names))
        second = {"leaky_relu": ", 0.3", "ripple": f", w={self.pick('1', '0.5')}"}.get(name, "")
        return f"{name}({{}}{second})"


def windowed(w: Writer, shape: tuple[int, ...], *, pool: bool = False, plain: bool = False) -> tuple[str, tuple[int, ...]]:
    """Filter, stride, dilation and padding of a window, and the positions that are left."""
    one = len(shape) == 1 or w.chance(2)
    count = 1 if one else len(shape)
    sizes = [int(w.pick("1", "2", "3")) for _ in range(count)]
    strides = [1 if plain or not w.chance(3) else 2 for _ in range(count)]
    dilations = [2 if w.chance(5) and f > 1 else 1 for f in sizes]
    filters, steps, apart = (v * len(shape) if one else v for v in (sizes, strides, dilations))
    reach = [(f - 1) * d + 1 for f, d in zip(filters, apart, strict=True)]
    fits = all(r <= n for r, n in zip(reach, shape, strict=True)) and not plain
    padding = w.pick("same", "circular", *["valid"] * fits)

    def shown(v: list[int]) -> str:
        return str(v[0]) if one else f"({', '.join(map(str, v))})"

    text = shown(sizes) + (f", stride={shown(strides)}" if pool or any(s > 1 for s in strides) else "")
    text += (f", dilation={shown(dilations)}" if any(d > 1 for d in dilations) else "") + f", padding={padding}"
    if padding == "valid":
        return text, tuple((n - r) // s + 1 for n, r, s in zip(shape, reach, steps, strict=True))
    return text, tuple(-(-n // s) for n, s in zip(shape, steps, strict=True))
