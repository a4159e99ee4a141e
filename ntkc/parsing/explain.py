"""Mistake -> Diagnostic: what is wrong with a word, in the words of who wrote it.

The rules look at the kind of the word, the words before it, and what the parser would have taken instead; the first
rule with an answer gives it. They stand from the telling mistakes to the vague ones.
"""

from collections.abc import Callable
from itertools import pairwise

from ntkc.diagnostics import Diagnostic, did_you_mean
from ntkc.parsing.foreign import foreign_sign, foreign_word
from ntkc.parsing.layout import CLOSES, EVERYWHERE, ITEMS, OPERAND_ENDS, STATEMENTS, inner_scan, span_of
from ntkc.parsing.recover import Mistake
from ntkc.parsing.wording import described, expected_words, form

OPERATORS = ("PLUS", "MINUS", "STAR", "SLASH", "CARET", "COMPARE", "PIPE")
_GO_ON = "an expression goes on to the next line inside parentheses, or before `|>`"
_PIPE_HELP = "`|>` binds loosest: write `(h |> f) + x` for the sum, or name the parts"


def explain(m: Mistake) -> Diagnostic:
    for rule in RULES:
        found = rule(m)
        if found:
            return found
    message = f"expected {expected_words(m.expected)}, found {described(m)}"
    return _error(m, "unexpected-word", message, help="" if m.expected & {*OPERATORS} else form(m))


def _error(m: Mistake, code: str, message: str, label: str = "", help: str = "") -> Diagnostic:
    return Diagnostic(code, message, span_of(m.source, m.token), label, help)


def _wants_operand(m: Mistake) -> bool:
    return {"NAME", "NUMBER"} <= m.expected


def keyword_as_name(m: Mistake) -> Diagnostic | None:
    """`layer = 3`, `h = in`, `input scan: vector(3)`."""
    if m.index == m.start + 1 and m.first in STATEMENTS and m.token.type in ("EQUAL", "AUGMENTED"):
        word, help = m.first, form(m)
    elif m.token in EVERYWHERE and m.token.isalpha() and "NAME" in m.expected and m.after() != "NAME":
        word, help = m.token, ""
    else:
        return None
    message = f"`{word}` is a keyword, so nothing can be named so"
    return Diagnostic("keyword-as-name", message, span_of(m.source, word), f"perhaps `{word}_`", help)


def scan_inside(m: Mistake) -> Diagnostic | None:
    if m.token.type != "SCAN" or not (_wants_operand(m) or m.index == m.start):
        return None
    return inner_scan(span_of(m.source, m.token))


def statement_start(m: Mistake) -> Diagnostic | None:
    """The first word of a statement does not begin one."""
    if m.index != m.start:
        return None
    if m.token.type == "RBRACE":
        return _error(m, "unmatched-bracket", "this `}` closes nothing", "no `{` is open here", "remove it")
    if not m.top and m.token in ITEMS:
        help = "move it out of the braces, to the top level of the file"
        return _error(m, "nested-item", f"`{m.token}` cannot stand inside another item", "", help)
    if m.top and m.token.type in (*(word.upper() for word in STATEMENTS), "NAME"):
        return _outside(m)
    if m.token.type in ("RPAR", "RSQB"):
        return None
    kinds = "a file is made of `arch`, `block`, `activation` and `use`" if m.top else "such as `h = …` or `output …`"
    help = kinds if m.top else f"a body is made of statements, {kinds}"
    return _error(m, "no-statement", f"nothing can begin with {described(m)} here", "", help)


def _outside(m: Mistake) -> Diagnostic:
    near = did_you_mean(m.token, ITEMS) if m.after() in ("NAME", "STRING") else ""
    if near:
        return _error(m, "unknown-statement", f"nothing begins with the word `{m.token}`", near)
    help = "write it between the braces of an `arch NAME { … }`"
    return _error(m, "outside-arch", "a statement stands inside an `arch` or a `block`", "", help)


