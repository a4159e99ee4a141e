"""What was said of the emitted code."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """`status` is proven, bounded, checked, NOT CHECKED or FAILED."""

    claim: str
    status: str
    detail: str

    @property
    def ok(self) -> bool:
        return self.status != "FAILED"
