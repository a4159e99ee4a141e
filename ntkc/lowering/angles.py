"""Second moments between x and x' by their angle: d = (1 - correlation)/2 instead of c = sqrt(a b)(1 - 2 d).

A kinked function (relu, abs) turns a small angle theta into a kernel with a term of order theta, so c, which holds only
theta^2, loses half of the digits at each layer; d keeps them. The rules:

    sum_i w_i S_i + beta, w_i >= 0:  with r_i = sqrt(w_i a_i / a') and r_i' at x', which are unit vectors,
                                     d' = sum_i r_i r_i' d_i + |r - r'|^2 / 4          (beta counts as an S_i with d_i = 0)
    E f(u) f(v), f homogeneous:      d' = a function of d alone, by polynomials (`homogeneous.py`)

`e = 1 - d` goes along, by the same rules, only until the angle is known to be acute: it keeps the digits of opposite inputs.
"""

from dataclasses import dataclass, replace

import sympy as sp
from sympy.core.function import AppliedUndef

from ntkc.gaussian.moments import A, B, C
from ntkc.gaussian.price import Expectation
from ntkc.ir.intrinsics import ratio
from ntkc.ir.program import Assign, Carry, For, Instruction
from ntkc.ir.recursion import Dual, Equation, LoopStep, Recursion, State, Step
from ntkc.lowering.homogeneous import Homogeneous, homogeneous
from ntkc.lowering.numbers import Numbers
from ntkc.lowering.sides import Sides
from ntkc.lowering.twins import Twins

TOP = -1


class Uncovered(Exception):
    """A kinked function of a second moment whose angle is not known."""


class Obtuse(Exception):
    """A loop whose angles are acute from the second turn on."""

    def __init__(self, loop: int) -> None:
        self.loop = loop
        super().__init__(loop)


@dataclass(frozen=True, slots=True)
class Angle:
    """d, 1 - d (None: the angle is acute and 1 - d is not needed), and the second moment at x."""

    d: sp.Expr
    e: sp.Expr | None
    own: sp.Expr

    @property
    def acute(self) -> bool:
        return self.e is None