def bare_name(m: Mistake) -> Diagnostic | None:
    """A statement that begins with a name, but not with `name =`."""
    if m.top or m.first.type != "NAME" or m.index != m.start + 1:
        return None
    kind, name = m.token.type, m.first
    at_name = span_of(m.source, name)
    if kind == "NAME" or kind == "NUMBER":
        near = did_you_mean(name, (*STATEMENTS, *ITEMS))
        message = f"no statement begins with the word `{name}`"
        return Diagnostic("unknown-statement", message, at_name, near, "" if near else "a value is named by `name = …`")
    if kind == "COLON":
        help = f"an input is declared by `input {name}: vector(…)`; other values have no types"
        return _error(m, "no-types", "a type stands only after `input`", "", help)
    if kind == "COMMA":
        return _error(m, "one-name", "a statement names one value", "", "write one statement for each name")
    if kind == "LSQB":
        return _error(m, "no-item-assignment", "a part of a value cannot be set", "", "name a new value: `h = …`")
    return _unused(m) if kind in ("_END", "LPAR", *OPERATORS) else None


def _unused(m: Mistake) -> Diagnostic:
    """`relu(h)` alone on its line, or `f(z) = …`, which is meant to define."""
    end = next(i for i in range(m.index, len(m.tokens)) if m.tokens[i].type in ("_END", "LBRACE"))
    words = m.tokens[m.start : end]
    whole = span_of(m.source, m.first).to(span_of(m.source, words[-1]))
    if any(left.type == "RPAR" and right.type == "EQUAL" for left, right in pairwise(words)):
        help = "`activation f(z) = …` defines a function, outside of every `arch`"
        return Diagnostic("misplaced-equal", "only a bare name can be given a value", whole, "", help)
    help = "name it, `h = …`, or make it the `output`"
    return Diagnostic("no-effect", "the value of this line is not used", whole, "", help)


def closer(m: Mistake) -> Diagnostic | None:
    """A closing bracket that closes nothing, or another kind of bracket."""
    if m.token not in (")", "]") or m.token.type not in ("RPAR", "RSQB"):
        return None
    opened = _open_brackets(m)
    if not opened:
        message, mate = f"this `{m.token}` closes nothing", "(" if m.token == ")" else "["
        return _error(m, "unmatched-bracket", message, f"no `{mate}` is open here", "remove it")
    if CLOSES[opened[-1]] == m.token:
        return None
    help = f"write `{CLOSES[opened[-1]]}`"
    return _error(m, "mismatched-bracket", f"`{opened[-1]}` cannot be closed by `{m.token}`", "", help)


def _open_brackets(m: Mistake) -> list[str]:
    opened: list[str] = []
    for token in m.here():
        if token in ("(", "["):
            opened.append(str(token))
        elif token in (")", "]") and opened:
            opened.pop()
    return opened


def missing_type(m: Mistake) -> Diagnostic | None:
    """`input x: vector`, whose sizes are missing."""
    if m.first.type != "INPUT" or m.expected != {"LPAR"}:
        return None
    help = f"write `{m.before}(…)`; `_` is a size known only at run time"
    return Diagnostic("missing-sizes", "a type needs its sizes", span_of(m.source, m.before), "of what size?", help)


def missing_body(m: Mistake) -> Diagnostic | None:
    if "LBRACE" not in m.expected or m.token.type not in ("_END", "COLON"):
        return None
    hint = "leave out the `:`" if m.token == ":" else "the `{` stands on the same line"
    help = hint if m.after() == "LBRACE" else form(m)
    return _error(m, "missing-brace", f"expected `{{`, found {described(m)}", "", help)


def empty_target(m: Mistake) -> Diagnostic | None:
    """`|>` without a function after it."""
    if m.before.type != "PIPE" or m.index == m.start:
        return None
    help = "`h |> f` is `f(h)`, and `h |> f(a)` is `f(h, a)`"
    return _error(m, "missing-function", f"after `|>` comes the name of a function, not {described(m)}", "", help)


def missing_expression(m: Mistake) -> Diagnostic | None:
    if not _wants_operand(m) or m.index == m.start:
        return None
    if m.before.type in OPERATORS or m.before.type == "EQUAL":
        help = "a number needs no `+` before it" if m.token == "+" else _GO_ON if m.goes_on else ""
        message = f"`{m.before}` needs an expression after it"
        return _error(m, "missing-expression", message, f"found {described(m)}", help)
    help = form(m) if m.index == m.start + 1 else ""
    return _error(m, "missing-expression", f"expected an expression, found {described(m)}", "", help)


