"""Words of the grammar in the user's words."""

from lark import Token

from ntkc.parsing.recover import Mistake

# first word of a statement -> how it is written
FORMS = {
    "USE": 'an import is written `use "other.arch": NAME, NAME`',
    "ACTIVATION": "an activation is written `activation f(z; beta = 1) = …`",
    "BLOCK": "a block is written `block f(h) { … return … }`",
    "ARCH": "an architecture is written `arch NAME { … }`",
    "INPUT": "an input is written `input x: vector(784)`",
    "PARAM": "a parameter is written `param p = 1.5` or `param p = 1.5 in [0, inf)`",
    "CONST": "a constant is written `const n = 3`",
    "OPTION": "an option is written `option parameterization = ntk`",
    "LAYER": "shared weights are written `layer W = dense(…)`",
    "REPEAT": "a repetition is written `repeat n { … }`",
    "RETURN": "a result is written `return …`",
    "OUTPUT": "an output is written `output …` or `output a = …, b = …`",
}

_OPERANDS = frozenset({"NAME", "NUMBER"})
_OPERATORS = frozenset({"PIPE", "PLUS", "MINUS", "STAR", "SLASH", "CARET", "COMPARE"})
_NAMED = {
    "_END": "the end of the line",
    "$END": "the end of the file",
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a file name in quotes",
}
_SIGNS = {
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "LBRACE": "{",
    "RBRACE": "}",
    "COMMA": ",",
    "COLON": ":",
    "SEMICOLON": ";",
    "EQUAL": "=",
}


SCAN_FORM = "a scan is written `hs = scan u in x, h = 0 { … }`, with at least one state"


def form(m: Mistake) -> str:
    """How the statement at hand is written."""
    return SCAN_FORM if m.scans else FORMS.get(m.first.type, "")


def described(m: Mistake) -> str:
    """The word that does not fit."""
    return _end(m) if m.token.type == "_END" else f"`{_short(m.token)}`"


def _short(token: Token, width: int = 40) -> str:
    return str(token) if len(token) <= width else f"{token[:width]}…"


def _end(m: Mistake) -> str:
    rest = m.source.text[m.token.end_pos :].lstrip(" \t\r\f")
    if not rest.strip():
        return "the end of the file"
    return f"`{rest[0]}`" if rest[0] in "};" else "the end of the line"


def expected_words(expected: frozenset[str]) -> str:
    """`a name, ":" or an expression`."""
    words: list[str] = []
    if expected >= _OPERANDS:
        words.append("an expression")
        expected -= _OPERANDS | {"LPAR", "MINUS"}
    if len(expected & _OPERATORS) > 1:
        words.append("an operator")
        expected -= _OPERATORS | {"LSQB"}
    words += [_word(kind) for kind in sorted(expected, key=lambda kind: (kind in ("_END", "$END"), kind))]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _word(kind: str) -> str:
    return _NAMED.get(kind) or f"`{_SIGNS.get(kind, kind.lower())}`"
