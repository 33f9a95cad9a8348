"""`octavo plan`: what a run would do, without doing it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from octavo.commands._cli.build_job import build_job
from octavo.commands._cli.error_report import describe
from octavo.commands._cli.options.pipeline_commands import build_pipeline_group
from octavo.commands._cli.options.run_options import RunRequest
from octavo.commands._cli.progress.watch import open_display
from octavo.commands._cli.terminal import align_columns, format_duration, pluralize, print_stderr
from octavo.engine.dispatch.allowance import Allowance
from octavo.engine.plan.plan import Plan, PlanStep
from octavo.engine.plan.predict import SecondAttempts

__all__ = ["plan", "print_plan"]


def print_plan(request: RunRequest) -> int:
    """Print the plan of a run as a table or as JSON; return the exit code.

    That is 1 when an input cannot be read or the journal's replies would fail a document again, and
    2 when an unreadable input is the only one.
    """
    from octavo.engine.plan.plan import forecast  # noqa: PLC0415 - only once the request is valid

    display = open_display(request.options.progress, sys.stderr, quiet=request.options.quiet)
    try:
        found = asyncio.run(forecast(build_job(request, display), watch=display))
    finally:
        display.close()
    for error in found.unreadable:
        print_stderr(describe(error))
    if found.unreadable and not found.documents:
        return found.unreadable[0].exit_code
    for source, error in found.failing:
        print_stderr(describe(error, about=source))
    if found.failing:
        print_stderr("the journal has replies of no use; `octavo runs retry` asks for them again")
    text = (
        json.dumps(_as_object(found))
        if request.options.json
        else "\n".join([*_as_lines(found), *_warn_of_limits(found, request.allowance)])
    )
    sys.stdout.write(text + "\n")
    return int(bool(found.unreadable or found.failing))


def _as_object(plan: Plan) -> dict[str, Any]:
    return {
        "documents": plan.documents,
        **_sum_counts(plan.steps),
        "depth": plan.depth,
        "largest": plan.largest,
        "window": plan.window,
        "tokenizer": plan.tokenizer,
        "price": plan.priced,
        "seconds": _as_bounds(*plan.seconds) if plan.seconds is not None else None,
        "jobs": plan.jobs,
        "steps": [{"step": step.step, **_sum_counts([step])} for step in plan.steps],
    }


def _sum_counts(steps: Sequence[PlanStep]) -> dict[str, Any]:
    """Return what is counted of some steps; what is not known is null, never 0."""
    costs = [(step.cost_low, step.cost_high) for step in steps]
    known = [(low, high) for low, high in costs if low is not None and high is not None]
    reasons: Counter[str] = Counter()
    for step in steps:
        reasons.update({str(reason): count for reason, count in step.reasons.items()})
    return {
        "calls": {
            "low": sum(step.calls_low for step in steps),
            "high": sum(step.calls_high for step in steps),
            "cached": sum(step.cached for step in steps),
        },
        "sent": _as_bounds(
            sum(step.sent_low for step in steps), sum(step.sent_high for step in steps)
        ),
        "tokens": {
            "prompt": _as_bounds(
                sum(step.prompt_low for step in steps), sum(step.prompt_high for step in steps)
            ),
            "completion": {
                **_as_bounds(
                    sum(step.completion_low for step in steps),
                    sum(step.completion_high for step in steps),
                ),
                "likely": sum(step.completion_likely for step in steps),
            },
        },
        "cost": _as_bounds(*(_round_dollars(sum(each)) for each in zip(*known, strict=True)))
        if len(known) == len(costs)
        else None,
        "again": _as_again(sum((step.again for step in steps), SecondAttempts())),
        "reasons": dict(reasons),
    }


def _round_dollars(amount: float) -> float:
    return round(amount, 9)  # a token of the cheapest models costs more


def _as_again(again: SecondAttempts) -> dict[str, Any]:
    tokens = {"prompt": again.prompt, "completion": again.completion}
    return {
        "calls": again.calls,
        "tokens": tokens,
        "cost": None if again.cost is None else _round_dollars(again.cost),
    }


def _as_bounds(low: float, high: float) -> dict[str, float]:
    return {"low": low, "high": high}


def _as_lines(plan: Plan) -> Iterable[str]:
    rows = [("step", "calls", "cached", "tokens in", "tokens out", "why")]
    rows += [_as_row(step.step, [step]) for step in plan.steps]
    if len(plan.steps) > 1:
        rows.append((*_as_row("total", plan.steps)[:-1], ""))
    yield from align_columns(rows, right=range(1, len(rows[0]) - 1))
    yield ""
    parts = [pluralize(plan.documents, "document"), f"depth {plan.depth}"]
    if plan.largest:
        window = f" of a window of {plan.window:,}" if plan.window else ""
        parts.append(f"largest call {plan.largest:,} tokens{window}")
    yield f"{', '.join(parts)} (counted by {plan.tokenizer})"
    if plan.sent[1]:
        yield f"cost: {_format_cost(plan)}; time: {_format_time(plan)}"
        if plan.again.calls:
            yield f"if replies are cut or unusable: {_format_again(plan.again)}"
    else:
        yield "nothing would be sent: the journal answers every call"


def _as_row(name: str, steps: Sequence[PlanStep]) -> tuple[str, ...]:
    counted = _sum_counts(steps)
    calls, tokens = counted["calls"], counted["tokens"]
    reasons = sorted(counted["reasons"].items(), key=lambda each: -each[1])
    why = ", ".join(
        reason if len(reasons) == 1 else f"{count:,} {reason}" for reason, count in reasons
    )
    return (
        name,
        _format_range(calls["low"], calls["high"]),
        f"{calls['cached']:,}",
        _format_range(tokens["prompt"]["low"], tokens["prompt"]["high"]),
        _format_range(tokens["completion"]["low"], tokens["completion"]["high"]),
        why,
    )


def _format_cost(plan: Plan) -> str:
    if plan.cost is None:
        return "unknown (price_in and price_out in the profile say it)"
    low, high = plan.cost
    if not high:
        return f"none ({plan.priced})"
    return f"{' to '.join(dict.fromkeys(map(_format_dollars, (low, high))))} ({plan.priced})"


def _warn_of_limits(plan: Plan, allowance: Allowance) -> Iterable[str]:
    """Say which budgets the run would reach, or may."""
    again, cost, seconds = plan.again, plan.cost, plan.seconds
    second = again.prompt + again.completion
    for name, most, low, high in (
        ("calls", allowance.calls, plan.sent[0], plan.sent[1] + again.calls),
        ("tokens", allowance.tokens, plan.tokens[0], plan.tokens[1] + second),
        ("cost", allowance.cost, cost and cost[0], cost and cost[1] + (again.cost or 0)),
        ("minutes", allowance.minutes, seconds and seconds[0] / 60, seconds and seconds[1] / 60),
    ):
        if most is None or low is None or high is None or high <= most:
            continue
        will = "would" if low > most else "may"
        yield f"--max-{name} {most:,} {will} end the run before it is done; it can be resumed"


def _format_again(again: SecondAttempts) -> str:
    tokens = again.prompt + again.completion
    cost = f", {_format_dollars(again.cost)}" if again.cost else ""
    return f"at most {pluralize(again.calls, 'more call')}, {tokens:,} tokens{cost}"


def _format_dollars(amount: float) -> str:
    return f"${amount:.4f}" if amount < 1 else f"${amount:,.2f}"


def _format_time(plan: Plan) -> str:
    if plan.seconds is None:
        return "unknown before a first run"
    low, high = map(format_duration, plan.seconds)
    return f"about {low if low == high else f'{low} to {high}'} with {plan.jobs} in flight"


def _format_range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


plan = build_pipeline_group(
    "plan",
    "Say what a run would do: calls, tokens, cost, time, and why. Sends nothing.\n\n"
    "Takes the same options as `octavo run`.",
    print_plan,
)
