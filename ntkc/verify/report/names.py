"""Names of the recursion and of hyperparameters as MathML: K3_1 is K with index 3 at x."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp
from sympy.printing.pretty.pretty_symbology import greek_unicode

from ntkc.ir.recursion import Recursion
from ntkc.verify.report.html import tag

LETTERS = {"Theta": "Θ"}
SIDES = {"_1": "x", "_2": "x′", "_self": "x,x"}
STEM = re.compile(r"(?P<letter>Theta|[A-Z])(?P<index>\d+(?:x\d+)?)?(?P<rest>(?:_\w+?)??)(?P<side>_1|_2|_self)?")


@dataclass(frozen=True, slots=True)
class Names:
    """What hyperparameters are called by the user, and which functions are Gaussian expectations."""

    parameters: Mapping[sp.Symbol, str]
    duals: frozenset[str]

    def symbol(self, symbol: sp.Symbol) -> ET.Element:
        """Of a moment, an array that comes with a sample, or a hyperparameter."""
        if symbol in self.parameters:
            name = self.parameters[symbol]
            return _letters(name) if STEM.fullmatch(name) else word(name)  # C_a, too, is a moment's name
        if symbol.name.startswith("given_"):
            return _marked(symbol.name[6:-2], "", SIDES.get(symbol.name[-2:], ""))
        found = STEM.fullmatch(symbol.name)
        if found is None:
            return word(symbol.name)
        index = ", ".join(filter(None, [(found["index"] or "").replace("x", ", "), *found["rest"].split("_")]))
        return _marked(LETTERS.get(found["letter"], found["letter"]), index, SIDES.get(found["side"] or "", ""))

    def function(self, name: str) -> ET.Element:
        """Of a Gaussian expectation, or of a map over positions on both sides or one."""
        if name in self.duals:
            stem = name.removeprefix("dual_")
            primes = 0
            while stem.endswith("_prime"):
                stem, primes = stem.removesuffix("_prime"), primes + 1
            return tag("msub", tag("mi", "E", mathvariant="normal"), tag("mtext", stem + "′" * primes))
        side = "x" if name.endswith("_left") else "x′" if name.endswith("_right") else ""
        found = re.fullmatch(r"_?(\D+?)(\d*)", name.removesuffix("_left").removesuffix("_right"))
        return _marked(found[1].replace("_", "\u00a0"), found[2], side) if found else word(name)


def names_of(recursion: Recursion) -> Names:
    """The names of one recursion."""
    parameters = {p.symbol: p.name or p.symbol.name for p in recursion.parameters}
    return Names(parameters, frozenset(dual.name for dual in recursion.duals))


def word(name: str) -> ET.Element:
    """`sigma_w` as σ with index w, `v3` as v with index 3, and other words upright as they are."""
    stem, _, index = name.partition("_")
    if not index and (found := re.fullmatch(r"([A-Za-z])(\d+)", name)):
        stem, index = found[1], found[2]
    if index and (stem in greek_unicode or len(stem) == 1):
        return tag("msub", _letters(greek_unicode.get(stem, stem)), tag("mtext", index))
    return _letters(greek_unicode.get(name, name))


def _letters(text: str) -> ET.Element:
    return tag("mi", text) if len(text) == 1 else tag("mi", text, mathvariant="normal")


def _marked(stem: str, index: str, side: str) -> ET.Element:
    base, low, high = _letters(stem), tag("mn" if index.isdigit() else "mtext", index), _side(side)
    if index and side:
        return tag("msubsup", base, low, high)
    return tag("msub", base, low) if index else tag("msup", base, high) if side else base


def _side(side: str) -> ET.Element:
    letters = (tag("mi" if part == "x" else "mo", part) for part in side)
    return tag("mrow", *letters)
