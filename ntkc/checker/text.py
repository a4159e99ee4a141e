"""Text -> SymPy, through Python's own parser: names, numbers, arithmetic, comparisons and calls, and nothing else."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

SAME = sp.Symbol("same", nonnegative=True)
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Lt: sp.Lt,
    ast.LtE: sp.Le,
    ast.Gt: sp.Gt,
    ast.GtE: sp.Ge,
    ast.Eq: sp.Eq,
    ast.NotEq: sp.Ne,
    ast.BitAnd: sp.And,
    ast.BitOr: sp.Or,
}
_FUNCTIONS = {
    name: getattr(sp, name)
    for name in (
        *("Abs", "DiracDelta", "Heaviside", "Max", "Min", "Piecewise", "acos", "asin", "atan", "atan2", "cos", "cosh"),
        *("erf", "erfc", "exp", "log", "sign", "sin", "sinh", "sqrt", "tan", "tanh"),
    )
}
_CONSTANTS = {"pi": sp.pi, "E": sp.E, "oo": sp.oo, "True": sp.true, "False": sp.false}


class Unreadable(Exception):
    """The text is no expression."""


class Reader:
    """Reads expressions; `signs` says of which symbols more is assumed than that they are real."""

    def __init__(self, signs: Mapping[str, str]) -> None:
        self._symbols = {
            name: sp.Symbol(name, real=True, **({sign: True} if sign != "real" else {})) for name, sign in signs.items()
        }
        self._symbols["same"] = SAME

    def symbol(self, name: str) -> sp.Symbol:
        return self._symbols.setdefault(name, sp.Symbol(name, real=True))

    def __call__(self, text: str) -> sp.Expr:
        try:
            return self._read(ast.parse(text, mode="eval").body)
        except (SyntaxError, TypeError, ValueError, RecursionError) as error:
            raise Unreadable(f"{text[:60]}: {error}") from error

    def _read(self, node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=bool() as value):
                return sp.true if value else sp.false
            case ast.Constant(value=int() as value):
                return sp.Integer(value)
            case ast.Constant(value=float()):
                return sp.Rational(ast.unparse(node))
            case ast.Name(id=name):
                return self._symbols.get(name) or _CONSTANTS.get(name) or self.symbol(name)
            case ast.UnaryOp(op=op, operand=inner):
                return _OPERATORS[type(op)](self._read(inner))
            case ast.BinOp(left=left, op=op, right=right):
                return _OPERATORS[type(op)](self._read(left), self._read(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return _OPERATORS[type(op)](self._read(left), self._read(right))
            case ast.Tuple(elts=parts):
                return tuple(map(self._read, parts))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return _FUNCTIONS.get(name, sp.Function(name))(*map(self._read, arguments))
        raise Unreadable(ast.unparse(node)[:60])
