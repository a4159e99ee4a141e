"""Walks a certificate: every claim follows from the network by a rule, reads only what was proven before it, and rests on
premises that hold; every expectation is the closed form it says, or a series as close as it says."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ntkc.checker import chains, normalized, series
from ntkc.checker.compare import Comparison
from ntkc.checker.layers import Contradicted, Unknown
from ntkc.checker.moments import Moments
from ntkc.checker.premises import discharged
from ntkc.checker.statement import Statement
from ntkc.checker.text import Reader, Unreadable
from ntkc.checker.turns import needed

FORMAT = "ntkc-certificate/1"
Steps = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one claim: proven, checked (at points), bounded, UNKNOWN (no rule says so), or FAILED."""

    claim: str
    status: str
    detail: str
    expectation: bool = False

    @property
    def ok(self) -> bool:
        return self.status != "FAILED"


class NoCertificate(Exception):
    """The data is no certificate of this format."""


def prove(certificate: dict[str, Any], seed: int = 0) -> list[Finding]:
    """A finding for each expectation, each moment and each output."""
    if not isinstance(certificate, dict) or certificate.get("format") != FORMAT:
        raise NoCertificate(f"not a certificate: it does not say `format: {FORMAT}`")
    try:
        return [*_expectations(certificate, seed), *_normalizations(certificate), *Checker(certificate).findings()]
    except (KeyError, IndexError, TypeError, AttributeError, Unreadable) as error:
        raise NoCertificate(f"the certificate is damaged: {type(error).__name__}: {error}") from error


def _expectations(certificate: dict[str, Any], seed: int) -> Iterator[Finding]:
    read = Reader({**certificate["symbols"], **chains.SIGNS})
    for entry in certificate["expectations"]:
        f, g = read(entry["f"]), read(entry["g"])
        name = f"{entry['name']}: E f(u) g(v), f = {f}" + ("" if f == g else f", g = {g}")
        if "chains" not in entry:
            ok, detail = series.check(f, g, entry)
            yield Finding(name, "bounded" if ok else "FAILED", detail, True)
            continue
        parts = tuple(
            chains.Chain(read(c["f"]), read(c["g"]), tuple(map(read, c["links"])), read(c["value"])) for c in entry["chains"]
        )
        findings = chains.check(chains.Expectation(f, g, read(entry["value"]), parts), seed)
        broken = [finding for finding in findings if not finding.ok]
        links = [finding for finding in findings if finding.claim.startswith("d/dc")]
        exact = sum(finding.exact for finding in links)
        rest = f"{len(findings) - exact} claims at random points"
        detail = f"{exact} of {len(links)} Price links exactly, {rest}" if links else f"no Price link is needed, {rest}"
        yield from (Finding(f"{name}: {finding.claim}", "FAILED", finding.detail, True) for finding in broken)
        if not broken:
            yield Finding(name, "proven" if links and exact == len(links) else "checked", detail, True)


def _normalizations(certificate: dict[str, Any]) -> Iterator[Finding]:
    read = Reader({**certificate["symbols"], **chains.SIGNS})
    for entry in certificate["maps"]:
        if entry["geometry"]["class"] == "Normalization":
            found = normalized.check(entry, certificate["expectations"], read)
            yield from (Finding(claim, status, detail, True) for claim, status, detail in found)


