"""Octavo folds documents of any length through a language model.

    import octavo

    octavo.run("summarize", "book.txt", model="openai:gpt-5-mini").text
    octavo.plan("summarize", "book.txt").calls
    octavo.split("book.txt", tokens=1000)

Names are imported when they are first used, so that `import octavo` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octavo.api import RunResult, plan, run, score, split
    from octavo.engine.plan.plan import Plan, PlanStep
    from octavo.engine.report import Report, Result, Totals, Watch
    from octavo.errors import OctavoError
    from octavo.scoring import Scores
    from octavo.text.chunk import Chunk
    from octavo.text.document import Document, Heading
    from octavo.text.span import Span

__all__ = [
    "Chunk",
    "Document",
    "Heading",
    "OctavoError",
    "Plan",
    "PlanStep",
    "Report",
    "Result",
    "RunResult",
    "Scores",
    "Span",
    "Totals",
    "Watch",
    "plan",
    "run",
    "score",
    "split",
]

_HOMES = {
    "octavo.api": ("RunResult", "plan", "run", "score", "split"),
    "octavo.scoring": ("Scores",),
    "octavo.engine.plan.plan": ("Plan", "PlanStep"),
    "octavo.engine.report": ("Report", "Result", "Totals", "Watch"),
    "octavo.errors": ("OctavoError",),
    "octavo.text.chunk": ("Chunk",),
    "octavo.text.document": ("Document", "Heading"),
    "octavo.text.span": ("Span",),
}


def __getattr__(name: str) -> object:
    import importlib  # noqa: PLC0415 - not needed where nothing is looked up

    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - slow, and seldom asked for

        return version("octavo")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
