"""Short names for scalar functions, for messages and for the emitted code."""

import sympy as sp


class Names:
    """Gives each function one identifier: its own name, with `_prime` for a derivative, or f1, f2, ..."""

    def __init__(self, known: dict[sp.Expr, str]) -> None:
        self._names: dict[sp.Expr, str] = {}
        for function, name in known.items():
            self._names[sp.expand(function)] = self._name(function, name)

    def of(self, function: sp.Expr) -> str:
        return self._names.get(function) or self._name(function, f"f{len(self._names) + 1}")

    def derived(self, function: sp.Expr, derivative: sp.Expr) -> None:
        """Names a derivative after its function."""
        if derivative not in self._names:
            self._name(derivative, f"{self.of(function)}_prime")

    def _name(self, function: sp.Expr, name: str) -> str:
        taken = set(self._names.values())
        unique = next(n for n in (name, *(f"{name}_{i}" for i in range(2, 10_000))) if n not in taken)
        return self._names.setdefault(function, unique)
