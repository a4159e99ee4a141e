"""What other languages write, and what is written here instead."""

import re
import unicodedata
from collections.abc import Callable

from ntkc.diagnostics import Diagnostic
from ntkc.parsing.layout import span_of
from ntkc.parsing.recover import Mistake
from ntkc.source import Span

_DEFINE = "`activation f(z) = …` defines a scalar function, `block f(h) { … return … }` a piece of a network"
_LOOP = "`repeat n { … }` runs its body n times; `hs = scan u in x, h = 0 { … }` walks a sequence"
_BRANCH = "`where(cond, a, b)` is `a` where the condition holds, and `b` elsewhere"
_LOGIC = "put one `where(cond, a, b)` inside another"

# word -> (message, help); each begins a statement
STARTS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("let", "var", "val", "mut", "auto"), ("a value is named without `{}`", "write `name = …`")),
    **dict.fromkeys(("def", "fn", "func", "function", "fun", "lambda"), ("there is no `{}` here", _DEFINE)),
    **dict.fromkeys(("class", "model", "module", "network", "struct"), ("there is no `{}`", "write `arch NAME { … }`")),
    **dict.fromkeys(("for", "while", "loop", "foreach"), ("there is no `{}` loop", _LOOP)),
    **dict.fromkeys(("if", "elif", "else", "switch", "match"), ("there is no `{}`", _BRANCH)),
    **dict.fromkeys(("import", "from", "include"), ("there is no `{}`", 'write `use "other.arch": NAME, NAME`')),
}
# word -> help; each stands between two expressions
BETWEEN = {"if": _BRANCH, "else": _BRANCH, "and": _LOGIC, "or": _LOGIC, "not": _LOGIC}

LOOK_ALIKES = {
    **dict.fromkeys("−–—", "-"),
    **dict.fromkeys("×·∙⋅", "*"),
    "÷": "/",
    "≤": "<=",
    "≥": ">=",
    "（": "(",
    "）": ")",
    "，": ",",
    "：": ":",
    "；": ";",
    "≠": "",
    "\\": "",
}

COMPARISONS = "the comparisons are `<`, `<=`, `>` and `>=`, and they stand inside `where`"


def foreign_word(m: Mistake) -> Diagnostic | None:
    if m.first.type == "NAME" and m.first in STARTS and m.tokens[m.start + 1].type != "EQUAL":
        message, help = STARTS[m.first]
        return Diagnostic("foreign-word", message.format(m.first), span_of(m.source, m.first), help=help)
    if m.token.type == "NAME" and m.token in BETWEEN:
        span = span_of(m.source, m.token)
        return Diagnostic("foreign-word", f"there is no `{m.token}`", span, help=BETWEEN[m.token])
    return None


def foreign_sign(m: Mistake) -> Diagnostic | None:
    rule = SIGNS.get(m.token.type)
    return rule(m) if rule else None


def _at(m: Mistake, width: int = 0) -> Span:
    """The place of the word, or of its first characters."""
    span = span_of(m.source, m.token)
    return Span(m.source, span.start, span.start + width) if width else span


def _power(m: Mistake) -> Diagnostic:
    return Diagnostic("power-sign", "a power is written with `^`", _at(m), "write `^`")


def _equality(m: Mistake) -> Diagnostic:
    if m.index == m.start + 1 and m.token == "==":
        return Diagnostic("assignment-sign", "a value is named with one `=`", _at(m), "write `=`")
    return Diagnostic("no-equality", f"there is no `{m.token}`", _at(m), help=COMPARISONS)


def _walrus(m: Mistake) -> Diagnostic:
    return Diagnostic("assignment-sign", "a value is named with `=`", _at(m), "write `=`")


def _augmented(m: Mistake) -> Diagnostic:
    name, sign = (m.first if m.first.type == "NAME" else "h"), m.token.removesuffix("=")
    message = f"there is no `{m.token}`"
    return Diagnostic("assignment-sign", message, _at(m), help=f"write `{name} = {name} {sign} …`")


def _hash(m: Mistake) -> Diagnostic:
    return Diagnostic("comment-sign", "a comment begins with `//`", _at(m, 1), "write `//`")


def _block_comment(m: Mistake) -> Diagnostic:
    return Diagnostic("comment-sign", "a comment runs from `//` to the end of its line", _at(m, 2), "write `//`")


