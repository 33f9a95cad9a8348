"""The journal gives back what it was given, here and elsewhere, and says what it cannot."""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import sqlite3
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.journal_child import key, write

from octavo.engine.dispatch.key import compute_key
from octavo.engine.journal import schema
from octavo.engine.journal.database import explain_error
from octavo.engine.journal.prompts import pack, unpack
from octavo.engine.journal.run_entry import begin_run
from octavo.engine.journal.runs import list_calls, list_runs
from octavo.engine.journal.schema import VERSION
from octavo.engine.journal.store import Journal
from octavo.errors import JournalError
from octavo.protocols import Capabilities, Finish, Message, Reply, Request, TokenLogprob, Usage
from octavo.text.quote import Quote, QuoteOrigin, to_row_id


def request(text="hello", **changes):
    return Request((Message("user", text),), max_tokens=10, **changes)


def keep(journal, asked, reply, quotes=()):
    async def store():
        return await journal.keep(
            compute_key(asked, identity="i", model="m"), pack(asked.messages, quotes), reply
        )

    return asyncio.run(store())


def find(journal, asked):
    return journal.find(compute_key(asked, identity="i", model="m"))


FULL = Reply(
    "a reply",
    Finish.LENGTH,
    Usage(5, 3, 2, 1),
    reasoning="why",
    logprobs=(TokenLogprob("a", -0.5, (("a", -0.5), ("b", -1.0))),),
    model="m-2026",
)


def test_a_reply_is_found_by_another_journal_on_the_same_file(tmp_path):
    with Journal(tmp_path / "j") as journal:
        keep(journal, request(), FULL)
    with Journal(tmp_path / "j") as journal:
        assert find(journal, request()) == FULL
        assert find(journal, request("other")) is None
        assert find(journal, request(sample=1)) is None
        assert find(journal, request(attempt=1)) is None


def test_a_reply_that_no_text_can_be_is_made_one(tmp_path):
    """A server may cut a reply within an emoji, and JSON can say the half that is left."""
    with Journal(tmp_path / "j") as journal:
        stored = keep(journal, request(), Reply("well \ud83d", reasoning="\ude00 hm"))
        assert stored == find(journal, request())
        assert stored == Reply("well \ufffd", reasoning="\ufffd hm")


@pytest.mark.parametrize(
    "token", [TokenLogprob("a", float("nan")), TokenLogprob("a", -1.0, (("b", float("-inf")),))]
)
def test_log_probabilities_that_were_no_numbers_are_unknown(tmp_path, token):
    with Journal(tmp_path / "j") as journal:
        keep(journal, request(), Reply("a", logprobs=(token,)))
    with Journal(tmp_path / "j") as journal:
        assert find(journal, request()) == Reply("a")


def test_a_defect_while_writing_ends_the_call_that_waits_for_it(tmp_path):

    async def store():
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        kept = journal.keep(b"k" * 32, pack((), ()), Reply("well", model="\ud800"))
        with pytest.raises(UnicodeEncodeError):
            await journal.request_commit()
        await kept

    with Journal(tmp_path / "j") as journal, pytest.raises(UnicodeEncodeError):
        asyncio.run(store())


def test_the_second_process_adopts_the_first_durable_reply(tmp_path):
    with Journal(tmp_path / "j") as first, Journal(tmp_path / "j") as second:
        assert keep(first, request(), Reply("first")).text == "first"
        assert keep(second, request(), Reply("second")).text == "first"


def test_a_fresh_generation_sees_nothing_older_and_ordinary_runs_see_the_newest(tmp_path):
    with Journal(tmp_path / "j") as journal:
        keep(journal, request(), Reply("old"))
    with Journal(tmp_path / "j", generation=1) as fresh:
        assert find(fresh, request()) is None
        keep(fresh, request(), Reply("new"))
    with Journal(tmp_path / "j") as journal:
        assert find(journal, request()).text == "new"


def test_only_the_owner_may_read_it(tmp_path):
    with Journal(tmp_path / "dir" / "j") as journal:
        keep(journal, request(), FULL)
        for file in (tmp_path / "dir").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((tmp_path / "dir").stat().st_mode) == 0o700


