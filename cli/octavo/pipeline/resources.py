"""Where the built-in pipelines and prompts are: the one module that knows.

In a wheel they lie inside the package, in a checkout beside it. The package comes first, so that
an installed Octavo never reaches outside itself.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

__all__ = ["built_in"]


@cache
def built_in(kind: Literal["pipelines", "prompts"]) -> Traversable:
    """Return the folder of the built-in pipelines, or that of their prompts and schemas."""
    packaged = files("octavo").joinpath(kind)
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / kind
