"""What opening a backend imports: a run that finds all replies in the journal pays for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = {"backend", "model_file", "model_files", "weights"}


@pytest.mark.parametrize("name", ["openai", "vllm", "llama"])
def test_opening_a_backend_imports_nothing_that_sends(name):
    code = (
        "import asyncio, sys\n"
        f"from octavo.backends.{name}.backend import BACKEND\n"
        "from octavo.protocols import Profile\n"
        f"backend = BACKEND.open('smollm2', Profile(model='{name}:smollm2'))\n"
        "backend.identity, backend.model, backend.known, backend.embedder\n"
        "asyncio.run(backend.close())\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert not imported & {"aiohttp", "openai", "orjson", "httpx2", "jinja2"}
    ours = {each.split(".")[-1] for each in imported if each.startswith(f"octavo.backends.{name}.")}
    assert "backend" in ours
    assert ours <= LIGHT