def after_pipe(m: Mistake) -> Diagnostic | None:
    """An operator or index straight after the function of a `|>`."""
    if m.token.type not in (*OPERATORS, "LSQB") or "PIPE" not in m.expected:
        return None
    if m.token.type == "COMPARE" and ("PLUS" in m.expected or not _last_is_target(m)):
        label = "did you mean `|>`?" if m.token == ">" and m.after() == "NAME" else ""
        return _error(m, "chained-comparison", "comparisons do not chain", label, "put one `where` inside another")
    help = "write `(h |> f)[1:]`" if m.token.type == "LSQB" else _PIPE_HELP
    return _error(m, "pipe-operand", f"`{m.token}` cannot follow the function of a `|>`", "", help)


def _last_is_target(m: Mistake) -> bool:
    """Whether the words end in `|> f` or `|> f(…)`."""
    depth = 0
    for token in reversed(m.here()):
        depth += (token in (")", "]")) - (token in ("(", "["))
        if depth == 0 and token.type in OPERATORS:
            return token.type == "PIPE"
    return False


def after_scan(m: Mistake) -> Diagnostic | None:
    """`hs = scan … { … } |> last`."""
    if m.before.type != "RBRACE" or m.token.type not in (*OPERATORS, "LSQB") or not m.scans:
        return None
    help = f"use its name on a line of its own: `output {m.first} {m.token} …`"
    return _error(m, "scan-in-expression", "a statement ends with the `}` of its `scan`", "", help)


def unnamed_output(m: Mistake) -> Diagnostic | None:
    """`output a, b`."""
    if m.first.type != "OUTPUT" or m.token.type != "COMMA" or _open_brackets(m):
        return None
    return _error(m, "unnamed-output", "several outputs each need a name", "", "write `output a = …, b = …`")


def equal_inside(m: Mistake) -> Diagnostic | None:
    """`h = a = b`, `f(2 * x = 3)`, `where(h[0] = 1, a, b)`."""
    if m.token.type != "EQUAL" or not m.expected & {*OPERATORS, "COMMA", "SEMICOLON"}:
        return None
    help = "`=` names a value, or an argument by its bare name: `dense(h, W_std=2)`"
    if "SEMICOLON" in m.expected:
        help = "parameters stand behind a `;`: `activation f(z; beta = 1) = …`"
    return _error(m, "misplaced-equal", "this `=` has nothing to name", "", help)


def adjacent(m: Mistake) -> Diagnostic | None:
    """Two things side by side, with nothing between them."""
    if m.token.type not in ("NAME", "NUMBER", "LPAR", "LSQB", "LBRACE", *(w.upper() for w in (*ITEMS, *STATEMENTS))):
        return None
    if m.before.type not in (*OPERAND_ENDS, "RBRACE") or not m.expected & {"_END", "COMMA", *OPERATORS}:
        return None
    if _open_brackets(m) and m.token.type != "LPAR":
        label = "a `,` or an operator is missing before this"
        return _error(m, "missing-comma", f"expected `,` or an operator, found {described(m)}", label)
    if m.before.type == "RBRACE" or m.after() == "EQUAL" or m.token in STATEMENTS:
        help = "begin a new line, or put `;` between them"
        return _error(m, "two-statements", "two statements stand on one line", "the second begins here", help)
    if m.token.type == "LPAR" and m.before.type != "NUMBER":
        return _error(m, "not-a-function", "only a name can be called", "", "a product is written with `*`")
    if not m.expected & {*OPERATORS}:
        return None
    help = "a product is written with `*`, and `|>` applies a function"
    return _error(m, "missing-operator", f"expected an operator, found {described(m)}", "", help)


def semicolon(m: Mistake) -> Diagnostic | None:
    if m.token.type != "SEMICOLON":
        return None
    help = "`;` divides only the head of an activation: `activation f(z; beta = 1) = …`"
    return _error(m, "misplaced-semicolon", "a `;` cannot stand inside brackets here", "write `,`", help)


RULES: tuple[Callable[[Mistake], Diagnostic | None], ...] = (
    foreign_word,
    keyword_as_name,
    foreign_sign,
    scan_inside,
    statement_start,
    bare_name,
    closer,
    semicolon,
    missing_type,
    missing_body,
    empty_target,
    missing_expression,
    after_scan,
    after_pipe,
    unnamed_output,
    equal_inside,
    adjacent,
)
