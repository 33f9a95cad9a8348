"""A server is asked for its window until it tells it, and never for nothing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.dispatch.capabilities import fetch_capabilities
from octavo.engine.journal.store import Journal
from octavo.engine.report import Silence
from octavo.errors import UnreachableError
from octavo.protocols import Capabilities, Profile, Transient


class Server(ScriptedBackend):
    """Tells `window` when it is asked, or does not answer."""

    def __init__(self):
        super().__init__(lambda _: "", identity="scripted:contact", known=Capabilities())
        self.window = None
        self.silent = False
        self.asked = 0

    async def contact(self):
        self.asked += 1
        if self.silent:
            raise Transient("no answer", kind="connection", retry_after=1e9)
        return replace(self.known, window=self.window)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def contact(tmp_path, server, monkeypatch):
    """Contact the server so many hours later; return the window and how often it was asked."""

    def run(hours=0.0, **profile):
        now = time.time() + hours * 3600
        with monkeypatch.context() as patched, Journal(tmp_path / "j") as journal:
            patched.setattr(time, "time", lambda: now)
            before = server.asked
            known = asyncio.run(
                fetch_capabilities(server, Profile(model="openai:m", **profile), journal, Silence())
            )
        return known.window, server.asked - before

    return run


def test_a_window_that_was_told_is_not_asked_for_again(server, contact):
    server.window = 4096
    assert contact() == (4096, 1)
    server.window = 8192
    assert contact(hours=1000) == (4096, 0)


def test_a_window_that_was_not_told_is_asked_for_again_later(server, contact):
    assert contact() == (None, 1)
    server.window = 4096
    assert contact(hours=0.5) == (None, 0)
    assert contact(hours=1.5) == (4096, 1)
    assert contact(hours=1.5) == (4096, 0)


def test_a_server_that_is_silent_later_does_not_end_the_run(server, contact):
    server.silent = True
    with pytest.raises(UnreachableError):
        contact()
    server.silent = False
    contact()
    server.silent = True
    assert contact(hours=2) == (None, 1)


def test_the_profile_s_word_needs_no_contact(contact):
    assert contact(window=2048) == (2048, 0)
