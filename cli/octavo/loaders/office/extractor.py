"""The extraction process: it runs as a script and imports nothing of Octavo.

Standard input brings frames, each a line of JSON with `type`, `paged`, `seconds` and `size` and
then that many bytes; standard output gives a line of JSON for each, which has `text`, `pages`,
`unit`, `title` and what was `left_out`, or `error`. The process ends with its input, however its
parent ended.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from contextlib import suppress
from typing import Any


def main() -> None:
    """Answer until the input ends; the first argument is the memory that may be taken, in bytes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    _limit_memory(int(sys.argv[1]))
    while line := sys.stdin.buffer.readline():
        frame = json.loads(line)
        data = sys.stdin.buffer.read(frame["size"])
        try:
            answer = asyncio.run(_extract(data, frame))
        except MemoryError:
            answer = {"error": "it takes too much memory"}
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent names the file
            answer = {"error": " ".join(str(error).split()) or type(error).__name__}
        print(json.dumps(answer), file=answers, flush=True)


def _limit_memory(memory: int) -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - not on every system

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


async def _extract(data: bytes, frame: dict[str, Any]) -> dict[str, Any]:
    library: Any = importlib.import_module("xberg")
    config = library.ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        disable_ocr=True,
        output_format="markdown",
        escape_markdown=False,
        pages=library.PageConfig(extract_pages=True),
        # The defaults leave headers, footers and what repeats out without a word.
        content_filter=library.ContentFilterConfig(
            include_headers=True,
            include_footers=True,
            include_footnotes=True,
            include_watermarks=True,
            strip_repeating_text=False,
        ),
        security_limits=library.SecurityLimits(),
        extraction_timeout_secs=int(frame["seconds"]),
        max_archive_depth=1,
    )
    given = library.ExtractInput(kind="bytes", bytes=data, mime_type=frame["type"])
    found = await library.extract(given, config)
    if found.errors or not found.results:
        reasons = "; ".join(str(getattr(e, "message", e)) for e in found.errors)
        return {"error": reasons or "nothing was found in it"}
    result = found.results[0]
    structure = result.metadata.pages
    slides = structure is not None and "slide" in str(structure.unit_type).lower()
    return {
        "text": result.content,
        "pages": [page.content for page in result.pages or ()] if frame["paged"] else [],
        "unit": "slide" if slides else "page",
        "title": result.metadata.title,
        "left_out": next(
            (each.message for each in result.processing_warnings if _is_loss(each.message)), None
        ),
    }


def _is_loss(warning: str) -> bool:
    """Tell whether the library says that it could not read something and went on without it."""
    return warning.lower().startswith(("failed to", "could not read", "cannot read"))


if __name__ == "__main__":
    main()
