"""The journal's tables, and how an older journal becomes this one.

`calls` holds every reply under its key and generation: a run started afresh opens a generation
and sees only its own; any other run sees the newest. `prompts` and `texts` are content-addressed
by the first eight bytes of a SHA-256, so that nothing is stored twice. `ledger` has a row for
every call that a run asked for. `vectors` holds embeddings, by key and generation like replies.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3

__all__ = ["VERSION", "find_foreign_object", "migrate", "read_version"]


_TABLES = """
CREATE TABLE texts (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL              -- zlib, UTF-8
);
CREATE TABLE prompts (
    id INTEGER PRIMARY KEY,
    body BLOB NOT NULL              -- see packing.py
);
CREATE TABLE calls (
    id INTEGER NOT NULL,            -- the key's first eight bytes
    generation INTEGER NOT NULL,
    key BLOB NOT NULL,
    prompt INTEGER NOT NULL,
    text TEXT NOT NULL,             -- or deflated; see deflate.py
    finish TEXT NOT NULL,
    usage TEXT,                     -- prompt, completion, cached, reasoning tokens as JSON
    model TEXT,
    reasoning TEXT,
    logprobs BLOB,
    seconds REAL,
    PRIMARY KEY (id, generation)
) WITHOUT ROWID;
CREATE TABLE tables (
    key BLOB PRIMARY KEY,
    data BLOB NOT NULL              -- zlib, JSON
) WITHOUT ROWID;
CREATE TABLE counts (
    key BLOB PRIMARY KEY,
    tokens INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE contacts (
    backend TEXT PRIMARY KEY,
    capabilities TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    generation INTEGER NOT NULL,
    started REAL NOT NULL,
    ended REAL,
    status TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    model TEXT NOT NULL,
    command TEXT NOT NULL,
    summary TEXT
);
CREATE TABLE sites (
    id INTEGER PRIMARY KEY,         -- a run's source and step, with the hashes they share
    run INTEGER NOT NULL,
    source TEXT NOT NULL,
    step TEXT NOT NULL,
    prompt BLOB NOT NULL,
    model BLOB NOT NULL
);
CREATE INDEX sites_of_run ON sites (run);
CREATE TABLE ledger (
    site INTEGER NOT NULL,
    node TEXT NOT NULL,
    call INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    attempts INTEGER NOT NULL
);
CREATE INDEX ledger_of_site ON ledger (site);
"""

_USED_DAYS = """
ALTER TABLE calls ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN base INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET base = generation;
ALTER TABLE sites ADD COLUMN options BLOB NOT NULL DEFAULT x'';
CREATE INDEX sites_of_source ON sites (source, run);
UPDATE calls SET used = CAST(strftime('%s', 'now') AS INTEGER) / 86400;
"""
"""The day on which a reply was last wanted, since 1970; the oldest generation that a run sees; the
hash of a site's options; and a source's earlier runs found quickly."""

_VECTORS = """
CREATE TABLE vectors (
    id INTEGER NOT NULL,            -- the key's first eight bytes
    generation INTEGER NOT NULL,
    key BLOB NOT NULL,
    vector BLOB NOT NULL,           -- numbers of four bytes, little-endian
    used INTEGER NOT NULL,          -- the day on which it was last wanted, since 1970
    PRIMARY KEY (id, generation)
) WITHOUT ROWID;
"""

_APPEND_ORDER = """
CREATE TABLE appended (
    id INTEGER NOT NULL,            -- the key's first eight bytes
    generation INTEGER NOT NULL,
    key BLOB NOT NULL,
    prompt INTEGER NOT NULL,
    text TEXT NOT NULL,
    finish TEXT NOT NULL,
    usage TEXT,                     -- prompt, completion, cached, reasoning tokens as JSON
    model TEXT,
    reasoning TEXT,
    logprobs BLOB,
    seconds REAL,
    used INTEGER NOT NULL DEFAULT 0,
    UNIQUE (id, generation)
);
INSERT INTO appended SELECT * FROM calls;
DROP TABLE calls;
ALTER TABLE appended RENAME TO calls;
CREATE TABLE appended (
    id INTEGER NOT NULL UNIQUE,
    body BLOB NOT NULL              -- see packing.py
);
INSERT INTO appended SELECT * FROM prompts;
DROP TABLE prompts;
ALTER TABLE appended RENAME TO prompts;
"""
"""Replies and prompts in the order in which they came, found by an index: rows that lie in the
order of their hashes leave pages half empty and dirty a page each."""

_DEFLATED = ""
"""From here on replies may lie deflated, which an earlier program must not take for their text."""

_STEPS: tuple[str, ...] = (_TABLES, _USED_DAYS, _VECTORS, _APPEND_ORDER, _DEFLATED)
"""What brings a journal from each version to the next, in order."""

VERSION = len(_STEPS)

_DIGEST = "e87a622ab3be0040e42984af51ee9ac6f4bf5320c5b76ff766610508da55d4d3"
"""The hash of this version's definitions as SQLite stores them, which opening compares at once.

What differs is compared with a journal that is made for it, without comments and spaces.
"""

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_QUOTED_NAME = re.compile(r'"(\w+)"')
_SPACE = re.compile(r"\s*([(),\s])\s*")


def migrate(connection: sqlite3.Connection) -> int:
    """Bring a journal to this version in one transaction; return the version it had.

    A journal of a later version than this program knows is left alone.
    """
    had = read_version(connection)
    if had >= VERSION:
        return had
    connection.execute("BEGIN IMMEDIATE")
    try:
        had = read_version(connection)
        for step in _STEPS[had:]:
            for statement in filter(str.strip, step.split(";\n")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return had


def read_version(connection: sqlite3.Connection) -> int:
    """Return the version of a journal; 0 is an empty file."""
    return connection.execute("PRAGMA user_version").fetchone()[0]


def find_foreign_object(connection: sqlite3.Connection) -> str | None:
    """Return what in a file is no part of a journal of its version, in words, or None.

    A trigger or a view would be run by statements of ours, and a table with other constraints
    could drop what is written. Comments and spaces are no difference.
    """
    connection.execute("BEGIN")  # the version and the definitions of one moment
    try:
        version = read_version(connection)
        if version > VERSION:
            return None
        stored = _read_definitions(connection)
    finally:
        connection.execute("ROLLBACK")
    if version == VERSION and _compute_digest(stored) == _DIGEST:
        return None
    found, known = map(_normalize, (stored, _build_definitions(max(0, version))))
    for kind, name, definition in found:
        if (kind, name, definition) not in known:
            what = f"{'an' if kind == 'index' else 'a'} {kind} {name!r}"
            other = any((kind, name) == each[:2] for each in known)
            return f"{what} with another definition" if other else what
    for kind, name, _ in known:
        if (kind, name) not in {each[:2] for each in found}:
            return f"no {kind} {name!r}"
    return None if found == known else "a definition twice"


_Definitions = list[tuple[str, str, str]]


def _read_definitions(connection: sqlite3.Connection) -> _Definitions:
    """Return kind, name and definition of each object, without the indexes that tables imply."""
    return sorted(
        (str(kind), str(name), str(sql))
        for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master")
        if kind != "index" or sql is not None
    )


def _normalize(definitions: _Definitions) -> _Definitions:
    return sorted((kind, name, _normalize_sql(sql)) for kind, name, sql in definitions)


def _normalize_sql(sql: str) -> str:
    plain = _QUOTED_NAME.sub(r"\1", _COMMENT.sub(" ", sql))
    return _SPACE.sub(lambda match: match[1] if match[1] in "()," else " ", plain).strip()


def _compute_digest(definitions: _Definitions) -> str:
    return hashlib.sha256(repr(definitions).encode()).hexdigest()


def _build_definitions(version: int) -> _Definitions:
    """Return the definitions of a version, from a journal that is made for it."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for step in _STEPS[:version]:
            connection.executescript(step)
        return _read_definitions(connection)
    finally:
        connection.close()
