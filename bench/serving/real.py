"""Every built-in pipeline, and the steps that none of them has, on real weights by the command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from tests.support.corpus import prose

from octavo.engine.journal.prefix_reuse import measure_reuse
from octavo.engine.journal.store import Journal
from octavo.tokens.choose import get_counter as counter_named

__all__ = ["real"]

ROOT = Path(__file__).resolve().parents[2]

VALUES = {
    "question": "What is the whale's name?",
    "prompt": "Name the people in this part.",
    "what": "ships",
    "schema": '{"type": "object", "properties": {"name": {"type": "string", "maxLength": 40}},'
    ' "required": ["name"], "additionalProperties": false}',
}
"""Values for parameters that have no default."""

OWN = {
    "vote": """
octavo: 1
about: Ask about each part several times and keep what most replies agree on.
steps:
  - split: {by: structure, tokens: 800}
  - vote: {prompt: "Is there a ship in it? Reply YES or NO.\\n\\n{{ text | fence }}", tokens: 8}
""",
    "filter": """
octavo: 1
about: Keep the parts that mention something, and write about them.
steps:
  - split: {by: structure, tokens: 400}
  - map: {prompt: "Name the people in this text.\\n\\n{{ text | fence }}", tokens: 60}
  - filter: {where: "text | length > 3"}
  - merge:
      prompt: "One text of these:\\n\\n{% for note in notes %}{{ note | fence }}\\n{% endfor %}"
      tokens: 120
""",
}
"""Pipelines for steps that no built-in one has."""

RANKINGS = ("relevance", "entropy")
"""What `lookup` may choose by beside words: the model's judgement, and its sureness."""

SMALLER = re.compile(r"(split: \{by: structure, tokens: )(\d+)")


def real(options, server, note, keep, left):
    """Run all pipelines on a short text; return a row for each."""
    text = (ROOT / "examples").rglob("*.txt")
    source = Path(options.text) if options.text else next(text, None)
    words = source.read_text("utf-8") if source else ""
    words = words[:9000] if len(words) > 4000 else prose(9000)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name, pipeline in pipelines():
            if options.only and name not in options.only:
                continue
            if left() < 15:
                note(f"{name}: no time left")
                continue
            (place / f"{name}.yaml").write_text(pipeline)
            # What one pipeline left in the server's cache helps no other.
            (place / "text.txt").write_text(f"{name.title()} edition.\n\n{words}")
            rows.append(one(name, pipeline, place, server, options, left))
            keep("real", rows)
            note(shown(rows[-1]))
    return rows


def pipelines():
    """Yield the pipelines with smaller parts, so that a short text has several."""
    for path in sorted((ROOT / "pipelines").glob("*.yaml")):
        text = path.read_text("utf-8")
        smaller = SMALLER.sub(lambda m: m[1] + str(max(200, int(m[2]) // 6)), text)
        yield path.stem, smaller
        if path.stem == "lookup":
            for by in RANKINGS:
                yield f"lookup-{by}", smaller.replace("default: bm25", f"default: {by}")
    yield from OWN.items()


def one(name, pipeline, place, server, options, left):
    """Run one pipeline and return what the journal says of it."""
    journal = place / f"{name}.sqlite"
    arguments = []
    for given in needed(pipeline):
        arguments += [f"-p{given}={VALUES.get(given, 'ships')}"]
    command = [sys.executable, "-m", "octavo", "run", f"{name}.yaml", *arguments, "text.txt"]
    command += ["-m", "real", "--json"]
    (place / "octavo.toml").write_text(
        f'[profiles.real]\nmodel = "vllm:{options.model}"\nbase_url = "{server.base_url}"\n'
        f'api_key_env = "OCTAVO_BENCH_KEY"\n'
    )
    key = server.headers["Authorization"].removeprefix("Bearer ")
    environment = {**os.environ, "OCTAVO_JOURNAL": str(journal), "OCTAVO_BENCH_KEY": key}
    begun = time.perf_counter()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=place, env=environment,
            timeout=max(5.0, left()),
        )  # fmt: skip
        code, said = done.returncode, done.stderr.strip().splitlines()[-1:]
    except subprocess.TimeoutExpired:
        code, said = None, ["not done in the time left"]
    seconds = time.perf_counter() - begun
    with Journal(journal) as opened:
        tokenizer = Path(options.model, "tokenizer.json")
        counter = counter_named(str(tokenizer)) if tokenizer.is_file() else None
        reuse = measure_reuse(opened, 1, counter=counter)
        outcomes = dict(
            opened.query(
                "SELECT step || ': ' || outcome, count(*) FROM ledger"
                " JOIN sites ON sites.id = ledger.site GROUP BY step, outcome"
            )
        )
        replies = opened.query("SELECT count(*) FROM calls")[0][0]
    return {
        "pipeline": name,
        "exit": code,
        "seconds": seconds,
        "replies": replies,
        "outcomes": outcomes,
        "prompt": reuse.prompt if reuse else 0,
        "cached": reuse.cached if reuse else 0,
        "ideal": reuse.ideal if reuse else 0,
        "said": said if code else [],
    }


def needed(pipeline):
    """Return the parameters that a pipeline must be given."""
    params = yaml.safe_load(pipeline).get("params") or {}
    return [
        name
        for name, facts in params.items()
        if "default" not in (facts or {}) and (facts or {}).get("required", True)
    ]


def shown(row):
    share = row["cached"] / row["ideal"] if row["ideal"] else 0.0
    return (
        f"{row['pipeline']}: exit {row['exit']}, {row['replies']} replies in the journal,"
        f" {row['seconds']:.1f} s, {share:.2f} of the ideal cached; {row['outcomes']}"
        f" {' '.join(row['said'])}"
    )