def _arrow(m: Mistake) -> Diagnostic:
    message = f"`{m.token}` is not an operator"
    span = _at(m)
    if m.token == "|" and m.after() == "COMPARE" and m.tokens[m.index + 1] == ">":
        message, span = "`|>` is written without a space", span.to(span_of(m.source, m.tokens[m.index + 1]))
    return Diagnostic("pipe-sign", message, span, "did you mean `|>`?", "`h |> f` is `f(h)`")


def _logic(m: Mistake) -> Diagnostic:
    return Diagnostic("no-logic", f"there is no `{m.token}`", _at(m), help=_LOGIC)


def _dot(m: Mistake) -> Diagnostic:
    if len(m.token) > 1:
        return Diagnostic("no-ellipsis", f"there is no `{m.token}`", _at(m), "write `:` for a whole axis")
    help = "layers and functions go by their bare names: `relu(h)`, or `h |> relu`"
    return Diagnostic("no-attributes", "a name has no parts to reach with `.`", _at(m), help=help)


def _number(m: Mistake) -> Diagnostic:
    text = str(m.token)
    if "NUMBER" not in m.expected and "NAME" in m.expected:
        return Diagnostic("bad-name", f"`{text}` is not a name", _at(m), "a name begins with a letter or `_`")
    split = re.fullmatch(r"([0-9.]+)([A-Za-z][A-Za-z0-9_]*)", text)
    if text.count(".") > 1:
        label = "a number has at most one `.`"
    elif re.fullmatch(r"[0-9_.]+", text):
        label = f"write `{text.replace('_', '')}`"
    elif re.fullmatch(r"[0-9.]+[eE]", text):
        label = "digits must follow the exponent's `e`"
    elif split and not text.startswith(("0x", "0b", "0o")):
        label = f"did you mean `{split[1]} * {split[2]}`?"
    else:
        label = "numbers look like `3`, `0.5` and `1e-3`"
    return Diagnostic("bad-number", f"`{text}` is not a number", _at(m), label)


def _name(m: Mistake) -> Diagnostic:
    plain = "".join(_ascii(char) for char in m.token)
    label = f"write `{plain}`" if plain.isidentifier() else ""
    message = "a name is made of the letters a to z and A to Z, digits and `_`"
    return Diagnostic("bad-name", message, _at(m), label)


def _ascii(char: str) -> str:
    """`σ` -> `sigma`, `é` -> `e`; what has no such form stays out."""
    if char.isascii():
        return char
    words = unicodedata.name(char, "").split()
    if words[:1] == ["GREEK"] and "LETTER" in words:
        return words[words.index("LETTER") + 1].lower()
    return "".join(part for part in unicodedata.normalize("NFKD", char) if part.isascii())


def _string(m: Mistake) -> Diagnostic:
    inner = str(m.token).strip("\"'“”")
    if "STRING" in m.expected:
        label = 'the closing `"` is missing' if m.token.startswith('"') else f'write `"{inner}"`'
        return Diagnostic("bad-string", 'a file name stands between two `"`', _at(m), label)
    label = f"write `{inner}`" if inner.isidentifier() and inner.isascii() else ""
    help = "words that choose something are written without quotes: `padding=same`"
    return Diagnostic("string-outside-use", "a string stands only after `use`", _at(m), label, help)


def _unknown(m: Mistake) -> Diagnostic:
    char = str(m.token)
    name = unicodedata.name(char, f"U+{ord(char):04X}").lower()
    shown = f"`{char}`" if char.isprintable() and char.isascii() else f"`{char}` ({name})" if char.isprintable() else name
    label = f"write `{LOOK_ALIKES[char]}`" if LOOK_ALIKES.get(char) else ""
    if char.isspace():
        label = "write an ordinary space"
    elif char == "\\":
        label = "a line goes on by itself inside ( ), or before `|>`"
    elif char == "@":
        label = "a matrix product with trained weights is `dense`"
    return Diagnostic("unknown-character", f"{shown} has no meaning here", _at(m), label)


SIGNS: dict[str, Callable[[Mistake], Diagnostic]] = {
    "DOUBLE_STAR": _power,
    "DOUBLE_EQUAL": _equality,
    "NOT_EQUAL": _equality,
    "WALRUS": _walrus,
    "AUGMENTED": _augmented,
    "HASH_COMMENT": _hash,
    "BLOCK_COMMENT": _block_comment,
    "ARROW": _arrow,
    "SHIFT": _arrow,
    "BAR": _arrow,
    "LOGIC": _logic,
    "DOT": _dot,
    "BAD_NUMBER": _number,
    "BAD_NAME": _name,
    "BAD_STRING": _string,
    "STRING": _string,
    "UNKNOWN": _unknown,
}
