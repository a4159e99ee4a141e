"""Recursion -> the derivation as a referee reads it: expectations with Price's chains, then one equation after the other."""

import dataclasses
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from ntkc.gaussian.bounds import VARIANCES
from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Chain, Expectation
from ntkc.gaussian.series import Series
from ntkc.gaussian.terms import Z
from ntkc.ir.recursion import Dual, Equation, LoopStep, Output, PositionMap, Recursion, Step
from ntkc.verify.report.html import Child, details, section, table, tag
from ntkc.verify.report.mathml import equation, inline
from ntkc.verify.report.names import Names

LEGEND = (
    "K and Θ are second moments and tangent kernels of Gaussian values, S and T those of functions of them, C is the inner "
    "product of two inputs divided by their channels. The first index is the number of the value (two: of both values). "
    "Without a mark a moment is between x and x′; x or x′ above marks one sample at matching positions, and x,x one sample with "
    "itself at all pairs of positions. An index t means that the two positions change places. A map with x or x′ above acts on "
    "that side's positions only."
)
CHAIN = (
    "By Price (1958) the derivative of an expectation in c is the expectation of the derivatives. Each line is the derivative "
    "in c of the one before it; constants of integration are the values at c = 0, where u and v are independent."
)


def derivation(recursion: Recursion, names: Names) -> ET.Element:
    """All of it, in the order in which it was derived."""
    parts = [tag("h3", "Gaussian expectations"), tag("p", "For ", _gaussian(), ":")]
    parts += [_dual(dual, names) for dual in recursion.duals]
    if not recursion.duals:
        parts[1:] = [tag("p", "None: the network is linear.")]
    if recursion.maps:
        parts += [tag("h3", "Maps over positions"), _maps(recursion.maps, names)]
    parts += [tag("h3", "Equations"), tag("p", LEGEND), _steps(recursion.steps, names)]
    parts += [tag("h3", "Kernels"), *(part for output in recursion.outputs for part in _output(output, names))]
    return section("derivation", "Derivation", *parts)


def _gaussian() -> ET.Element:
    """(u, v) ~ N(0, [[a, c], [c, b]])."""
    rows = (tag("mtr", *(tag("mtd", tag("mi", s)) for s in row)) for row in ("ac", "cb"))
    covariance = tag("mrow", tag("mo", "("), tag("mtable", *rows), tag("mo", ")"))
    law = tag("mrow", tag("mi", "N"), tag("mo", "("), tag("mn", "0"), tag("mo", ","), covariance, tag("mo", ")"))
    return tag("math", tag("mrow", _listed("uv"), tag("mo", "~"), law), alttext="(u, v) ~ N(0, [[a, c], [c, b]])")


def _listed(letters: str) -> ET.Element:
    """(u, v)."""
    row = tag("mrow", tag("mo", "("))
    for i, letter in enumerate(letters):
        row.extend([tag("mo", ","), tag("mi", letter)] if i else [tag("mi", letter)])
    row.append(tag("mo", ")"))
    return row


def _dual(dual: Dual, names: Names) -> ET.Element:
    law = dual.law
    same = law.f == law.g
    head = tag("mrow", names.function(dual.name), _listed("cab"))
    meant = tag("mrow", head, tag("mo", "="), _expected("f", "f" if same else "g"))
    what: list[Child] = [tag("math", meant, alttext=f"{dual.name}(c, a, b) = E f(u) {'f' if same else 'g'}(v)")]
    what += [" with ", tag("i", "f"), "(", tag("i", "z"), ") = ", inline(law.f, names)]
    what += [] if same else [" and ", tag("i", "g"), "(", tag("i", "z"), ") = ", inline(law.g, names)]
    parts = [tag("p", *what)]
    if isinstance(law, Expectation):
        parts.append(equation(head, law.value, names, f"{dual.name}(c, a, b)"))
        parts.append(details("How it follows", tag("p", CHAIN), *(_chain(chain, names) for chain in law.chains)))
    else:
        parts.append(_series(law))
    return tag("div", *parts, class_="dual")


def _series(law: Series) -> ET.Element:
    rows = [[f"{v:g}", f"{bound:.1e}"] for v, bound in zip(VARIANCES, law.bounds, strict=True)]
    words = f"No closed form: {law.terms} terms of its Hermite series (Mehler 1866); what is left out is bounded by Parseval."
    return tag("div", tag("p", words), table("Bound on the error", ("variances a and b", "at most"), rows, class_="numbers"))