def test_a_file_that_is_no_journal_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "j"
    path.write_bytes(b"not a database, certainly" * 100)
    with pytest.raises(JournalError, match="j cannot be used") as caught:
        Journal(path)
    assert "OCTAVO_JOURNAL" in caught.value.hint


def test_a_journal_of_a_later_version_is_left_alone(tmp_path):
    Journal(tmp_path / "j").close()
    connection = sqlite3.connect(tmp_path / "j")
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(JournalError, match="later version"):
        Journal(tmp_path / "j")


@pytest.mark.parametrize("version", range(1, VERSION))
def test_a_journal_of_any_earlier_version_becomes_one_of_this(tmp_path, monkeypatch, version):
    connection = sqlite3.connect(tmp_path / "j", isolation_level=None)
    connection.executescript((Path(__file__).parent / "journal_1.sql").read_text())
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "VERSION", version)
        earlier.setattr(schema, "_STEPS", schema._STEPS[:version])
        assert schema.migrate(connection) == 1
    assert connection.execute("PRAGMA user_version").fetchone() == (version,)
    digest = compute_key(request(), identity="i", model="m")
    connection.execute(
        "INSERT INTO calls (id, generation, key, prompt, text, finish, usage, model, seconds)"
        " VALUES (?, 1, ?, 9, 'kept', 'stop', '[1,2,null,null]', 'm', 0.5)",
        (to_row_id(digest), digest),
    )
    connection.close()
    with Journal(tmp_path / "j") as journal:
        assert find(journal, request()) == Reply("kept", usage=Usage(1, 2), model="m")
        assert [(run.id, run.generation, run.base) for run in list_runs(journal)] == [
            (2, 1, 1),
            (1, 0, 0),
        ]
        assert [row.outcome for row in list_calls(journal, 1)] == ["ok"]
        assert journal.find_contact("b") == (Capabilities(window=4096), 0.0)
        assert begin_run(journal, pipeline="p", model="m", command=()) == 3
        keep(journal, request("new"), FULL)
        assert journal.query("PRAGMA user_version") == [(VERSION,)]
    Journal(tmp_path / "j").close()  # and stays it


