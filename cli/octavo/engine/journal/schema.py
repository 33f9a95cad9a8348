"""The journal's tables, and how an older journal becomes this one.

`calls` holds every reply under its key and generation: a run started afresh opens a generation
and sees only its own; any other run sees the newest. `prompts` and `texts` are content-addressed
by the first eight bytes of a SHA-256, so that nothing is stored twice. `ledger` has a row for
every call that a run asked for. `vectors` holds embeddings, by key and generation like replies.
"""

from __future__ import annotations

import sqlite3

__all__ = ["VERSION", "migrate"]


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


def migrate(connection: sqlite3.Connection) -> int:
    """Bring a journal to this version in one transaction; return the version it had.

    A journal of a later version than this program knows is left alone.
    """
    had: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if had >= VERSION:
        return had
    connection.execute("BEGIN IMMEDIATE")
    try:
        had = connection.execute("PRAGMA user_version").fetchone()[0]
        for step in _STEPS[had:]:
            for statement in filter(str.strip, step.split(";\n")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return had
