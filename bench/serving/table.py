"""The results as Markdown: docs/gpu.md."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["table"]

_NAIVE = (
    "*Naive* are the same requests, none of which begins like another: all at once in any order, or"
    " one after the other where each needs the reply before (`memory`, `refine`)."
)
DOCS = Path(__file__).resolve().parents[2] / "docs" / "gpu.md"


def table(results: Path) -> str:
    """Return what the results say; write it to docs/gpu.md, too, if a GPU gave them."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(results.glob("*.json"))}
    found = {name: told for name, told in found.items() if "host" in told}
    parts = ["# Octavo on a GPU", _intro()]
    for name, write in (
        ("speed", _speed),
        ("strategies", _strategies),
        ("real", _real),
        ("survival", _survival),
    ):
        if name in found:
            parts += write(found[name])
    text = "\n\n".join(parts) + "\n"
    (results / "gpu.md").write_text(text)
    if found and not any(told["stand_in"] for told in found.values()):
        DOCS.parent.mkdir(exist_ok=True)
        DOCS.write_text(text)
    return text


def _intro():
    return (
        "Measured by `python bench/gpu.py`, which writes this page from its results. *Computed* are"
        " the tokens of prompts that the server had not in its cache, by its own counts. The"
        " *ideal* is what a cache has at most: everything that two prompts begin with alike."
    )


def _host(told):
    host = told["host"]
    versions = ", ".join(f"{name} {value}" for name, value in host["versions"].items() if value)
    weights = "random weights" if told["dummy"] else "real weights"
    where = f"{', '.join(host['gpu'])}, driver {host['driver']}, Python {host['python']}"
    note = " A stand-in, no GPU: the figures mean nothing." if told["stand_in"] else ""
    return f"{host['date']}: {told['model']}, {weights}; {where}; {versions}.{note}"


def _speed(told):
    rows = []
    if offline := told.get("offline"):
        rows.append(("vLLM's engine without a server", "all", offline["requests"], offline["rate"]))
    for each in told.get("ceiling", []):
        what = "`octavo run map`" if each["what"] == "octavo map" else each["what"]
        rows.append((what, each["in_flight"] or "as it sees fit", each["requests"], each["rate"]))
    plain = [each["rate"] for each in told.get("ceiling", []) if each["what"] == "plain client"]
    ours = [each["rate"] for each in told.get("ceiling", []) if each["what"] == "octavo map"]
    lines = [
        "## The ceiling, and `map` against it",
        _host(told),
        _grid(
            ("", "in flight", "requests", "requests/s"),
            [(a, b, f"{c:,}", f"{d:.2f}") for a, b, c, d in rows],
        ),
    ]
    if plain and ours:
        best = max([*plain, *([offline["rate"]] if offline else [])])
        mean = sum(ours) / len(ours)
        lines.append(
            f"`map` reaches {mean / best:.3f} of the best of these, its whole run counted, from the"
            f" first look at the documents to the last result."
        )
    return lines


def _strategies(told):
    rows = []
    for each in told.get("strategies", []):
        computed = each["prompt"] - each["cached"]
        least = each["asked"] - each["ideal"]
        naive = each.get("naive")
        rows.append(
            (
                f"`{each['strategy']}`",
                f"{each['sent']:,}",
                f"{each['seconds']:.1f} s",
                f"{each['prompt']:,}",
                f"{computed:,}",
                f"{(each['asked'] - each['kept']) / least:.3f}" if least else "",
                f"{each['kept'] / each['ideal']:.3f}" if each["ideal"] else "",
                f"{naive['prompt'] - naive['cached']:,}" if naive else "",
                f"{naive['seconds']:.1f} s" if naive else "",
                f"{naive['seconds'] / each['seconds']:.1f}" if naive else "",
            )
        )
    document = next((each["document"] for each in told.get("strategies", [])), 0)
    head = (
        "", "calls", "wall clock", "tokens of prompts", "computed", "computed / least",
        "cached / ideal", "naive: computed", "naive: wall clock", "times",
    )  # fmt: skip
    return [
        f"## Each strategy over the same document of {document:,} tokens",
        _host(told),
        _NAIVE,
        _grid(head, rows),
    ]


def _real(told):
    rows = [
        (
            f"`{each['pipeline']}`",
            each["exit"],
            each["replies"],
            ", ".join(f"{name} {count}" for name, count in each["outcomes"].items()),
            f"{each['prompt']:,}",
            f"{each['cached'] / each['ideal']:.3f}" if each["ideal"] else "",
        )
        for each in told.get("real", [])
    ]
    head = ("", "exit", "replies", "in the ledger", "tokens of prompts", "cached / ideal")
    return ["## Every pipeline on real weights", _host(told), _grid(head, rows)]


def _survival(told):
    lines = ["## What a kill costs", _host(told)]
    for each in told.get("survival", []):
        if "failed" in each:
            continue
        if each["what"] == "server killed":
            lines.append(
                f"All {each['killed']} processes of the server were killed after"
                f" {each['replies_then']} replies: the run ended with {each['exit']}, with"
                f" {each['outcomes']} and {each['replies']} replies under {each['keys']} keys."
            )
        else:
            lines.append(
                f"Octavo was killed (SIGKILL) after {each['replies_then']} replies:"
                f" {each['empty_after']:.1f} s later"
                + (" no process of the server was left" if each["empty"] else " some were left")
                + f", and the GPU's memory was at {each['memory_then']} MB (before the run:"
                f" {each['memory_before']}). The same command again ended with {each['exit']}:"
                f" {each['outcomes']}."
            )
    return lines


def _grid(head, rows):
    lines = [f"| {' | '.join(head)} |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines)
