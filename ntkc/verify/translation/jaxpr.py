"""Jaxpr -> exact values: each primitive on arrays of values; loops by induction where they are loops of the recursion, else turn
by turn, since their counts are numbers.

Integers and booleans are plain arrays: whatever they decide is decided for all values near the point.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from ntkc.verify.translation.arithmetic import ARITHMETIC, COMPARISONS, REDUCTIONS, contracted
from ntkc.verify.translation.constants import exact
from ntkc.verify.translation.expression import Calls, everywhere, value_of
from ntkc.verify.translation.field import Field, Unread, Value, in_time
from ntkc.verify.translation.loops import Loops
from ntkc.verify.translation.moves import MOVES, moved
from ntkc.verify.translation.turns import Turns, counted

Array: TypeAlias = Any
Tables: TypeAlias = Callable[[str, Sequence[Array], bool, int], Array]
MOST_TURNS = 5000
NESTED = ("pjit", "jit", "closed_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint")


class Interpreter:
    """`calls` gives the functions that the jaxpr keeps by name, `tables` those of whole tables."""

    def __init__(
        self, field: Field, calls: Calls, deadline: float, loops: Loops | None = None, tables: Tables | None = None
    ) -> None:
        self.field, self.calls, self.deadline, self.loops, self.tables = field, calls, deadline, loops, tables
        self._constants: dict[float, Value] = {}

    def run(self, closed: ClosedJaxpr, arguments: Sequence[Array]) -> list[Array]:
        """What it gives for these arguments."""
        jaxpr, memory = closed.jaxpr, dict[Any, Array]()
        memory.update(zip(jaxpr.constvars, map(self.array, closed.consts), strict=True))
        memory.update(zip(jaxpr.invars, arguments, strict=True))

        def read(v: Any) -> Array:
            return self.array(v.val, v.aval) if isinstance(v, Literal) else memory[v]

        for equation in jaxpr.eqns:
            found = self._equation(equation, [read(v) for v in equation.invars])
            memory.update(zip(equation.outvars, found, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def array(self, x: Any, aval: Any = None) -> Array:
        """Floats as the exact numbers that they stand for."""
        plain = np.asarray(x)
        if (aval.dtype if aval is not None else plain.dtype).kind != "f":
            return plain
        return everywhere(self._constant, plain)

    def _constant(self, x: float) -> Value:
        x = float(x)
        if x not in self._constants:
            if not np.isfinite(x):
                return Value(self.field, None, np.inf if x > 0 else -np.inf)
            self._constants[x] = value_of(self.field, exact(x), {}, self.calls)
        return self._constants[x]

    def _equation(self, equation: Any, inputs: list[Array]) -> list[Array]:
        in_time(self.deadline)
        name, params = equation.primitive.name, equation.params
        if name == "ntkc_call":
            function = params["function"]
            return [everywhere(lambda *v: self.field.settled(self.calls(function, v)), *inputs)]
        if name == "ntkc_table" and self.tables is not None:
            return [
                self.tables(params["function"], inputs, params["same"], params["count"]).reshape(equation.outvars[0].aval.shape)
            ]
        if name in NESTED:
            inner = params.get("jaxpr") or params.get("call_jaxpr")
            closed = inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
            return self.run(closed, inputs)
        if any(isinstance(x, Turns) for x in inputs):
            return [counted(equation, inputs)]
        if name in ("scan", "while", "cond"):
            return getattr(self, f"_{name}")(params, inputs)  # type: ignore[no-any-return]
        if name == "optimization_barrier":
            return inputs
        return [self._plain(equation, name, params, inputs)]

    def _plain(self, equation: Any, name: str, params: dict[str, Any], inputs: list[Array]) -> Array:
        kind = equation.outvars[0].aval.dtype.kind
        if name == "convert_element_type" and kind == "f":
            return inputs[0] if inputs[0].dtype == object else self.array(inputs[0].astype(float))
        if name in ("stop_gradient", "copy", "copy_p", "reduce_precision"):
            return inputs[0]
        if (name == "iota" and kind == "f") or (name == "convert_element_type" and inputs[0].dtype == object):
            raise Unread(f"the primitive {name} of this type")
        if name in COMPARISONS and inputs[0].dtype == object:
            self.field.branches += 1
            return np.asarray(everywhere(COMPARISONS[name], *inputs), dtype=bool)
        if name in MOVES or not any(x.dtype == object for x in inputs):
            return moved(equation, inputs, self.field)
        if name in REDUCTIONS:
            return self._reduced(name, inputs[0], tuple(params["axes"]))
        if name == "dot_general":
            return contracted(inputs[0], inputs[1], params["dimension_numbers"], self.field)
        if name in ARITHMETIC:
            return everywhere(lambda *v: self.field.settled(ARITHMETIC[name](params, *v)), *inputs)
        raise Unread(f"the primitive {name}")

    def _reduced(self, name: str, x: Array, axes: tuple[int, ...]) -> Array:
        rest = [k for k in range(x.ndim) if k not in axes]
        turned = np.transpose(x, (*rest, *axes)).reshape(*(x.shape[k] for k in rest), -1)
        found = np.empty(turned.shape[:-1], dtype=object)
        for index in np.ndindex(*found.shape):
            found[index] = self.field.settled(REDUCTIONS[name](self.field, list(turned[index])))
        return found

    # --- control --------------------------------------------------------------------------------------------------------

    def _scan(self, params: dict[str, Any], inputs: list[Array]) -> list[Array]:
        constants, carries, length = params["num_consts"], params["num_carry"], params["length"]
        if self.loops is not None:
            loops, self.loops = self.loops, None  # loops inside of it go turn by turn
            try:
                by_induction = loops.read(params, inputs, self.run)
            finally:
                self.loops = loops
            if by_induction is not None:
                return by_induction
        if length > MOST_TURNS:
            raise Unread(f"a loop of {length} turns")
        fixed, state, rows = inputs[:constants], inputs[constants : constants + carries], inputs[constants + carries :]
        kept: list[list[Array]] = []
        order = range(length)[:: -1 if params["reverse"] else 1]
        for i in order:
            found = self.run(params["jaxpr"], [*fixed, *state, *(np.asarray(x[i]) for x in rows)])
            state = found[:carries]
            kept.append(found[carries:])
        kept = kept[:: -1 if params["reverse"] else 1]
        return [*state, *(np.stack(column) for column in zip(*kept, strict=True))]

    def _while(self, params: dict[str, Any], inputs: list[Array]) -> list[Array]:
        n, m = params["cond_nconsts"], params["body_nconsts"]
        state = inputs[n + m :]
        for _ in range(MOST_TURNS):
            (more,) = self.run(params["cond_jaxpr"], [*inputs[:n], *state])
            if not bool(more):
                return state
            state = self.run(params["body_jaxpr"], [*inputs[n : n + m], *state])
        raise Unread("a loop without an end")

    def _cond(self, params: dict[str, Any], inputs: list[Array]) -> list[Array]:
        return self.run(params["branches"][int(inputs[0])], inputs[1:])
