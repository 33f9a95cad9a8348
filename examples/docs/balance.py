"""Counts the lines that passed and those that were rejected, so that no line gets lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Balance:
    """What became of the lines of one input."""

    lines: int = 0
    passed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def accept(self) -> None:
        """Count a line that passed all checks."""
        self.lines += 1
        self.passed += 1

    def reject(self, reason: str) -> None:
        """Count a line that failed a check, under the reason that `rejected.csv` gives."""
        self.lines += 1
        self.reasons[reason] += 1

    @property
    def rejected(self) -> int:
        """How many lines were rejected, for whatever reason."""
        return self.reasons.total()

    def check(self) -> None:
        """Raise ValueError when the numbers do not add up; the program then exits with 70."""
        if self.passed + self.rejected != self.lines:
            raise ValueError(f"{self.passed} + {self.rejected} lines, but {self.lines} were read")

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.rejected} rejected"