class Checker:
    """The moments of one certificate."""

    def __init__(self, certificate: dict[str, Any]) -> None:
        self.certificate, self.statement = certificate, Statement(certificate)
        self.read = Reader(certificate["symbols"])
        self.moments = Moments(self.statement, self.read)
        formula = Reader({**certificate["symbols"], **chains.SIGNS})
        closed = {e["name"]: formula(e["value"]) for e in certificate["expectations"] if "value" in e}
        series = {e["name"]: (self.read(e["f"]), self.read(e["g"])) for e in certificate["expectations"] if "value" not in e}
        diagonals = dict(self._diagonals(certificate["steps"]))
        self.equal = Comparison(closed, series, self.moments.means, self._variances(certificate["steps"]), diagonals)
        names = {name for d in certificate["data"] for name in d["symbols"]}
        self.given = {*certificate["symbols"], *names, "same", *(f"{name}_self" for name in names)}

    def _variances(self, steps: Steps) -> set[str]:
        """Names of second moments of a value with itself, at x and x'."""
        found: set[str] = set()
        for step in steps:
            for moment in step.get("states", [step] if "moment" in step else []):
                kind, p, q, side = moment["moment"]
                if kind == "S" and p == q and side == "1":
                    found |= {moment[n][:-1] + end for n in ("symbol", "result") if n in moment for end in "12"}
            found |= self._variances(step.get("body", []))
        return found

    def _diagonals(self, steps: Steps) -> Iterator[tuple[sp.Expr, sp.Expr]]:
        """A table between x and itself at matching positions, and the same moment at x where it has a name of its own."""
        names: dict[tuple[Any, ...], str] = {}
        for step in steps:
            yield from self._diagonals(step.get("body", []))
            for moment in step.get("states", [step] if "moment" in step else []):
                for name in ("symbol", "result") if "result" in moment else ("symbol",):
                    names[(*moment["moment"], name)] = moment[name]
        for (kind, p, q, side, name), symbol in names.items():
            if side == "12" and (kind, p, q, "1", name) in names:
                yield sp.Function("diagonal")(self.read(f"{symbol}_self")), self.read(names[kind, p, q, "1", name])

    def findings(self) -> Iterator[Finding]:
        known = set(self.given)
        yield from self._walk(self.certificate["steps"], known)
        for output in self.certificate["outputs"]:
            for name, kind in (("nngp", "S"), ("ntk", "T")):
                if output[name] is not None:
                    where = f"the {name} of {output['name'] or 'the output'}"
                    yield self._compared(where, output[name], (kind, output["node"], output["node"], "12"), known, mean=True)

    def _walk(self, steps: Steps, known: set[str]) -> Iterator[Finding]:
        for step in steps:
            if "loop" in step:
                yield from self._loop(step, known)
                continue
            claim = f"{step['symbol']} = {step['value']}, by {step['rule']}"
            yield self._compared(claim, step["value"], tuple(step["moment"]), known, step["premises"], by_rule=True)
            known |= self._names(step["symbol"])

    def _loop(self, step: dict[str, Any], known: set[str]) -> Iterator[Finding]:
        """By induction: what is carried starts as it should, and a turn leads to the next one."""
        loop = self.statement.loops[step["loop"]]
        inside = set(known).union(*(self._names(s["symbol"]) for s in step["states"]))
        for state in step["states"]:
            if not loop["scan"]:
                yield self._compared(
                    f"{state['symbol']} starts as {state['initial']}", state["initial"], self._at(state, 0), known
                )
            elif not state["initial"].startswith("_zeros("):
                yield Finding(f"{state['symbol']} starts as {state['initial']}", "FAILED", "a scan starts from zero")
        yield from self._walk(step["body"], inside)
        for state in step["states"]:
            claim = f"{state['symbol']} becomes {state['following']} in a turn"
            yield self._compared(claim, state["following"], self._at(state, 1), inside)
        yield self._turns(step, loop)
        known |= set[str]().union(*(self._names(state["result"]) for state in step["states"]))

    def _turns(self, step: dict[str, Any], loop: dict[str, Any]) -> Finding:
        """A `repeat` takes its turns; a scan as many as its tables need, or more."""
        least = needed(step, self.statement, self.read) if loop["scan"] else loop["count"]
        enough = least is not None and (step["turns"] >= least if loop["scan"] else step["turns"] == least)
        return Finding(
            f"loop {step['loop']} takes {step['turns']} turns", "proven" if enough else "FAILED", f"{least} are needed"
        )

    def _at(self, state: dict[str, Any], after: int) -> tuple[str, int, int, str]:
        """The moment of what a loop carries, before it or after a turn."""
        kind, p, q, side = state["moment"]
        ends = [self.statement.slot(i)[("initial", "following")[after]] if self._carried(i) else i for i in (p, q)]
        return kind, ends[0], ends[1], side

    def _carried(self, i: int) -> bool:
        return self.statement.kind(i) == "CarriedNode" and self.statement.carries(i, scan=False)

    def _names(self, symbol: str) -> set[str]:
        """A moment at x stands for the same at x'."""
        return {symbol, f"{symbol[:-2]}_2"} if symbol.endswith("_1") else {symbol}

    def _compared(
        self, claim: str, text: str, key: Any, known: set[str], premises: Any = (), mean: bool = False, by_rule: bool = False
    ) -> Finding:
        value = self.read(text)
        unknown = sorted(s.name for s in value.free_symbols if s.name not in known and not s.name.startswith("given_"))
        if unknown:
            return Finding(claim, "FAILED", f"it reads {unknown[0]}, which is not known yet")
        try:
            reasons = [discharged(premise, self.statement, key) for premise in premises]
            values = self._candidates(key, by_rule, mean)
            status = next((found for v in values if (found := self.equal(value, v))), "")
        except Contradicted as error:
            return Finding(claim, "FAILED", str(error))
        except Unknown as error:
            return Finding(claim, "UNKNOWN", str(error))
        if "" in reasons:
            return Finding(claim, "FAILED", f"its premise does not hold: {premises[reasons.index('')]}")
        return Finding(claim, status or "FAILED", "; ".join(reasons) if status else "no rule gives this value")

    def _candidates(self, key: Any, claimed: bool, mean: bool) -> Iterator[sp.Expr]:
        """What rules give for a claim itself; what a moment means, elsewhere."""
        found = self.moments.steps(*key) if claimed else iter([self.moments.of(*key)])
        averaged = mean and self.statement.grid(key[1])
        yield from (self.moments.mean_present(v, key[1], key[3]) if averaged and v.free_symbols else v for v in found)