def _chain(chain: Chain, names: Names) -> ET.Element:
    """The links, each the derivative of the one before it; what the Gaussian factors were moved into, if any."""
    pair: list[Child] = [
        "Terms ",
        tag("i", "f"),
        " = ",
        inline(chain.f, names),
        " and ",
        tag("i", "g"),
        " = ",
        inline(chain.g, names),
    ]
    pair += [", times ", inline(chain.weight, names)] if chain.weight != 1 else []
    parts = [tag("p", *pair)]
    if any(chain.quadratics):
        shown = [inline(q * Z**2, names) for q in chain.quadratics]
        moved: list[Child] = ["The factors exp(", shown[0], ") of f and exp(", shown[1], ") of g are part of the density"]
        if chain.tilted is not None:
            for name, value in zip(("its determinant factor", A, B, C), chain.tilted, strict=True):
                moved += ["; ", name if isinstance(name, str) else inline(name, names), " = ", inline(value, names)]
        parts.append(tag("p", *moved, "."))
    for order, link in enumerate(chain.links):
        parts.append(equation(_derivative(order), link, names, f"derivative {order} in c" if order else "E"))
    return tag("div", *parts, class_="chain")


def _derivative(order: int) -> ET.Element:
    """The derivative of E[f(u) g(v)] in c, as what Price makes of it."""
    if not order:
        return _expected("f", "g")
    above, below = (_power(tag("mi", letter), order) for letter in "∂c")
    fraction = tag("mfrac", above, tag("mrow", tag("mi", "∂"), below))
    return tag("mrow", fraction, _expected("f", "g"), tag("mo", "="), _expected("f", "g", order))


def _power(base: ET.Element, order: int) -> ET.Element:
    return base if order == 1 else tag("msup", base, tag("mn", str(order)))


def _expected(f: str, g: str, order: int = 0) -> ET.Element:
    """E[f(u) g(v)], or of the derivatives of that order."""
    row = tag("mrow", tag("mi", "E", mathvariant="normal"), tag("mo", "["))
    for name, variable in ((f, "u"), (g, "v")):
        mark = tag("mrow", tag("mo", "("), tag("mn", str(order)), tag("mo", ")"))
        row.append(tag("msup", tag("mi", name), mark) if order else tag("mi", name))
        row.append(tag("mrow", tag("mo", "("), tag("mi", variable), tag("mo", ")")))
    row.append(tag("mo", "]"))
    return row


def _maps(maps: tuple[PositionMap, ...], names: Names) -> ET.Element:
    rows = list[list[Child]]()
    for each in maps:
        grid = "×".join("any" if n is None else str(n) for n in each.grid)
        rows.append([tag("math", names.function(each.name), alttext=each.name), _meant(each.geometry), grid])
    return table("What the maps in the equations are", ("map", "what it is", "positions"), rows)


def _meant(geometry: object) -> str:
    """What the class says of itself, and the data of this one."""
    words = [" ".join((geometry.__doc__ or "").replace("`", "").split())]
    for field in dataclasses.fields(geometry):  # type: ignore[arg-type]
        value = getattr(geometry, field.name)
        words.append(f"{field.name}: {_each(value) if isinstance(value, tuple) else value}.")
    return " ".join(words)


def _each(axes: tuple[object, ...]) -> str:
    """Axis by axis, or once where they are alike."""
    words = [_axis(axis) for axis in axes]
    return f"{words[0]}, on each of {len(axes)}" if len(axes) > 1 and len(set(words)) == 1 else " and ".join(words)


def _axis(axis: object) -> str:
    if dataclasses.is_dataclass(axis):
        return ", ".join(f"{f.name} {getattr(axis, f.name)}" for f in dataclasses.fields(axis))
    if isinstance(axis, tuple):
        return "(" + ", ".join(_axis(part) for part in axis) + ")"
    return str(axis)


def _steps(steps: tuple[Step, ...], names: Names) -> ET.Element:
    return tag("ol", *(_equation(s, names) if isinstance(s, Equation) else _loop(s, names) for s in steps), class_="steps")


def _equation(step: Equation, names: Names) -> ET.Element:
    premises = "; ".join(step.premises)
    why = tag("p", tag("strong", step.rule), f" (line {_line(step)})", f": {premises}" if premises else "", class_="why")
    return tag("li", equation(step.symbol, step.value, names), why)


def _line(step: Step) -> int:
    return step.span.source.position(step.span.start)[0]


def _loop(step: LoopStep, names: Names) -> ET.Element:
    rows: list[list[Child]] = [[inline(e, names) for e in (s.symbol, s.initial, s.following, s.result)] for s in step.states]
    carried = table("What is carried from turn to turn", ("in the body", "at first", "after a turn", "at the end"), rows)
    words = tag("p", tag("strong", f"repeat {step.count}"), f" (line {_line(step)})", class_="why")
    return tag("li", words, carried, _steps(step.body, names), class_="turns")


def _output(output: Output, names: Names) -> Iterator[ET.Element]:
    of = f" of {output.name}" if output.name else ""
    for kind, value in (("NNGP", output.nngp), ("NTK", output.ntk)):
        if value is not None:
            yield equation(tag("mtext", kind + of), value, names, kind + of)
        else:
            yield tag("p", f"There is no NTK{of}: {output.refusal}")
