"""`octavo version`."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed

__all__ = ["version"]


def version() -> None:
    """Print the version."""
    sys.stdout.write(f"octavo {installed('octavo')}\n")
