"""Keys do not belong into pipelines: they get committed, and errors quote the lines they are on."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["find_credentials", "mask_credentials"]

_CREDENTIAL = re.compile(
    r"(?<![A-Za-z0-9_-])"
    r"(?:(?:sk|pk|rk|gsk|xai)[-_](?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}"
    r"|hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|AKIA[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{30,})"
)
"""Prefixes that providers give their keys; the first group needs a digit, as words have none."""


def find_credentials(text: str) -> Iterator[int]:
    """Yield the offsets of what looks like a key, in characters."""
    for match in _CREDENTIAL.finditer(text):
        yield match.start()


def mask_credentials(text: str) -> str:
    """Return the text, as long as before, with `x` for what looks like a key."""
    return _CREDENTIAL.sub(lambda match: match[0][:3] + "x" * (len(match[0]) - 3), text)
