"""Whether each built-in pipeline runs from end to end on the embedded model, and how long it takes.

    python bench/embedded.py
    python bench/embedded.py --file book.txt --pipelines ask memory

It proves the path, not the quality: the model has 135 million parameters. Every run is made anew.
`outcomes` are the calls by how they ended; `coverage` is the share of the text that reached the
result. Parts are split smaller than the pipelines say, so that a short text has several.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import octavo
from octavo.pipeline.reader import load_pipeline

_ROOT = Path(__file__).parents[1]
_GIVEN = {
    "question": "Who cast the bell?",
    "prompt": "List the people",
    "what": "names of people",
    "schema": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "role": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = sorted(path.stem for path in (_ROOT / "pipelines").glob("*.yaml"))
    parser.add_argument("--file", type=Path, default=_ROOT / "examples" / "story.md")
    parser.add_argument("--pipelines", nargs="+", choices=names, default=names)
    parser.add_argument("--tokens", type=int, default=500, help="of a part")
    options = parser.parse_args()
    form = "{:<10} {:>8} {:>6} {:>9}  {:<42} {}"
    print(form.format("pipeline", "seconds", "calls", "coverage", "outcomes", "result"))
    failed = 0
    for name in options.pipelines:
        begun = time.perf_counter()
        done = _run(name, options.file, options.tokens)
        seconds = time.perf_counter() - begun
        result, totals = done.results[-1], done.report.totals
        failed += result.error is not None
        outcomes = ", ".join(f"{n} {outcome}" for outcome, n in totals.outcomes.items())
        shown = str(result.error or result.value).replace("\n", " ")[:60]
        cells = (f"{seconds:.1f}", totals.calls, f"{result.coverage:.2f}", outcomes, shown)
        print(form.format(name, *cells), flush=True)
    if failed:
        sys.exit(f"{failed} pipelines failed")


def _run(name: str, file: Path, tokens: int) -> octavo.RunResult:
    text = (_ROOT / "pipelines" / f"{name}.yaml").read_text("utf-8")
    text = re.sub(r"(\bsplit: \{[^}]*tokens: )\d+", rf"\g<1>{tokens}", text)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, f"{name}.yaml")
        path.write_text(text, "utf-8")
        wanted = {param.name for param in load_pipeline(str(path)).params}
        params = {key: value for key, value in _GIVEN.items() if key in wanted}
        if name == "outline":
            params.pop("question")
        with patch.dict(os.environ, {"OCTAVO_JOURNAL": str(Path(directory, "journal.sqlite"))}):
            return octavo.run(path, file, model="llama:smollm2", params=params)


if __name__ == "__main__":
    main()