class Angles:
    """`run` gives the pair part; `extra` what the sample part has to compute besides, by loop."""

    def __init__(self, recursion: Recursion, steps: tuple[Step, ...], sides: Sides) -> None:
        self.sides = sides
        self.parameters = {p.symbol for p in recursion.parameters}
        self.duals: dict[str, Dual] = {dual.name: dual for dual in recursion.duals}
        self.numbers = Numbers(recursion, steps)
        self.extra: dict[int, list[Assign]] = {TOP: []}
        self.curves: dict[str, Homogeneous] = {}
        self.kinks = False
        self.pure = True
        """Whether the angle depends on the angle of the inputs alone."""
        self._angles: dict[sp.Symbol, Angle] = {}
        self._inlined: dict[sp.Symbol, sp.Expr] = {}
        self._twins = Twins(sides, self.parameters)
        for data in recursion.data:
            if data.first is data.second:
                stem = data.symbols[0].name
                d, e = (sp.Symbol(f"{k}_{stem}", nonnegative=True) for k in "de")
                self._angles[data.symbols[0]] = Angle(d, e, data.symbols[1])

    def inputs(self) -> list[Instruction]:
        """Second moments of the inputs, for what reads them."""
        return [self._moment(symbol, angle, TOP) for symbol, angle in self._angles.items()]

    def run(self, steps: tuple[Step, ...], place: int = TOP) -> list[Instruction]:
        found: list[Instruction] = []
        for step in steps:
            if isinstance(step, LoopStep):
                found += self._loop(step, place)
            elif step.pair[3] == "12":
                found += self._equation(step, place)
        return found

    # --- equations ------------------------------------------------------------------------------------------------------

    def _equation(self, step: Equation, place: int) -> list[Instruction]:
        self._twins.add(step)
        if step.own is None:
            self._inlined[step.symbol] = step.value
            value = self._twins.shorter(step) if step.pair[1] == step.pair[2] else step.value
            return [Assign(step.symbol, self.expression(value, place), None, step.span)]
        mixture = self._mixture(step)
        if mixture is None:
            return [Assign(step.symbol, self.expression(step.value, place), step.own, step.span)]
        d, e = self._mixed(step, mixture, place)
        angle = Angle(sp.Symbol(f"d_{step.symbol}", nonnegative=True), None, step.own)
        found: list[Instruction] = [Assign(angle.d, d, None, step.span)]
        if e is not None:
            angle = replace(angle, e=sp.Symbol(f"e_{step.symbol}", nonnegative=True))
            found.append(Assign(angle.e, e, None, step.span))
        self._angles[step.symbol] = angle
        return [*found, self._moment(step.symbol, angle, place)]

    def _moment(self, symbol: sp.Symbol, angle: Angle, place: int) -> Assign:
        """c from d, for what reads it."""
        return Assign(symbol, self._root(angle.own, place) * (1 - 2 * angle.d), angle.own)

    def expression(self, value: sp.Expr, place: int) -> sp.Expr:
        """Kinked functions by their angle."""
        calls = {call: self._value(call, place) for call in value.atoms(AppliedUndef) if self._kinked(call)}
        return value.xreplace(calls) if calls else value

    def _kinked(self, call: sp.Expr) -> bool:
        """Whether it is singular where x and x' are one, and reads something that depends on both."""
        law = self.duals[call.func.__name__].law
        singular = isinstance(law, Expectation) and law.value.has(sp.sqrt(A * B - C**2))
        return singular and bool(self.sides.cross(call.args[0], self.parameters))

    def _value(self, call: sp.Expr, place: int) -> sp.Expr:
        curve, angle = self._curve(call)
        arguments = (angle.d,) if angle.e is None else (angle.d, angle.e)
        value = sp.Function(f"{call.func.__name__}_angle")(*arguments)
        return self._root(angle.own, place) ** curve.degree * value if curve.degree else value

    def _curve(self, call: sp.Expr) -> tuple[Homogeneous, Angle]:
        self.kinks = True
        law = self.duals[call.func.__name__].law
        curve = homogeneous(law) if isinstance(law, Expectation) else None
        c, a, b = call.args
        angle = self._angles.get(c)
        if curve is None or angle is None or a != angle.own or b != self.sides.other(a):
            raise Uncovered(call)
        self.curves[call.func.__name__] = curve
        return curve, angle

    # --- the rule for sums ----------------------------------------------------------------------------------------------

    def _mixture(self, step: Equation) -> list[tuple[sp.Expr, Angle]] | None:
        """(share of the variance at x, angle) of each term, if the value is a sum with nonnegative weights."""
        terms = self._terms(step.value)
        shares: list[tuple[sp.Expr, Angle]] = []
        for atom, weight in (terms or {}).items():
            if (share := self._share(weight)) is None:
                return None
            angle = self._atom(atom)
            shares.append((share * angle.own, angle))
        whole = sp.Add(*(share for share, _ in shares))
        return shares if shares and self.numbers.equal(whole, step.own) else None

    def _terms(self, value: sp.Expr) -> dict[sp.Expr, sp.Expr] | None:
        """Weights of angles, of kinked functions and of 1."""
        flat = sp.expand(value)
        while inlined := flat.free_symbols & self._inlined.keys():
            flat = sp.expand(flat.xreplace({s: self._inlined[s] for s in inlined}))
        terms: dict[sp.Expr, sp.Expr] = {}
        for term in sp.Add.make_args(flat):
            calls = [c for c in term.atoms(AppliedUndef) if self.sides.cross(c, self.parameters)]
            atoms = calls or sorted(self.sides.cross(term, self.parameters), key=str)
            if len(atoms) > 1 or (calls and not self._kinked(calls[0])) or not (calls or set(atoms) <= self._angles.keys()):
                return None
            atom = atoms[0] if atoms else sp.S.One
            terms[atom] = terms.get(atom, sp.S.Zero) + term / atom
        return terms

    def _share(self, weight: sp.Expr) -> sp.Expr | None:
        """w f(x)^2 of a weight w f(x) f(x'), w >= 0."""
        parts: list[list[sp.Expr]] = [[], [], []]
        for factor in sp.Mul.make_args(sp.factor(weight)):
            if self.sides.cross(factor, self.parameters):
                return None
            sided = [bool(factor.free_symbols & group) for group in (self.sides.firsts, self.sides.seconds)]
            if all(sided):
                return None
            parts[1 if sided[0] else 2 if sided[1] else 0].append(factor)
        common, first, second = (sp.Mul(*part) for part in parts)
        if common.is_nonnegative is not True or self.sides.other(first) != second:
            return None
        return common * first**2

    def _atom(self, atom: sp.Expr) -> Angle:
        if atom == 1:
            return Angle(sp.S.Zero, sp.S.One, sp.S.One)
        if isinstance(atom, sp.Symbol):
            return self._angles[atom]
        curve, angle = self._curve(atom)
        arguments = (angle.d,) if angle.e is None else (angle.d, angle.e)
        d = sp.Function(f"{atom.func.__name__}_gap")(*arguments)
        return Angle(d, None if curve.acute else 1 - d, curve.own * angle.own**curve.degree)

    def _mixed(self, step: Equation, mixture: list[tuple[sp.Expr, Angle]], place: int) -> tuple[sp.Expr, sp.Expr | None]:
        if len(mixture) == 1:
            return mixture[0][1].d, mixture[0][1].e
        self.pure = False
        roots = [self._own(f"r{i}_{step.symbol}", sp.sqrt(ratio(share, step.own)), place) for i, (share, _) in enumerate(mixture)]
        pairs = [(r, self.sides.other(r)) for r in roots]
        apart = sp.Add(*((r - s) ** 2 for r, s in pairs)) / 4
        d = sp.Add(*(r * s * angle.d for (r, s), (_, angle) in zip(pairs, mixture, strict=True))) + apart
        if all(angle.acute or angle.d == 0 for _, angle in mixture):
            return d, None
        complements = [1 - angle.d if angle.e is None else angle.e for _, angle in mixture]
        return d, sp.Add(*(r * s * e for (r, s), e in zip(pairs, complements, strict=True))) + apart

    # --- what the sample part computes ----------------------------------------------------------------------------------

    def _root(self, own: sp.Expr, place: int) -> sp.Expr:
        """sqrt(a) sqrt(b)."""
        if not own.free_symbols & self.sides.firsts:
            return own
        root = self._own(f"root_{self.sides.bare(own)}" if own.is_Symbol else "", sp.sqrt(own), place)
        return root * self.sides.other(root)

    def _own(self, name: str, value: sp.Expr, place: int) -> sp.Symbol:
        """The moment of that value, computed where it is first needed."""
        known = [a for loop in (place, TOP) for a in self.extra.get(loop, []) if a.value == value]
        if known:
            return known[0].symbol
        symbol = self.sides.name(name or f"root{sum(map(len, self.extra.values()))}")
        self.extra.setdefault(place, []).append(Assign(symbol, value))
        return symbol

    # --- loops ----------------------------------------------------------------------------------------------------------

    def _loop(self, step: LoopStep, place: int) -> list[Instruction]:
        carried = {s.symbol: self._angles[s.initial] for s in step.states if s.own is not None and s.initial in self._angles}
        while True:
            before = dict(self._angles), dict(self._inlined), {k: list(v) for k, v in self.extra.items()}
            start = {symbol: self._start(symbol, angle, step) for symbol, angle in carried.items()}
            self._angles |= start
            body = self.run(step.body, step.index)
            after = {s.symbol: self._angles.get(s.following) for s in step.states if s.symbol in start}
            lost = [s for s, angle in after.items() if angle is None]
            blunt = [s for s, angle in after.items() if angle is not None and start[s].acute and not angle.acute]
            if not lost and not blunt:
                break
            self._angles, self._inlined, self.extra = before
            carried = {s: replace(a, e=1 - a.d) if s in blunt else a for s, a in carried.items() if s not in lost}
        if step.count > 1 and any(angle.acute and not start[s].acute for s, angle in after.items() if angle is not None):
            raise Obtuse(step.index)
        return self._for(step, body, carried, start, place)

    def _start(self, symbol: sp.Symbol, angle: Angle, step: LoopStep) -> Angle:
        own = next(s.own for s in step.states if s.symbol == symbol)
        d, e = (sp.Symbol(f"{k}_{symbol}", nonnegative=True) for k in "de")
        assert own is not None
        return Angle(d, None if angle.acute else e, own)

    def _for(
        self,
        step: LoopStep,
        body: list[Instruction],
        carried: dict[sp.Symbol, Angle],
        start: dict[sp.Symbol, Angle],
        place: int,
    ) -> list[Instruction]:
        carries: list[Carry] = []
        head: list[Instruction] = []
        tail: list[Instruction] = []
        for state in step.states:
            if state.pair[3] != "12":
                continue
            if state.symbol not in start:
                initial, following = (self.expression(x, p) for x, p in ((state.initial, place), (state.following, step.index)))
                carries.append(Carry(state.symbol, initial, following, state.result))
                continue
            here, outer, after = start[state.symbol], carried[state.symbol], self._angles[state.following]
            end = Angle(sp.Symbol(f"d_{state.result}", nonnegative=True), None, self._end(step, state))
            carries.append(Carry(here.d, outer.d, after.d, end.d))
            if here.e is not None:
                e = sp.Symbol(f"e_{state.result}", nonnegative=True)
                carries.append(Carry(here.e, outer.e, 1 - after.d if after.e is None else after.e, e))
                end = replace(end, e=e)
            head.append(self._moment(state.symbol, here, step.index))
            self._angles[state.result] = end
            tail.append(self._moment(state.result, end, place))
        return [For(step.index, step.count, tuple(carries), (*head, *body), step.span), *tail]

    def _end(self, step: LoopStep, state: State) -> sp.Expr:
        """The second moment at x after the loop."""
        results = {s.symbol: s.result for s in step.states}
        assert state.own is not None
        return state.own.xreplace(results)
