"""The public names of the package: those listed, all of them, and nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import octavo


def test_the_list_is_sorted_and_everything_on_it_exists():
    assert octavo.__all__ == sorted(set(octavo.__all__))
    assert all(getattr(octavo, name) is not None for name in octavo.__all__)


def test_what_is_visible_is_what_is_listed():
    visible = [name for name in dir(octavo) if not name.startswith("_")]
    assert visible == octavo.__all__


def test_a_type_checker_sees_the_same_names():
    """Names are loaded lazily, so the imports that checkers read are a list of their own."""
    tree = ast.parse(Path(octavo.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("octavo.")
        for alias in node.names
    }
    assert imported == set(octavo.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    assert not hasattr(octavo, "summarize")


def test_everything_public_is_documented():
    undocumented = [name for name in octavo.__all__ if not getattr(octavo, name).__doc__]
    assert not undocumented


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, octavo; print(*sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "aiohttp",
        "jinja2",
        "openai",
        "pydantic",
        "rich",
        "tiktoken",
        "toktok",
        "typer",
        "yaml",
    }
    assert heavy.isdisjoint(done.stdout.split())
