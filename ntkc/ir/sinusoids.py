"""Sinusoidal encodings (Vaswani et al. 2017, section 3.5) in the limit of infinitely many channels.

Channel 2 i of position p is sin(p w) and channel 2 i + 1 is cos(p w), w = 10000^(-2 i / n): half of the channels are sines, and
2 i / n is uniform on (0, 1) in the limit. With s = p w, integrals over it are integrals over ds / s.
"""

from dataclasses import dataclass
from typing import Any

import mpmath as mp

BASE = 10_000


@dataclass(frozen=True, slots=True)
class Sinusoids:
    """The encodings of so many positions on one side and so many on the other."""

    rows: int
    columns: int

    def moments(self) -> list[Any]:
        """E e_p e_q by |p - q|, to the working precision of mpmath."""
        return [_mean(mp.ci, d) if d else mp.mpf(1) / 2 for d in range(max(self.rows, self.columns))]

    def means(self) -> list[Any]:
        """E e_p by position."""
        return [_mean(mp.ci, p) + _mean(mp.si, p) if p else mp.mpf(1) / 2 for p in range(self.rows)]


def _mean(antiderivative: Any, position: int) -> Any:
    """Half the mean of cos(s) or sin(s) over frequencies."""
    x = mp.mpf(position)
    return (antiderivative(x) - antiderivative(x / BASE)) / (2 * mp.log(BASE))