def test_processes_may_write_at_once_and_agree_on_every_reply(tmp_path):
    """They also create the file at once; the first durable reply is everyone's."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.journal_child"])
    results = context.SimpleQueue()
    names = range(4)
    ready = context.Barrier(len(names))
    processes = [
        context.Process(target=write, args=(str(tmp_path / "j"), name, 4, ready, results))
        for name in names
    ]
    for process in processes:
        process.start()
    found = dict(results.get() for _ in names)
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    expected = [f"{number // 10} {number}" for number in range(40)]
    assert all(found[name] == expected for name in names)
    with Journal(tmp_path / "j") as journal:
        assert [journal.find(key(number)).text for number in range(40)] == expected
        assert [run.id for run in list_runs(journal)] == [4, 3, 2, 1]


def test_a_journal_that_another_process_is_making_is_waited_for(tmp_path, monkeypatch):
    """SQLite refuses to turn on its log at once where another process is about to do the same."""
    other = sqlite3.connect(tmp_path / "j", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if other.in_transaction:
            other.execute("ROLLBACK")

    monkeypatch.setattr("octavo.engine.journal.database.time.sleep", sleep)
    Journal(tmp_path / "j").close()
    other.close()
    assert len(waited) == 1


def test_a_journal_that_another_process_holds_for_long_is_an_error(tmp_path, monkeypatch):
    other = sqlite3.connect(tmp_path / "j", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("octavo.engine.journal.database._PATIENCE", 0.0)
    with pytest.raises(JournalError, match="locked") as caught:
        Journal(tmp_path / "j")
    other.close()
    assert "another process" in caught.value.hint


def test_a_directory_that_cannot_be_made_is_an_error_before_anything_runs(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "file" / "j")


def test_a_write_that_fails_reaches_the_call_that_waits_for_it(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalError):
        keep(journal, request(), FULL)


def test_contacts_counts_and_tables_come_back(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.keep_contact("b", Capabilities(window=4096, logprobs=True))
        journal.keep_count(b"key", 12)
        journal.keep_table(b"key", b"[1,2]")
    with Journal(tmp_path / "j") as journal:
        known, asked = journal.find_contact("b")
        assert known == Capabilities(window=4096, logprobs=True)
        assert asked == pytest.approx(time.time(), abs=60)
        assert journal.find_contact("c") is None
        assert journal.find_count(b"key") == 12
        assert journal.find_table(b"key") == b"[1,2]"


def test_a_prompt_is_stored_without_what_stands_elsewhere(tmp_path):
    text = "All of the document. " * 500
    document = Quote(text[100:9000], QuoteOrigin("text", 7, 100))
    asked = request(f"Static instruction. {'x' * 200}\n\n<text 1a>\n{document}\n</text 1a>\nEnd.")
    with Journal(tmp_path / "j") as journal:
        journal.keep_text(7, text)
        keep(journal, asked, FULL, [document])
        call = to_row_id(compute_key(asked, identity="i", model="m"))
        assert journal.read_messages(call) == asked.messages
        ((size,),) = journal.query("SELECT length(body) FROM prompts")
    assert size < 150


def test_a_text_that_grows_from_prompt_to_prompt_is_stored_about_once(tmp_path):
    """As a memory does whose log every part of a document is read with, 200 parts here."""
    lines = [f'{{"path":["values","{n * 7919 % 10007}"],"value":"{n**5}"}}' for n in range(200)]
    asked = [
        request("\n".join(("Read. " * 50, "<log>", *lines[:at], "</log>", f"<text {at}>")))
        for at in range(200)
    ]
    with Journal(tmp_path / "j") as journal:
        for each in asked:
            keep(journal, each, FULL)
        for each in asked:
            call = to_row_id(compute_key(each, identity="i", model="m"))
            assert journal.read_messages(call) == each.messages
        ((texts,),) = journal.query("SELECT sum(length(data)) FROM texts")
        ((prompts,),) = journal.query("SELECT sum(length(body)) FROM prompts")
    # Each refers to its blocks, and has only the last one to itself; whole, it takes 1,100 bytes.
    assert texts + prompts < 200 * 400


@given(
    st.lists(st.text(max_size=300) | st.text("a\n", min_size=900, max_size=3000), max_size=4),
    st.lists(st.text(alphabet="ab\n", min_size=97, max_size=150), max_size=4),
)
def test_packing_loses_nothing(literals, quoted):
    """Any mix of literals and quotes, repeated and overlapping ones too, comes back whole."""
    store = dict(enumerate(quoted))
    quotes = [Quote(text, QuoteOrigin("call", i, 0)) for i, text in store.items()]
    content = "".join(
        a + b
        for a, b in zip(literals + [""] * 4, [str(q) for q in quotes] + [""] * 4, strict=False)
    )
    messages = (Message("system", content), Message("user", content[::-1]))
    packed = pack(messages, quotes)

    def text(kind, number):
        return store[number] if kind == 1 else packed.texts[number]

    assert unpack(packed.body, text) == messages


def test_an_error_of_a_full_disk_says_so_whatever_sqlite_says(tmp_path, monkeypatch):
    error = sqlite3.OperationalError("disk I/O error")
    assert "disk I/O error" in explain_error(error, tmp_path / "j").message
    full = shutil.disk_usage(tmp_path)._replace(free=4096)
    monkeypatch.setattr("shutil.disk_usage", lambda _: full)
    told = explain_error(error, tmp_path / "j")
    assert told.message.endswith("the disk is full")
    assert "make room" in told.hint


def test_a_journal_made_here_is_known_at_once_and_one_spelled_otherwise_too(tmp_path):
    """Opening compares one hash; what differs in comments and spaces only is no other journal."""
    Journal(tmp_path / "j").close()
    connection = sqlite3.connect(tmp_path / "j", isolation_level=None)
    assert schema._compute_digest(schema._read_definitions(connection)) == schema._DIGEST
    connection.executescript(
        "DROP TABLE counts; CREATE TABLE  counts ( key BLOB PRIMARY KEY, -- sixteen bytes\n"
        '"tokens" INTEGER NOT NULL) WITHOUT ROWID;'
    )
    assert schema._compute_digest(schema._read_definitions(connection)) != schema._DIGEST
    assert schema.find_foreign_object(connection) is None
    connection.close()
    Journal(tmp_path / "j").close()
