"""Expr -> MathML Core. SymPy's own printer writes what browsers no longer show, and prints steps and pieces as lists."""

import re
import xml.etree.ElementTree as ET
from typing import Any

import sympy as sp
from sympy.core.function import Application
from sympy.printing.precedence import PRECEDENCE, precedence, precedence_traditional
from sympy.printing.printer import Printer

from ntkc.verify.report.html import Child, tag
from ntkc.verify.report.names import Names, word

TIMES, APPLY, MINUS = "\u2062", "\u2061", "−"
WORDS = {"Max": "max", "Min": "min", "sign": "sgn", "log": "ln"}
RELATIONS = {">=": "≥", "<=": "≤", "!=": "≠", "==": "="}


def equation(left: sp.Expr | Child, right: sp.Expr, names: Names, text: str = "") -> ET.Element:
    """left = right on a line of its own; `text` is what to read out where `left` is MathML."""
    printer = MathML(names)
    head = printer.doprint(left) if isinstance(left, sp.Basic) else left
    row = _row(head, _mo("="), printer.doprint(right))
    return tag("div", _math(f"{text or left} = {right}", row, display="block"), class_="formula")


def inline(expr: sp.Basic, names: Names) -> ET.Element:
    """A formula within text, its fractions as large as on a line of their own."""
    return _math(str(expr), MathML(names).doprint(expr), displaystyle="true")


def _math(text: str, content: ET.Element, **attributes: str) -> ET.Element:
    return tag("math", content, alttext=text, **attributes)


def _row(*children: Child) -> ET.Element:
    return tag("mrow", *children)


def _mo(text: str) -> ET.Element:
    return tag("mo", text)


def _fenced(content: ET.Element, left: str = "(", right: str = ")") -> ET.Element:
    return _row(tag("mo", left), content, tag("mo", right))


