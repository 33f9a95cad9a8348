"""A journal that cannot be written loses no reply that was paid for, and says so before it can."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from tests.support.kit import Kit, paragraphs

from octavo.engine.journal import store as journal_module
from octavo.engine.journal.database import connect
from octavo.engine.journal.overflow import OverflowFile
from octavo.engine.journal.store import Journal
from octavo.errors import JournalError

MAP = """
octavo: 1
steps:
  - split: {tokens: 250}
  - map: {prompt: "Sum up: {{ text | fence }}", tokens: 6000}
"""


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = tmp_path / "state" / "journal.sqlite"
    monkeypatch.setenv("OCTAVO_JOURNAL", str(path))
    return path


@pytest.fixture
def small_disk(monkeypatch):
    """A database that may grow to 512 KB, as on a disk that is nearly full."""

    def small(path, *, durable=False):
        connection = connect(path, durable=durable)
        connection.execute("PRAGMA max_page_count = 32")
        return connection

    monkeypatch.setattr(journal_module, "connect", small)


async def long_reply(request):
    await asyncio.sleep(0)
    words = random.Random(repr(request.messages))
    return words.randbytes(12_500).hex()  # which hardly gets smaller


@pytest.mark.parametrize("jobs", [1, 8])
def test_a_disk_that_fills_up_ends_the_run_and_loses_nothing(
    tmp_path, path, small_disk, monkeypatch, jobs
):
    kit = Kit(MAP, long_reply, tmp_path)
    calls = kit.plan(paragraphs(60)).calls[0]
    with pytest.raises(JournalError, match="disk is full") as caught:
        kit.run(paragraphs(60), jobs=jobs)
    assert caught.value.exit_code == 1  # something was paid for
    assert "make room" in caught.value.hint
    sent = list(kit.requests)
    assert 5 < len(sent) < calls
    # Until there is room, no run starts, and what was put aside stays; a plan needs none.
    assert kit.plan(paragraphs(60)).calls[0] == calls
    with pytest.raises(JournalError, match="disk is full"):
        kit.run(paragraphs(60), jobs=jobs)
    assert kit.requests == []
    monkeypatch.setattr(journal_module, "connect", connect)
    result = kit.run(paragraphs(60), jobs=jobs)
    sent += kit.requests
    assert result.report.failed == 0
    assert len(sent) == result.report.totals.calls
    assert max(Counter(sent).values()) == 1


def test_no_room_is_an_error_before_any_call(tmp_path, path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    kit = Kit(MAP, lambda _: "Fine.", tmp_path)
    with pytest.raises(
        JournalError, match=r"no room to keep replies in .*state: No space"
    ) as caught:
        kit.run(paragraphs(10))
    assert (kit.requests, caught.value.exit_code) == ([], 2)
    assert kit.run(paragraphs(10), private=True).report.failed == 0


def test_a_damaged_file_is_an_error_before_any_call(tmp_path, path):
    kit = Kit(MAP, lambda request: f"{hash(request.messages)} fine.", tmp_path)
    kit.run(paragraphs(200))
    content = path.read_bytes()
    page = 16384
    for number in range(2, len(content) // page):
        start = number * page
        path.write_bytes(content[:start] + bytes(page) + content[start + page :])
        with pytest.raises(JournalError, match="cannot be used") as caught:
            kit.run(paragraphs(201))
        assert (kit.requests, caught.value.exit_code) == ([], 2)
        assert "move the file away" in caught.value.hint
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(JournalError):
        kit.run(paragraphs(201))
    assert kit.requests == []


def test_damage_during_a_run_loses_nothing_once_the_file_is_moved_away(tmp_path, path):
    """Something that is no journal any more refuses the twentieth reply."""
    answered = []

    async def handler(request):
        await asyncio.sleep(0)
        answered.append(request)
        if len(answered) == 20:
            connection = sqlite3.connect(path)
            connection.execute("DROP TABLE calls")
            connection.close()
        return f"{hash(request.messages)} fine."

    kit = Kit(MAP, handler, tmp_path)
    with pytest.raises(JournalError):
        kit.run(paragraphs(100), jobs=1)
    sent = list(kit.requests)
    assert len(sent) == 20
    for file in path.parent.glob("journal.sqlite*"):
        if file != OverflowFile(path).path:
            file.unlink()
    result = kit.run(paragraphs(100))
    assert result.report.failed == 0
    assert sent[-1] not in kit.requests
    assert set(sent[:-1]) < set(kit.requests)  # went with the file


def refused(directory):
    """Return what opening a journal in a directory says to a user who is not root."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        message = "opened"
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            Journal(directory / "journal.sqlite")
        except BaseException as error:  # noqa: BLE001 - told to the parent
            message = f"{type(error).__name__}: {error}"
        os.write(writer, message.encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    message = os.read(reader, 4096).decode()
    os.close(reader)
    return message


@pytest.mark.parametrize("existing", [False, True])
def test_a_directory_that_cannot_be_written_is_an_error(existing):
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if existing:
            Journal(directory / "journal.sqlite").close()
            (directory / "journal.sqlite").chmod(0o666)
        directory.chmod(0o555)
        message = refused(directory)
        directory.chmod(0o755)
    assert message.startswith("JournalError: the journal ")
    assert "journal.sqlite cannot be " in message


def test_records_come_back_whole_after_a_torn_one(tmp_path):
    spare = OverflowFile(tmp_path / "j")
    spare.prepare()
    first, *others = [("text", (1, b"\0\xff")), ("count", (b"k", 2)), ("table", (b"\xe9", b""))]
    assert spare.save([first]) == 1
    with spare.path.open("r+b") as file:
        file.seek(file.read().index(b"\0"))
        file.write(b'1 00000000 ["text", [1, "half')
    assert spare.save(others) == 2
    with spare.take() as saved:
        assert [record for record, _ in saved.records] == [first, *others]
        assert saved.rejected == [b'1 00000000 ["text", [1, "half']
    with spare.take() as saved:
        assert (saved.records, saved.rejected) == ([], [])
    assert spare.path.stat().st_size == 4 * 2**20
    assert spare.rejected_path.read_bytes() == b'1 00000000 ["text", [1, "half\n'
