"""A journal, or a file beside it, that someone else made: nothing in it is run."""

from __future__ import annotations

import base64
import json
import sqlite3
import zlib
from pathlib import Path

import pytest

RUN = ("run", "map", "a.txt", "--prompt", "Say it.", "-m", "scripted:rules.yaml")
COMMANDS = (RUN, ("plan", *RUN[1:]), ("cache", "stats"), ("cache", "clear"), ("runs", "list"))
INSERT_CALL = (
    "INSERT OR IGNORE INTO calls (id, generation, key, prompt, text, finish, usage, model,"
    " reasoning, logprobs, seconds, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@pytest.fixture
def place(tmp_path, monkeypatch, octavo):
    """A directory with a text, rules, and a journal with a run in it."""
    (tmp_path / "rules.yaml").write_text("default: Fine.\n")
    (tmp_path / "a.txt").write_text("A few words.")
    monkeypatch.setenv("OCTAVO_JOURNAL", str(tmp_path / "j"))
    assert octavo(*RUN).code == 0
    return tmp_path


def change(place, script):
    connection = sqlite3.connect(place / "j", isolation_level=None)
    connection.executescript(script)
    connection.close()


def spare(place, *lines):
    with (place / "j-spare").open("r+b") as file:
        file.write(b"".join(b"\n" + line + b"\n" for line in lines))


def as_json(value):
    return {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def as_record(name, *values):
    data = json.dumps([name, values]).encode()
    return b"1 %08x %b" % (zlib.crc32(data), data)


@pytest.mark.parametrize(
    "form", [lambda sql: json.dumps([sql, []]).encode(), as_record], ids=["earlier", "record"]
)
@pytest.mark.parametrize("command", [RUN, COMMANDS[2]])
def test_sql_beside_a_journal_is_kept_aside_and_never_run(place, octavo, form, command):
    stolen = place / "stolen"
    lines = [
        form(f"ATTACH '{stolen}' AS a"),
        form("CREATE TABLE a.t AS SELECT 1"),
        form("DELETE FROM calls"),
    ]
    spare(place, *lines)
    done = octavo(*command)
    assert done.code == 0
    assert not stolen.exists()
    told = [line for line in done.err.splitlines() if "spare" in line]
    assert len(told) == 1
    assert told[0].startswith("3 of the lines in ")
    assert told[0].endswith("j-spare-rejected")
    assert (place / "j-spare-rejected").read_bytes().split(b"\n") == [*lines, b""]
    assert (place / "j-spare-rejected").stat().st_mode & 0o777 == 0o600
    again = octavo(*RUN, "--json")
    assert "spare" not in again.err
    assert json.loads(again.out)["usage"]["sent"] == 0  # the reply is still there


def test_records_are_taken_over_and_those_around_them_put_aside(place, octavo):
    """A reply put aside counts, as this version or an earlier one wrote it; a damaged one waits."""
    connection = sqlite3.connect(place / "j")
    row = connection.execute("SELECT * FROM calls").fetchone()
    connection.close()
    values = [as_json(value) for value in row]
    for line in (as_record("call", *values), json.dumps([INSERT_CALL, values]).encode()):
        change(place, "DELETE FROM calls")
        damaged = as_record("text", 1, "x").replace(b'"x"', b'"y"')
        foreign = as_record("call", 1, 2)
        spare(place, damaged, line, foreign, b'1 00000000 ["torn')
        done = octavo(*RUN, "--json")
        assert json.loads(done.out)["usage"]["sent"] == 0
        assert "3 of the lines" in done.err


HOSTILE = {
    "a trigger 'steal'": "CREATE TRIGGER steal AFTER INSERT ON calls BEGIN DELETE FROM runs; END",
    "a trigger 'swap'": "CREATE TRIGGER swap BEFORE DELETE ON calls BEGIN SELECT 1; END",
    "a view 'v'": "CREATE VIEW v AS SELECT * FROM calls",
    "a table 'more'": "CREATE TABLE more (x)",
    "a table 'shadow'": "CREATE VIRTUAL TABLE shadow USING fts5(x)",
    "a table 'counts' with another definition": "DROP TABLE counts; CREATE TABLE counts"
    " (key BLOB PRIMARY KEY, tokens INTEGER NOT NULL CHECK (abs(tokens) > 0)) WITHOUT ROWID",
    "an index 'late'": "CREATE INDEX late ON calls (abs(used))",
    "no index 'ledger_of_site'": "DROP INDEX ledger_of_site",
    "a view 'calls'": "ALTER TABLE calls RENAME TO kept; CREATE VIEW calls AS SELECT * FROM kept",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_journal_with_anything_else_in_it_is_refused_by_name_and_left_alone(place, octavo, what):
    change(place, HOSTILE[what])
    before = (place / "j").read_bytes()
    for command in COMMANDS:
        done = octavo(*command)
        assert (done.code, done.stdout) == (2, b""), command
        error, help_ = done.err.splitlines()
        if what == "a view 'calls'":
            assert "it has a " in error
        else:
            assert f"it has {what}, which is no journal's" in error
        assert help_ == "help: move the file away, or set OCTAVO_JOURNAL to another file"
    assert (place / "j").read_bytes() == before
    assert octavo(*RUN, "--private").code == 0


def test_another_programs_database_is_not_made_a_journal(place, octavo):
    other = place / "bookmarks.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE places (url)")
    connection.close()
    before = other.read_bytes()
    done = octavo("--journal", other, *RUN)
    assert done.code == 2
    assert "it has a table 'places'" in done.err
    assert other.read_bytes() == before


MOUNTS = ("/ ext4", "/srv {kind}", "/srv/lo\\040cal xfs", "/srv/over ext4", "/srv/over {kind}")
LOCAL = ("ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "fuseblk")
OTHER = (
    *("nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "fuse.sshfs", "fuse.s3fs", "lustre"),
    *("gpfs", "fuse.glusterfs", "beegfs", "ocfs2", "gfs2", "virtiofs", "fuse", "davfs", "pvfs2"),
)


def test_a_journal_lies_on_a_file_system_known_to_be_local(place, octavo, monkeypatch):
    read, resolve = Path.read_text, Path.resolve
    tables, lies = {}, Path()

    def read_text(path, *how, **more):
        return tables.get(str(path)) or read(path, *how, **more)

    def resolve_path(path, **how):
        return lies if path == place / "j" else resolve(path, **how)

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(Path, "resolve", resolve_path)
    for kind in (*LOCAL, *OTHER):
        mounts = [line.format(kind=kind).rsplit(" ", 1) for line in MOUNTS]
        tables["/proc/mounts"] = "".join(f"dev {where} {what} rw 0 0\n" for where, what in mounts)
        tables["/proc/self/mountinfo"] = "".join(
            f"36 35 98:0 / {where} rw,noatime master:1 - {what} dev rw\n" for where, what in mounts
        )
        for lies in (Path("/srv/j"), Path("/srv/over/j"), Path("/srv/lo cal/j"), Path("/srv2/j")):
            done = octavo("runs", "list")
            if kind in LOCAL or lies.parent.name in {"lo cal", "srv2"}:
                assert done.code == 0, (kind, lies, done.err)
                continue
            assert (done.code, done.stdout) == (2, b""), (kind, lies)
            assert f"is not known to be local ({kind})" in done.err
            assert "to a file on a local disk, or use --private" in done.err
    assert octavo(*RUN).code == 0
    lies = Path("/srv/j")
    assert octavo(*RUN).code == 2
    assert octavo(*RUN, "--private").code == 0
