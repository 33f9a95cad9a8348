"""The results as Markdown: docs/gpu.md."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["table"]

_NAIVE = (
    "*Naive* are the same requests, none of which begins like another: all at once in any order, or"
    " one after the other where each needs the reply before (`memory`, `refine`)."
)
DOCS = Path(__file__).resolve().parents[1] / "docs" / "gpu.md"


def table(results: Path) -> str:
    """Return what the results say; write it to docs/gpu.md, too, if a GPU gave them.

    Results of further runs (`speed-2.json` beside `speed.json`) come after the first one's. What a
    later run did again takes the place of the earlier, which is still told; speeds stand as they
    were taken, each run on its own.
    """
    found = {path.stem: json.loads(path.read_text()) for path in results.glob("*.json")}
    found = {name: told for name, told in sorted(found.items()) if "host" in told}
    parts = ["# Octavo on a GPU", _intro()]
    for part, write in (
        ("speed", _speed),
        ("strategies", _strategies),
        ("real", _real),
        ("survival", _survival),
    ):
        runs = [told for name, told in found.items() if name.partition("-")[0] == part]
        if runs:
            parts += write(runs)
    text = "\n\n".join(parts) + "\n"
    (results / "gpu.md").write_text(text)
    if found and not any(told["stand_in"] for told in found.values()):
        DOCS.parent.mkdir(exist_ok=True)
        DOCS.write_text(text)
    return text


def _merged(runs, rows, name):
    """Return the rows of all runs, of those alike the last one, and those that it replaces."""
    last, replaced = {}, []
    for told in runs:
        for row in told.get(rows, ()):
            if row.get("failed") and row[name] in last:
                continue  # what could not be done again leaves what was
            if row[name] in last:
                replaced.append(last[row[name]])
            last[row[name]] = row
    return list(last.values()), replaced


def _hosts(runs):
    return "\n\n".join(dict.fromkeys(map(_host, runs)))


def _intro():
    return (
        "Measured by `python bench/gpu.py`, which writes this page from its results. *Computed* are"
        " the tokens of prompts that the server had not in its cache, by its own counts. The"
        " *ideal* is what a cache has at most: everything that two prompts begin with alike, in"
        " full blocks of 16 of the server's own tokens; with an *about* it is told from the shares"
        " of characters."
    )


def _host(told):
    host = told["host"]
    versions = ", ".join(f"{name} {value}" for name, value in host["versions"].items() if value)
    weights = "random weights" if told["dummy"] else "real weights"
    where = f"{', '.join(host['gpu'])}, driver {host['driver']}, Python {host['python']}"
    note = " A stand-in, no GPU: the figures mean nothing." if told["stand_in"] else ""
    return f"{host['date']}: {told['model']}, {weights}; {where}; {versions}.{note}"


def _speed(runs):
    lines = ["## The ceiling, and `map` against it"]
    for told in runs:
        lines += _speeds(told)
    return lines


def _speeds(told):
    rows = []
    if offline := told.get("offline"):
        rows.append(
            ("vLLM's engine without a server", "all", offline["requests"], offline["rate"], None)
        )
    for each in told.get("ceiling", []):
        what = "`octavo run map`" if each["what"] == "octavo map" else each["what"]
        sending = each["requests"] / each["sending"] if "sending" in each else None
        wide = each["in_flight"] or "as it sees fit"
        rows.append((what, wide, each["requests"], each["rate"], sending))
    plain = [each for each in told.get("ceiling", []) if each["what"] == "plain client"]
    ours = [each for each in told.get("ceiling", []) if each["what"] == "octavo map"]
    lines = [
        _host(told),
        _grid(
            ("", "in flight", "requests", "requests/s", "from the first call on"),
            [(a, b, f"{c:,}", f"{d:.2f}", f"{e:.2f}" if e else "") for a, b, c, d, e in rows],
        ),
    ]
    if plain and ours:
        widest = max(each["in_flight"] for each in plain)
        rates = [each["rate"] for each in plain if each["in_flight"] == widest]
        others = [each["rate"] for each in plain if each["in_flight"] != widest]
        # Rounds by turns, so the mean of each; what was measured once stands for itself.
        best = max([_mean(rates), *others, *([offline["rate"]] if offline else [])])
        whole = _mean([each["rate"] for each in ours])
        sending = _mean([each["requests"] / each["sending"] for each in ours])
        lines.append(
            f"`map` reaches {whole / best:.3f} of the best of these, its whole run counted, from"
            f" the first look at the documents to the last result; {sending / best:.3f} from its"
            f" first call on. Rounds: {len(ours)}."
        )
    return lines


def _mean(values):
    return sum(values) / len(values)


def _strategies(runs):
    found, replaced = _merged(runs, "strategies", "strategy")
    rows = []
    for each in found:
        computed = each["prompt"] - each["cached"]
        ideal, about = _ideal(each)
        least = each["asked"] - ideal
        naive = each.get("naive")
        rows.append(
            (
                f"`{each['strategy']}`",
                f"{each['sent']:,}",
                f"{each['seconds']:.1f} s",
                f"{each['prompt']:,}",
                f"{computed:,}",
                f"{about}{(each['asked'] - each['kept']) / least:.3f}" if least else "",
                f"{about}{ideal:,}",
                f"{about}{each['kept'] / ideal:.3f}" if ideal else "",
                f"{naive['prompt'] - naive['cached']:,}" if naive else "",
                f"{naive['seconds']:.1f} s" if naive else "",
                f"{naive['seconds'] / each['seconds']:.1f}" if naive else "",
            )
        )
    document = next((each["document"] for each in found), 0)
    head = (
        "", "calls", "wall clock", "tokens of prompts", "computed", "computed / least", "ideal",
        "cached / ideal", "naive: computed", "naive: wall clock", "times",
    )  # fmt: skip
    return [
        f"## Each strategy over the same document of {document:,} tokens",
        _hosts(runs),
        _NAIVE,
        _grid(head, rows),
        *(_earlier(each) for each in replaced),
    ]


def _ideal(row):
    """Return what a cache could have had, and `about` where it is not told in tokens."""
    if "true_ideal" in row:
        return row["true_ideal"], ""
    return row["ideal"], "about "


def _earlier(row):
    ideal, about = _ideal(row)
    share = f"{row['kept'] / ideal:.3f}" if ideal else "none"
    naive = f"; naive {row['naive']['seconds']:.1f} s" if "naive" in row else ""
    return (
        f"An earlier run of `{row['strategy']}`, replaced above: {row['sent']:,} calls,"
        f" {row['seconds']:.1f} s, {row['prompt']:,} tokens of prompts, {row['cached']:,} cached,"
        f" {about}{share} of the ideal{naive}."
    )


def _real(runs):
    found, _ = _merged(runs, "real", "pipeline")
    rows = [
        (
            f"`{each['pipeline']}`",
            "not done" if each["exit"] is None else each["exit"],
            each["replies"],
            _told(each["outcomes"]),
            f"{each['prompt']:,}",
            f"{each['cached']:,}",
        )
        for each in sorted(found, key=lambda each: each["pipeline"])
    ]
    head = ("", "exit", "replies", "in the ledger", "tokens of prompts", "cached")
    return ["## Every pipeline on real weights", _hosts(runs), _grid(head, rows)]


def _survival(runs):
    lines = ["## What a kill costs", _hosts(runs)]
    found, _ = _merged(runs, "survival", "what")
    for each in found:
        if each.get("failed"):
            continue
        if each["what"] == "server killed":
            lines.append(
                f"All {each['killed']} processes of the server were killed after"
                f" {each['replies_then']} replies"
                + (" and it was started again" if each["again"] else "")
                + f": the run ended with exit code {each['exit']}, outcomes"
                f" {_told(each['outcomes'])}, and {each['replies']} replies under"
                f" {each['keys']} keys."
            )
        else:
            lines.append(
                f"Octavo was killed (SIGKILL) after {each['replies_then']} replies:"
                f" {each['empty_after']:.1f} s later"
                + (" no process of the server was left" if each["empty"] else " some were left")
                + f", and the GPU's memory was at {_megabytes(each['memory_then'])} (before the"
                f" run: {_megabytes(each['memory_before'])}). The same command again ended with"
                f" exit code {each['exit']}: {_told(each['outcomes'])}."
            )
    return lines


def _told(outcomes):
    return ", ".join(f"{name} {count}" for name, count in outcomes.items())


def _megabytes(cards):
    return " and ".join(f"{used} MB" for used in cards)


def _grid(head, rows):
    lines = [f"| {' | '.join(head)} |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines)
