"""The mock server as a process of its own, for benchmarks."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

import root_path
from tests.support import mock_server

__all__ = ["mocked"]


@contextmanager
def mocked(*arguments):
    """Serve the mock until the block ends; give its base URL."""
    server = subprocess.Popen(
        [sys.executable, mock_server.__file__, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
