"""Source -> File: the syntax tree of a program, or every mistake in it that does not follow from another."""

from ntkc.diagnostics import ArchError
from ntkc.ir.syntax import File
from ntkc.parsing.build import build
from ntkc.parsing.check import check
from ntkc.parsing.explain import explain
from ntkc.parsing.layout import layout
from ntkc.parsing.recover import MOST, Recovery
from ntkc.source import Source


def parse(source: Source) -> File:
    words = layout(source)  # Source -> Words
    recovery = Recovery(source, words, explain)
    tree = recovery.run()  # Words -> Tree
    found = [*words.diagnostics, *recovery.diagnostics]
    found = found or check(source, tree)  # Tree -> findings, among them a tree too deep to build from
    if found:
        raise ArchError(sorted(found, key=lambda d: d.span.start)[:MOST])
    return build(source, tree, words.comments)  # Tree -> File
