"""The last line of defence that keeps keys out of what is printed and saved.

Keys live in a wrapper that hides them and are never put into messages; this catches what a
library or a server quotes back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

__all__ = ["redact"]

_SECRET_SUFFIXES = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "CREDENTIALS")
_MIN_SECRET_LENGTH = 8
"""Shorter values would take ordinary words out of messages."""
_KEY_PATTERNS = (
    (r"\b(?:sk|pk|rk|hf|gsk|xai)[-_][A-Za-z0-9_\-]{8,}", "[key]"),
    (r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{8,}", r"\1 [key]"),
    (r"(?<=://)[^/\s@]+(?=@)", "[key]"),
)
"""Compiled when the first line is written: --help needs none of them."""


def redact(text: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the text without anything that looks like a key.

    That is: the values of environment variables named like one, key-like prefixes, the credentials
    of an authorization header or an address.
    """
    for name, value in (os.environ if environ is None else environ).items():
        if len(value) >= _MIN_SECRET_LENGTH and name.upper().endswith(_SECRET_SUFFIXES):
            text = text.replace(value, "[key]")
    for shape, replacement in _KEY_PATTERNS:
        text = re.sub(shape, replacement, text)
    return text
