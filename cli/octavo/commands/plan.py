"""`octavo plan`: what a run would do, without doing it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from octavo.commands.assembly import assemble
from octavo.commands.failure import describe
from octavo.commands.order import Order
from octavo.commands.pipelines import by_pipeline
from octavo.commands.progress import open_display, plural
from octavo.commands.table import aligned
from octavo.commands.terminal import say
from octavo.engine.plan import Plan, PlanStep

__all__ = ["plan", "print_plan"]


def print_plan(order: Order) -> int:
    """Print the plan of a run as a table or as JSON; return the exit code.

    That is 1 when an input cannot be read, and 2 when it is the only one.
    """
    from octavo.engine.execute import forecast  # noqa: PLC0415 - only once the order is valid

    display = open_display(order.progress, sys.stderr, quiet=order.quiet)
    found = asyncio.run(forecast(assemble(order, display), watch=display))
    for error in found.unreadable:
        say(describe(error))
    if found.unreadable and not found.documents:
        return found.unreadable[0].exit_code
    text = json.dumps(_as_object(found)) if order.json else "\n".join(_as_lines(found))
    sys.stdout.write(text + "\n")
    return int(bool(found.unreadable))


def _as_object(plan: Plan) -> dict[str, Any]:
    return {
        "documents": plan.documents,
        "calls": _calls(plan.steps),
        "tokens": _tokens(plan.steps),
        "cost": None,  # no prices are known; unknown is never 0
        "depth": plan.depth,
        "largest": plan.largest,
        "window": plan.window,
        "tokenizer": plan.tokenizer,
        "steps": [
            {"step": step.step, "calls": _calls([step]), "tokens": _tokens([step])}
            for step in plan.steps
        ],
    }


def _calls(steps: Sequence[PlanStep]) -> dict[str, int]:
    return {
        "low": sum(step.calls_low for step in steps),
        "high": sum(step.calls_high for step in steps),
        "cached": sum(step.cached for step in steps),
    }


def _tokens(steps: Sequence[PlanStep]) -> dict[str, dict[str, int]]:
    return {
        "prompt": {
            "low": sum(step.prompt_low for step in steps),
            "high": sum(step.prompt_high for step in steps),
        },
        "completion": {
            "low": sum(step.completion_low for step in steps),
            "high": sum(step.completion_high for step in steps),
        },
    }


def _as_lines(plan: Plan) -> Iterable[str]:
    rows = [("step", "calls", "cached", "tokens in", "tokens out")]
    rows += [_row(step.step, [step]) for step in plan.steps]
    if len(plan.steps) > 1:
        rows.append(_row("total", plan.steps))
    yield from aligned(rows, right=range(1, len(rows[0])))
    yield ""
    parts = [plural(plan.documents, "document"), f"depth {plan.depth}"]
    if plan.largest:
        window = f" of a window of {plan.window:,}" if plan.window else ""
        parts.append(f"largest call {plan.largest:,} tokens{window}")
    yield f"{', '.join(parts)} ({plan.tokenizer})"


def _row(name: str, steps: Sequence[PlanStep]) -> tuple[str, str, str, str, str]:
    calls, tokens = _calls(steps), _tokens(steps)
    return (
        name,
        _range(calls["low"], calls["high"]),
        f"{calls['cached']:,}",
        _range(tokens["prompt"]["low"], tokens["prompt"]["high"]),
        _range(tokens["completion"]["low"], tokens["completion"]["high"]),
    )


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def _perform(order: Order) -> int:
    return print_plan(order)


plan = by_pipeline(
    "plan",
    "Say what a run would do: calls, tokens, depth. Sends nothing.\n\n"
    "Takes the same options as `octavo run`.",
    _perform,
)
