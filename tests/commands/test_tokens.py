"""`octavo tokens` counts like wc."""

from __future__ import annotations

import pytest
from tests.support.vocabulary import byte_level


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("hello world\n")
    (tmp_path / "docs/b.html").write_text("<script>let x;</script><p>hello <b>world</b></p>")
    (tmp_path / "docs/c.bin").write_bytes(b"\0")
    return tmp_path


def test_one_line_for_each_file_and_the_total(octavo, folder):
    ended = octavo("tokens", "docs")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "3\tdocs/a.md\n3\tdocs/b.html\n6\ttotal\n"


def test_one_file_has_no_total(octavo, folder):
    assert octavo("tokens", "docs/a.md").out == "3\tdocs/a.md\n"


def test_standard_input_alone_is_a_number(octavo):
    assert octavo("tokens", stdin=b"hello world").out == "2\n"
    assert octavo("tokens", "-", stdin=b"hello world").out == "2\t-\n"


def test_patterns_and_encodings(octavo, folder):
    (folder / "docs/old.md").write_bytes(b"caf\xe9")
    assert octavo("tokens", "docs", "--exclude", "old.*", "--glob", "*.md").out == "3\tdocs/a.md\n"
    assert octavo("tokens", "docs/old.md", "--encoding", "latin-1").code == 0


def test_the_tokenizer_may_be_named(octavo, folder):
    assert octavo("tokens", "docs/a.md", "--tokenizer", "cl100k_base").out == "3\tdocs/a.md\n"
    estimated = octavo("tokens", "docs/a.md", "--tokenizer", "estimate")
    assert (estimated.code, estimated.err) == (0, "")
    byte_level(folder / "m.gguf", [])
    assert octavo("tokens", "docs/a.md", "--tokenizer", "m.gguf").out == "12\tdocs/a.md\n"


def test_a_model_counts_as_its_plan_would(octavo, folder):
    assert octavo("tokens", "docs/a.md", "-m", "openai:gpt-4").out == "3\tdocs/a.md\n"
    byte_level(folder / "m.gguf", [])
    assert octavo("tokens", "docs/a.md", "-m", "llama:./m.gguf").out == "12\tdocs/a.md\n"
    (folder / "octavo.toml").write_text(
        '[profiles.near]\nmodel = "openai:own"\ntokenizer = "cl100k_base"\n'
    )
    assert octavo("tokens", "docs/a.md", "-m", "near").out == "3\tdocs/a.md\n"


def test_an_estimate_nobody_asked_for_is_told(octavo, folder):
    ended = octavo("tokens", "docs/a.md", "-m", "openai:some-model")
    assert ended.code == 0
    assert "estimate-1" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["none.md"], 2, "none.md: there is no such file"),
        (["none.md", "docs/a.md"], 1, "none.md: there is no such file"),
        (["docs/c.bin"], 2, "zero byte at offset 0"),
        (["docs/a.md", "--tokenizer", "nope"], 2, "unknown tokenizer 'nope'"),
        (["docs/a.md", "--tokenizer", "estimate", "-m", "openai:x"], 2, "give one of them"),
        (["docs/a.md", "-m", "nobody"], 2, "nobody"),
        (["docs/a.md", "--encoding", "utf-9"], 2, "utf-9"),
        (["docs", "--glob", "!"], 2, "pattern"),
    ],
)
def test_what_is_wrong_is_told_with_its_exit_code(octavo, folder, arguments, code, word):
    ended = octavo("tokens", *arguments)
    assert ended.code == code
    assert word in ended.err
    assert "help: " in ended.err or "no such file" in ended.err


def test_what_can_be_read_is_counted_beside_what_cannot(octavo, folder):
    assert octavo("tokens", "none.md", "docs/a.md").out == "3\tdocs/a.md\n"


def test_a_name_forges_no_line(octavo, folder):
    (folder / "docs/a\n9\tb.md").write_text("one")
    assert octavo("tokens", "docs/a\n9\tb.md").out == "1\tdocs/a\\n9\\tb.md\n"
