"""The store of all calls and replies, shared by a user's runs.

Guarantees: a reply that `keep` returned survives SIGKILL; a key has one reply, and whoever comes
second gets the first one's; what is stored is never changed. Everything that arrives in one turn
of the event loop is committed in one transaction at the end of that turn, which takes some tens
of microseconds without waiting for the disk, so no thread is needed and no reply waits for a
timer. The price is that a disk which stalls stalls the run.

Texts are deflated where that makes them smaller. What was stored lately is remembered by a set that
forgets the rest, so that it never grows.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import orjson

from octavo.engine.journal.database import check_journal, connect, explain_error, make_no_room_error
from octavo.engine.journal.overflow import OverflowFile
from octavo.engine.journal.prompts import PackedPrompt, unpack
from octavo.engine.journal.statements import STATEMENTS
from octavo.errors import JournalError, RunFailed
from octavo.protocols import Capabilities, Finish, Message, Reply, TokenLogprob, Usage
from octavo.text.encoding import replace_surrogates
from octavo.text.quote import to_row_id

__all__ = ["DAMAGE", "Journal", "RecentSet", "deflate", "inflate"]


_Row = tuple[Any, ...]
_PendingReply = tuple[_Row, asyncio.Future[Reply], Reply]
_DAY = 86_400
_COMMIT_DELAY = 0.02
"""Seconds that a row which nobody waits for may wait for the next commit."""

_ZLIB_LEVEL = 1
"""zlib's level: on a novel level 6 took four times as long to save a seventh more."""

_REMEMBERED = 10_000
"""Texts and prompts that are known to be stored; for others the file is asked."""

DAMAGE = (zlib.error, ValueError, TypeError, LookupError)
"""What reading a stored value raises where a bit of it was changed."""

_CAPABILITIES = frozenset(Capabilities.__dataclass_fields__)


_decode_leniently = partial(bytes.decode, errors="replace")


