"""Puts the repository's root on the path; a script imports it before `tests.support` or `tools`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
