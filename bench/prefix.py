"""What a server with a prefix cache must compute to read a document in order, against the ideal.

    python bench/prefix.py
    python bench/prefix.py --tokens 100000 --file book.txt

tests/support/haystack/prefix.py says what the ideal is, and which tokens are computed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import root_path
from tests.support.corpus import prose
from tests.support.haystack.prefix import cut, figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--file", help="a text of one's own")
    options = parser.parse_args()
    text = Path(options.file).read_text("utf-8") if options.file else prose(options.tokens * 5)
    text = cut(text, options.tokens)
    form = "{:<22} {:>6} {:>11} {:>10} {:>10} {:>8}"
    print(form.format("pipeline", "calls", "prompt", "computed", "ideal", "ratio"))
    in_place = ("schema: memory/facts", "schema: memory/facts\n      mode: in_place")
    for name, change in (("margins", ()), ("memory", ()), ("memory, in place", in_place)):
        found = figure(name.partition(",")[0], text, change)
        cells = (found.calls, found.prompt, found.computed, found.ideal, f"{found.ratio:.4f}")
        print(form.format(name, *cells))


if __name__ == "__main__":
    main()
