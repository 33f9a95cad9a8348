"""Findings: what is wrong at a place in a file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Severity"]


class Severity(StrEnum):
    """How bad a finding is, the worst first."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    `line` and `column` count from 1; a line of 0 stands for the whole file. `rule` is a short
    stable word, `hint` the one thing to do about it. `quote` is what the file says there, and
    `start` and `end` its place in characters, where a model found it. One that `fails` makes the
    command end with 1.
    """

    path: str
    line: int
    column: int
    rule: str
    message: str
    severity: Severity = Severity.ERROR
    hint: str | None = None
    quote: str | None = None
    start: int | None = None
    end: int | None = None
    fails: bool = True
