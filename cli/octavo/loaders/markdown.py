"""Markdown: the text as it is, its headings, and the fields of its front matter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from octavo.loaders._support.decoding import decode
from octavo.protocols.sources import LoaderType
from octavo.text.document import Document
from octavo.text.outline import markdown_headings

__all__ = ["LOADER"]


# YAML between `---` lines or TOML between `+++` lines, at the very start and of bounded length.
_FRONT_MATTER: Final = re.compile(
    r"(?P<mark>---|\+\+\+)[ \t]*\r?\n(?P<body>(?:.{0,1000}\n){0,500}?)"
    r"(?:(?P=mark)|\.\.\.)[ \t]*\r?(?:\n|\Z)"
)


def _load(data: bytes, source: str, encoding: str | None) -> Document:
    text = decode(data, source, encoding)
    metadata: dict[str, str] = {}
    start = 0
    if match := _FRONT_MATTER.match(text):
        fields = (
            _parse_toml(match["body"]) if match["mark"] == "+++" else _parse_yaml(match["body"])
        )
        if fields is not None:
            metadata, start = _to_strings(fields), match.end()
    return Document(text, source, outline=markdown_headings(text, start), metadata=metadata)


def _parse_yaml(body: str) -> Mapping[Any, Any] | None:
    """Return the mapping that the front matter holds, its scalars as strings, or None."""
    import yaml  # noqa: PLC0415 - most texts have no front matter

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        found: object = yaml.load(body, Loader=loader)  # noqa: S506 - makes strings only
    except (yaml.YAMLError, RecursionError, ValueError):
        return None  # a text may begin with a rule; broken front matter is text too
    return cast("Mapping[Any, Any]", found) if isinstance(found, dict) else None


def _parse_toml(body: str) -> Mapping[str, Any] | None:
    import tomllib  # noqa: PLC0415 - YAML is usual

    try:
        return tomllib.loads(body.replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _to_strings(fields: Mapping[Any, Any]) -> dict[str, str]:
    """Keep scalars, and lists of scalars joined by commas."""
    kept: dict[str, str] = {}
    for key, value in fields.items():
        items = cast("list[object]", value) if isinstance(value, list) else [cast("object", value)]
        if isinstance(key, str) and not any(isinstance(item, dict | list) for item in items):
            kept[key] = ", ".join(str(item) for item in items)
    return kept


LOADER = LoaderType(
    name="markdown",
    suffixes=frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"}),
    load=_load,
)
