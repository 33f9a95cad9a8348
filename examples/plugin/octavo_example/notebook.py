"""The loader `notebook`: a Jupyter notebook as Markdown, its code in fences, without outputs."""

from __future__ import annotations

import json

from octavo.errors import InputError
from octavo.protocols import Document, LoaderType, markdown_headings


def load(data: bytes, source: str, encoding: str | None) -> Document:
    """Return the document; raises InputError for what is no notebook, naming the file."""
    try:
        cells = json.loads(data.decode(encoding or "utf-8"))["cells"]
        parts = [_cell(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "this is no notebook", source=source, hint="save it again from Jupyter"
        ) from error
    text = "\n\n".join(part for part in parts if part)
    # The lines are not those of the file, so findings must not name them.
    return Document(text, source, outline=markdown_headings(text), verbatim=False)


def _cell(kind: str, text: str) -> str:
    return f"```\n{text}\n```" if kind == "code" and text else text


LOADER = LoaderType(name="notebook", suffixes=frozenset({".ipynb"}), load=load)
