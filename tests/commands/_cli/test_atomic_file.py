from __future__ import annotations

import os
from pathlib import Path

import pytest

from octavo.commands._cli.output.atomic_file import AtomicFile, write_atomically


def test_the_file_gets_the_bytes_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "a.md"
    write_atomically(path, b"one\n")
    write_atomically(path, b"two\n")
    assert path.read_bytes() == b"two\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.md"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError("no")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="no"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link_and_the_mode_stays(tmp_path):
    real, link = tmp_path / "real.md", tmp_path / "link.md"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_device_is_written_directly():
    reader, writer = os.pipe()
    write_atomically(Path(f"/dev/fd/{writer}"), b"through the pipe")
    os.close(writer)
    assert os.read(reader, 100) == b"through the pipe"
    os.close(reader)


def test_what_a_killed_process_left_does_not_hinder_the_next(tmp_path, monkeypatch):
    path = tmp_path / "a.md"
    left = AtomicFile(path)
    left.write(b"half")
    monkeypatch.setattr(os, "getpid", lambda: 7)
    killed = AtomicFile(path)
    killed.write(b"half")
    write_atomically(path, b"whole")
    assert path.read_bytes() == b"whole"
    for each in (left, killed):
        each.discard()
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_may_be_as_long_as_names_can_be(tmp_path):
    path = tmp_path / ("\u6587" * 85)
    write_atomically(path, b"text")
    assert path.read_bytes() == b"text"