class Journal:
    """One open journal.

    A run writes to its `generation` and sees the newest reply of its `base` or a later one: an
    ordinary run has generation 0 and sees them all, a run started afresh has one of its own and
    sees none that came before. A run that asks some calls anew has a generation of its own and the
    base of the earlier run; `forget` says which those are.

    A stored value that is damaged counts as missing, so it is asked for again, and the new one
    takes its place. `notify` is told so once, in a line for the user.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        durable: bool = False,
        generation: int = 0,
        base: int | None = None,
        notify: Callable[[str], object] | None = None,
    ) -> None:
        self.path = path
        self.generation = generation
        self.base = generation if base is None else base
        self._forgotten: set[int] = set()
        self.today = int(time.time() // _DAY)
        self._notify = notify
        self._is_damage_told = False
        self._damaged: set[bytes] = set()
        self.connection = connect(path, durable=durable)
        self._overflow = OverflowFile(path) if path is not None else None
        self._restore_failure: JournalError | None = None
        self._restore_overflow()
        self._calls: list[_PendingReply] = []
        self._writes: dict[str, list[_Row]] = {}
        self._commit: asyncio.Future[None] | None = None
        self._stored_ids = RecentSet[int](_REMEMBERED)
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._failure: JournalError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is pending and close the file; raises JournalError if a write failed."""
        self.flush()
        self.connection.close()
        if self._failure:
            raise self._failure

    def prepare(self) -> None:
        """Make sure that replies can be kept, before the first one is paid for.

        Raises JournalError when the file is damaged or the disk has too little room.
        """
        check_journal(self.connection, self.path)
        if self._restore_failure is not None:
            raise self._restore_failure
        if self._overflow is not None:
            try:
                self._overflow.prepare()
            except OSError as error:
                raise make_no_room_error(error, self._overflow.path) from error

    def require(self) -> None:
        """Raise JournalError once something could not be written: nothing more may be sent."""
        if self._failure is not None:
            raise self._failure

    def mark_damaged(self, key: bytes) -> None:
        """Note that what is stored under a key cannot be read, and tell the user of the first."""
        self._damaged.add(key)
        if not self._is_damage_told:
            self._is_damage_told = True
            self._tell(
                f"something in the journal {self.path} is damaged: what cannot be read counts as"
                " missing and is asked for again"
            )

    def is_damaged(self, key: bytes) -> bool:
        """Return whether what is stored under a key could not be read, so that it is replaced."""
        return key in self._damaged

    def _tell(self, notice: str) -> None:
        if self._notify is not None:
            self._notify(notice)

    # calls

    def find(self, key: bytes) -> Reply | None:
        """Return the reply stored for a key, or None."""
        number = to_row_id(key)
        base = self.generation if number in self._forgotten else self.base
        for *row, stored, used, generation in self._read_rows(
            "SELECT text, finish, usage, model, reasoning, logprobs, key, used, generation"
            " FROM calls WHERE id = ? AND generation >= ? ORDER BY generation DESC",
            (number, base),
            undecodable=bytes,
        ):
            if (reply := _decode_stored(row, stored, key)) is None:
                self.mark_damaged(key)
                continue
            if not isinstance(used, int) or used < self.today:
                self._queue_write("call-used", (self.today, number, generation))
            return reply
        return None

    def forget(self, key: bytes) -> None:
        """Take a call for unanswered from now on, unless this generation has a reply to it."""
        self._forgotten.add(to_row_id(key))

    def keep(
        self, key: bytes, packed: PackedPrompt, reply: Reply, *, seconds: float | None = None
    ) -> asyncio.Future[Reply]:
        """Store a reply; the future gives the durable one, which may be another process's.

        The future raises JournalError when the reply cannot be written.
        """
        reply = _fix_surrogates(reply)
        self._keep_prompt(packed)
        row = (
            to_row_id(key),
            self.generation,
            key,
            packed.id,
            deflate(reply.text),
            _encode_finish(reply),
            _encode_usage(reply.usage),
            reply.model,
            reply.reasoning and deflate(reply.reasoning),
            orjson.dumps(reply.logprobs) if reply.logprobs else None,
            seconds,
            self.today,
        )
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._calls.append((row, future, reply))
        self._schedule()
        return future

    def read_messages(self, call: int) -> tuple[Message, ...]:
        """Return the messages of a stored call, by the first eight bytes of its key.

        Raises KeyError where the prompt, or a text of it, is missing or damaged.
        """
        for (body,) in self._read_rows(
            "SELECT body FROM prompts JOIN calls ON calls.prompt = prompts.id WHERE calls.id = ?",
            (call,),
        ):
            try:
                return unpack(body, self.read_text)
            except DAMAGE as error:
                raise KeyError(call) from error
        raise KeyError(call)

    def read_text(self, kind: int, number: int) -> str:
        """Return a stored text (kind 0) or reply (kind 1); see prompts.py.

        Raises KeyError where it is missing or damaged.
        """
        try:
            if kind == 1:
                sql = "SELECT text FROM calls WHERE id = ? ORDER BY generation DESC"
                for (text,) in self._read_rows(sql, (number,), undecodable=bytes):
                    return inflate(text)
            for (data,) in self._read_rows("SELECT data FROM texts WHERE id = ?", (number,)):
                return zlib.decompress(data).decode("utf-8", "surrogatepass")
        except DAMAGE as error:
            raise KeyError(number) from error
        raise KeyError(number)

    def _keep_prompt(self, packed: PackedPrompt) -> None:
        for number, text in packed.texts.items():
            self.keep_text(number, text)
        if packed.id not in self._stored_ids:
            self._stored_ids.add(packed.id)
            self._queue_write("prompt", (packed.id, packed.body))

    def keep_text(self, number: int, text: str) -> None:
        """Store a text that prompts refer to, once."""
        if number in self._stored_ids:
            return
        self._stored_ids.add(number)
        if not self._read_rows("SELECT 1 FROM texts WHERE id = ?", (number,)):
            data = zlib.compress(text.encode("utf-8", "surrogatepass"), _ZLIB_LEVEL)
            self._queue_write("text", (number, data))

    # what saves loading a vocabulary or asking a server

    def find_table(self, key: bytes) -> bytes | None:
        """Return a stored chunk table, or None."""
        for (data,) in self._read_rows("SELECT data FROM tables WHERE key = ?", (key,)):
            try:
                return zlib.decompress(data)
            except DAMAGE:
                self.mark_damaged(key)
        return None

    def keep_table(self, key: bytes, data: bytes, *, anew: bool = False) -> None:
        """Store a chunk table, unless there is one of this key or `anew`."""
        name = "table-anew" if anew or key in self._damaged else "table"
        self._queue_write(name, (key, zlib.compress(data, _ZLIB_LEVEL)))

    def find_count(self, key: bytes) -> int | None:
        """Return a stored token count, or None."""
        for (tokens,) in self._read_rows("SELECT tokens FROM counts WHERE key = ?", (key,)):
            return tokens if isinstance(tokens, int) and tokens >= 0 else None
        return None

    def keep_count(self, key: bytes, tokens: int) -> None:
        """Store a token count."""
        self._queue_write("count", (key, tokens))

    def find_contact(self, backend: str) -> tuple[Capabilities, float] | None:
        """Return what the last contact with a backend told and when, in seconds since 1970."""
        sql = "SELECT capabilities FROM contacts WHERE backend = ?"
        for (text,) in self._read_rows(sql, (backend,)):
            try:
                stored: Mapping[str, Any] = dict(orjson.loads(text))
                known = {k: v for k, v in stored.items() if k in _CAPABILITIES}
                return Capabilities(**known), float(stored.get("asked", 0.0))
            except DAMAGE:
                self.mark_damaged(backend.encode())
        return None

    def keep_contact(self, backend: str, capabilities: Capabilities) -> None:
        """Store what a contact told; a later one replaces it."""
        text = orjson.dumps({**asdict(capabilities), "asked": time.time()}).decode()
        self._queue_write("contact", (backend, text))

    # writing

    def write(self, statement: str, values: _Row) -> None:
        """Queue one statement of `STATEMENTS`, by its name, for the next commit."""
        self._queue_write(statement, values)

    def request_commit(self) -> asyncio.Future[None]:
        """Return a future that is done when all that was written so far is durable.

        It raises JournalError when that cannot be written.
        """
        if self._commit is None:
            self._commit = asyncio.get_running_loop().create_future()
        self._schedule()
        return self._commit

    def query(self, sql: str, values: _Row = ()) -> list[_Row]:
        """Return the rows of a statement that only reads."""
        return self._read_rows(sql, values)

    def execute(self, sql: str, values: _Row = ()) -> int:
        """Write one statement at once; return the id of the row that it made."""
        self.flush()
        try:
            return self.connection.execute(sql, values).lastrowid or 0
        except sqlite3.DatabaseError as error:
            raise explain_error(error, self.path) from error

    def flush(self) -> None:
        """Commit everything queued, in one transaction."""
        self._scheduled = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        calls, self._calls = self._calls, []
        writes, self._writes = self._writes, {}
        commit, self._commit = self._commit, None
        if not calls and not writes:
            _finish_commit(commit, None)
            return
        failure: JournalError | None = None
        try:
            kept = self._store(writes, calls)
        except sqlite3.DatabaseError as error:
            self._failure = explain_error(error, self.path)
            kept, whole = self._save_to_overflow(calls, writes, self._failure)
            failure = None if whole else self._failure
        except Exception as error:
            _fail_pending(calls, error)  # a defect: who waits must not wait for good
            _finish_commit(commit, error)
            raise
        for (_, future, _), reply in zip(calls, kept, strict=False):
            if not future.done():
                future.set_result(reply)
        _finish_commit(commit, failure)

    def _store(
        self, writes: Mapping[str, Sequence[_Row]], calls: Sequence[_PendingReply]
    ) -> list[Reply]:
        """Commit rows and replies, all or none; return what is stored of the replies."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            for name, rows in writes.items():
                self.connection.executemany(STATEMENTS[name], rows)
            kept = self._insert(calls)
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        return kept

    def _schedule(self) -> None:
        """Let the end of this turn of the loop commit."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def _insert(self, calls: Sequence[_PendingReply]) -> list[Reply]:
        """Insert replies; return what is stored, which is another's where one came first."""
        before = self.connection.total_changes
        self.connection.executemany(STATEMENTS["call"], [row for row, _, _ in calls])
        if self.connection.total_changes - before == len(calls):
            return [reply for _, _, reply in calls]
        return [self._settle(row) or reply for row, _, reply in calls]

    def _settle(self, row: _Row) -> Reply | None:
        """Return the reply that stands where a row was to go; a damaged one gives way to the row.

        Whoever holds the place of a key is looked at within the transaction that would take it, so
        no sound reply of another process is replaced.
        """
        number, generation, key, *_ = row
        for *columns, stored in self._read_rows(
            "SELECT text, finish, usage, model, reasoning, logprobs, key"
            " FROM calls WHERE id = ? AND generation = ?",
            (number, generation),
            undecodable=bytes,
        ):
            if (reply := _decode_stored(columns, stored, key)) is not None:
                return reply
        place = (number, generation)
        self.connection.execute("DELETE FROM calls WHERE id = ? AND generation = ?", place)
        self.connection.execute(STATEMENTS["call"], row)
        return None

    def _save_to_overflow(
        self,
        calls: Sequence[_PendingReply],
        writes: Mapping[str, Sequence[_Row]],
        failure: JournalError,
    ) -> tuple[list[Reply], bool]:
        """Keep what the journal could not take where there is room for it.

        Calls come first; those without room are refused. Returns the replies that were kept, and
        whether everything was.
        """
        failure.exit_code = RunFailed.exit_code  # something ran, and may have been paid for
        records = [("call", row) for row, _, _ in calls]
        records += [(name, row) for name, rows in writes.items() for row in rows]
        saved = 0 if self._overflow is None else self._overflow.save(records)
        _fail_pending(calls[saved:], failure)
        return [reply for _, _, reply in calls[:saved]], saved == len(records)

    def _restore_overflow(self) -> None:
        """Write what an earlier run had to put aside; without room, it stays where it is."""
        if self._overflow is None:
            return
        try:
            with self._overflow.take() as saved:
                if saved.records:
                    self.connection.execute("BEGIN IMMEDIATE")
                    for record, line in saved.records:
                        if not self._restore_record(*record):
                            saved.rejected.append(line)
                    self.connection.execute("COMMIT")
            if saved.rejected:
                self._tell(
                    f"{len(saved.rejected)} of the lines in {self._overflow.path} were damaged or"
                    f" no records; they were not used and lie in {self._overflow.rejected_path}"
                )
        except sqlite3.DatabaseError as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self._restore_failure = explain_error(error, self.path)
        except OSError as error:  # the records are in the journal, and come again with the others
            self._restore_failure = make_no_room_error(error, self._overflow.path)

    def _restore_record(self, name: str, row: _Row) -> bool:
        """Write a record; return False for one that the tables refuse."""
        try:
            if not self.connection.execute(STATEMENTS[name], row).rowcount and name == "call":
                self._settle(row)
        except (sqlite3.IntegrityError, UnicodeEncodeError):
            return False
        return True

    def _queue_write(self, statement: str, values: _Row) -> None:
        """Queue a row that nobody waits for: the next reply takes it along, or a timer."""
        self._writes.setdefault(statement, []).append(values)
        if self._timer is None:
            with suppress(RuntimeError):  # no loop runs: the rows are written on closing
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(_COMMIT_DELAY, self.flush)

    def _read_rows(
        self, sql: str, values: _Row, *, undecodable: Callable[[bytes], object] = _decode_leniently
    ) -> list[_Row]:
        """Return the rows of a query; one with text that is no UTF-8 has `undecodable` of it."""
        try:
            return self.connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            if not str(error).startswith("Could not decode"):  # has no code of its own
                raise explain_error(error, self.path) from error
        self.connection.text_factory = undecodable
        try:
            return self.connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise explain_error(error, self.path) from error
        finally:
            self.connection.text_factory = str