class MathML(Printer):
    """Covers what derivations are made of; a function it has no rule for is printed by its name."""

    def __init__(self, names: Names) -> None:
        super().__init__()
        self.names = names

    def doprint(self, expr: Any) -> ET.Element:
        found: ET.Element = self._print(expr)
        return found

    def emptyPrinter(self, expr: Any) -> ET.Element:
        return tag("mtext", str(expr))

    def _inside(self, expr: sp.Expr, level: int) -> ET.Element:
        """In parentheses where it binds less than its surroundings."""
        loose = precedence(expr) < level or precedence_traditional(expr) < level
        return _fenced(self.doprint(expr)) if loose else self.doprint(expr)

    def _print_Symbol(self, expr: sp.Symbol) -> ET.Element:
        return self.names.symbol(expr)

    def _print_Add(self, expr: sp.Add) -> ET.Element:
        row = _row()
        for i, term in enumerate(expr.as_ordered_terms()):
            minus = precedence(term) < PRECEDENCE["Mul"] and term.could_extract_minus_sign()
            if i or minus:
                row.append(_mo(MINUS if minus else "+"))
            row.append(self._inside(-term if minus else term, PRECEDENCE["Add"] + 1))
        return row

    def _print_Mul(self, expr: sp.Mul) -> ET.Element:
        if expr.as_coeff_Mul()[0].could_extract_minus_sign():
            return _row(_mo(MINUS), self._inside(-expr, PRECEDENCE["Mul"]))
        top, bottom = sp.fraction(expr, exact=True)
        if bottom != 1:
            return tag("mfrac", self.doprint(top), self.doprint(bottom))
        if not expr.is_Mul:  # a fraction has been taken apart
            return self.doprint(expr)
        row = _row()
        for i, factor in enumerate(expr.as_ordered_factors()):
            if i:
                row.append(tag("mspace", width="0.17em") if isinstance(factor, Application) else _mo(TIMES))
            row.append(self._inside(factor, PRECEDENCE["Mul"]))
        return row

    def _print_Pow(self, expr: sp.Pow) -> ET.Element:
        base, power = expr.as_base_exp()
        if power.is_Rational and power < 0:
            return tag("mfrac", tag("mn", "1"), self.doprint(base ** (-power)))
        if power == sp.Rational(1, 2):
            return tag("msqrt", self.doprint(base))
        exponent = tag("mn", str(power)) if power.is_Rational else self.doprint(power)
        below = self._inside(base, PRECEDENCE["Pow"] + 1)
        if below.tag == "msub":
            return tag("msubsup", *below, exponent)
        return tag("msup", _fenced(below) if below.tag in ("msup", "msubsup") else below, exponent)

    def _print_exp(self, expr: sp.exp) -> ET.Element:
        return tag("msup", tag("mi", "e", mathvariant="normal"), self.doprint(expr.exp))

    def _print_Integer(self, expr: sp.Integer) -> ET.Element:
        return tag("mn", str(expr)) if expr >= 0 else _row(_mo(MINUS), tag("mn", str(-expr)))

    def _print_Rational(self, expr: sp.Rational) -> ET.Element:
        if expr < 0:
            return _row(_mo(MINUS), self.doprint(-expr))
        if expr.p == 1 and re.fullmatch("10{4,}", str(expr.q)):
            return tag("msup", tag("mn", "10"), _row(_mo(MINUS), tag("mn", str(len(str(expr.q)) - 1))))
        return tag("mfrac", tag("mn", str(expr.p)), tag("mn", str(expr.q)))

    def _print_Float(self, expr: sp.Float) -> ET.Element:
        return tag("mn", f"{float(expr):.15g}")

    def _print_Pi(self, expr: Any) -> ET.Element:
        return tag("mi", "π", mathvariant="normal")

    def _print_Exp1(self, expr: Any) -> ET.Element:
        return tag("mi", "e", mathvariant="normal")

    def _print_ImaginaryUnit(self, expr: Any) -> ET.Element:
        return tag("mi", "i", mathvariant="normal")

    def _print_Abs(self, expr: sp.Abs) -> ET.Element:
        return _fenced(self.doprint(expr.args[0]), "|", "|")

    def _print_Heaviside(self, expr: sp.Heaviside) -> ET.Element:
        condition = _row(self.doprint(expr.args[0]), _mo(">"), tag("mn", "0"))
        return tag("msub", tag("mn", "1"), condition)

    def _print_DiracDelta(self, expr: sp.DiracDelta) -> ET.Element:
        order = int(expr.args[1]) if len(expr.args) > 1 else 0
        head = tag("msup", tag("mi", "δ"), _fenced(tag("mn", str(order)))) if order else tag("mi", "δ")
        return _row(head, _mo(APPLY), _fenced(self.doprint(expr.args[0])))

    def _print_Piecewise(self, expr: sp.Piecewise) -> ET.Element:
        rows = (tag("mtr", tag("mtd", self.doprint(value)), tag("mtd", self._where(c))) for value, c in expr.args)
        return _row(_mo("{"), tag("mtable", *rows))

    def _where(self, condition: sp.Basic) -> ET.Element:
        if condition is sp.S.true:
            return tag("mtext", "otherwise")
        return _row(tag("mtext", "if\u00a0"), self.doprint(condition))

    def _print_Relational(self, expr: Any) -> ET.Element:
        return _row(self.doprint(expr.lhs), _mo(RELATIONS.get(expr.rel_op, expr.rel_op)), self.doprint(expr.rhs))

    def _print_Interval(self, expr: sp.Interval) -> ET.Element:
        ends = _row(self.doprint(expr.start), _mo(","), self.doprint(expr.end))
        return _fenced(ends, "(" if expr.left_open else "[", ")" if expr.right_open else "]")

    def _print_Infinity(self, expr: Any) -> ET.Element:
        return tag("mi", "∞")

    def _print_NegativeInfinity(self, expr: Any) -> ET.Element:
        return _row(_mo(MINUS), tag("mi", "∞"))

    def _print_AppliedUndef(self, expr: Any) -> ET.Element:
        name = expr.func.__name__
        if name == "_zeros":
            sizes = " × ".join(map(str, expr.args[1:]))
            return tag("msub", tag("mn", "0"), tag("mtext", sizes)) if sizes else tag("mn", "0")
        return self._applied(self.names.function(name), expr.args)

    def _print_Application(self, expr: Any) -> ET.Element:
        name = expr.func.__name__
        return self._applied(word(WORDS.get(name, name)), expr.args)

    def _applied(self, head: ET.Element, arguments: tuple[sp.Expr, ...]) -> ET.Element:
        row = _row(_mo("("))
        for i, argument in enumerate(arguments):
            if i:
                row.append(_mo(","))
            row.append(self.doprint(argument))
        row.append(_mo(")"))
        return _row(head, _mo(APPLY), row)
