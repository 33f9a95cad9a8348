"""What every test stands on: no network beyond loopback, an empty home, a plain terminal."""

from __future__ import annotations

import os

import hypothesis
import pytest
from pytest_socket import socket_allow_hosts

# Other work on the machine must not fail a test; an endless one ends by its own time limit. What
# property tests find by luck is found while developing: CI takes the same examples each time.
hypothesis.settings.register_profile("octavo", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("octavo")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Spread the whole suite over the cores; what was named by hand runs in this very process."""
    return min(os.cpu_count() or 1, 4) if config.args == config.getini("testpaths") else 0


@pytest.fixture(autouse=True)
def loopback_only():
    """Refuse connections to anything but this machine."""
    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def empty_home(tmp_path_factory, monkeypatch):
    """Give each test a home without configuration, keys, journal or cache."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "GITHUB_ACTIONS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    return home