def _fail_pending(calls: Sequence[_PendingReply], error: Exception) -> None:
    for _, future, _ in calls:
        if not future.done():
            future.set_exception(error)


def _finish_commit(commit: asyncio.Future[None] | None, failure: Exception | None) -> None:
    if commit is None or commit.done():
        return
    if failure is None:
        commit.set_result(None)
    else:
        commit.set_exception(failure)
        commit.exception()  # nobody waiting is no defect


def _fix_surrogates(reply: Reply) -> Reply:
    text, reasoning = (
        replace_surrogates(reply.text),
        reply.reasoning and replace_surrogates(reply.reasoning),
    )
    if text is reply.text and reasoning is reply.reasoning:
        return reply
    return replace(reply, text=text, reasoning=reasoning)


def _encode_finish(reply: Reply) -> str:
    return f"{reply.finish} {reply.finish_reason}" if reply.finish_reason else reply.finish.value


def _encode_usage(usage: Usage) -> str | None:
    if usage == Usage():
        return None
    values = (usage.prompt, usage.completion, usage.cached, usage.reasoning)
    return orjson.dumps(values).decode()


def _decode_stored(row: list[Any], stored: object, key: bytes) -> Reply | None:
    """Return the reply of a row whose id is the key's, or None when it is damaged."""
    if stored != key:
        return None
    try:
        return _decode_reply(row)
    except DAMAGE:
        return None


def _decode_reply(row: list[Any]) -> Reply:
    text, finish, usage, model, reasoning, logprobs = row
    if model is not None and not isinstance(model, str):
        raise TypeError(model)
    finish, _, reason = finish.partition(" ")
    tokens = orjson.loads(logprobs) if logprobs else ()
    # A probability that was no number has been stored as null.
    known = all(
        number is not None
        for token in tokens
        for number in (token["logprob"], *(each[1] for each in token["top"]))
    )
    return Reply(
        text=inflate(text),
        finish=Finish(finish),
        usage=Usage(*orjson.loads(usage)) if usage else Usage(),
        reasoning=reasoning and inflate(reasoning),
        logprobs=tuple(
            TokenLogprob(token["token"], token["logprob"], tuple(map(tuple, token["top"])))
            for token in (tokens if known else ())
        ),
        model=model,
        finish_reason=reason or None,
    )


T = TypeVar("T")


class RecentSet(Generic[T]):
    """Remembers at least the last `least` values that were added, and at most twice as many."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._new: set[T] = set()
        self._old: set[T] = set()

    def __contains__(self, value: T) -> bool:
        return value in self._new or value in self._old

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def add(self, value: T) -> None:
        """Remember a value."""
        if len(self._new) >= self._least:
            self._old, self._new = self._new, set()
        self._new.add(value)


_DEFLATE_LEVEL = 1
"""zlib's level: on a novel level 6 took four times as long to save a seventh more."""

_PLAIN_CHARACTERS = 256
"""Characters up to which a text is stored as it is, which a query can read."""


def deflate(text: str) -> str | bytes:
    """Return a well-formed text as it is, or as the bytes for `inflate` when they are fewer."""
    if len(text) <= _PLAIN_CHARACTERS:
        return text
    plain = text.encode()
    data = zlib.compress(plain, _DEFLATE_LEVEL)
    return data if len(data) < len(plain) else text


def inflate(stored: str | bytes) -> str:
    """Return the text that was stored."""
    if isinstance(stored, str):
        return stored
    return zlib.decompress(stored).decode()
