"""Source code is cut between functions and classes, in many languages."""

from __future__ import annotations

import asyncio
import sys

import pytest
import tree_sitter_language_pack

from octavo.chunkers.code.chunker import CHUNKER
from octavo.errors import UsageError
from octavo.loaders.code import LOADER
from octavo.text.document import Document
from octavo.text.languages import LANGUAGES
from octavo.tokens.choose import get_counter

TOKTOK = get_counter("o200k_base")


def split(text, source, **options):
    document = Document(text, source)
    chunks = asyncio.run(CHUNKER.run(document, CHUNKER.options(**options), TOKTOK, None))
    assert "".join(texts(text, chunks)) == text
    return chunks


def texts(text, chunks):
    return [text[chunk.span.start : chunk.span.end] for chunk in chunks]


PYTHON = "import os\n\n" + "\n\n".join(
    f"# What number {n} is for: ä\n@cache\ndef f{n}(value):\n    return value + {n}\n"
    for n in range(12)
)


def test_functions_stay_whole_with_their_comments_and_decorators():
    chunks = split(PYTHON, "m.py", tokens=60)
    assert len(chunks) > 4
    assert all(text.startswith("# What number") for text in texts(PYTHON, chunks)[1:])


CLASS = "class Store:\n" + "\n".join(
    f"    def method{n}(self, key):\n        value = self.values[key]\n        return value + {n}\n"
    for n in range(12)
)


def test_a_chunk_inside_a_class_has_its_first_line_beside_it():
    first, *others = split(CLASS, "m.py", tokens=60)
    assert first.context == ()
    assert {chunk.context for chunk in others} == {(("scope", "class Store:"),)}
    assert all(text.startswith("    def method") for text in texts(CLASS, others))


def test_a_function_above_the_budget_is_cut_between_statements():
    text = "def long():\n" + "".join(f"    step_{n}(argument, {n})\n" for n in range(60))
    others = split(text, "m.py", tokens=60)[1:]
    assert {chunk.context for chunk in others} == {(("scope", "def long():"),)}
    assert all(part.startswith("    step_") for part in texts(text, others))


FUNCTIONS = {
    "a.c": "int f{n}(int value) {{\n  return value + {n};\n}}\n",
    "a.clj": "(defn f{n} [value]\n  (+ value {n}))\n",
    "a.cpp": "int f{n}(int value) {{\n  return value + {n};\n}}\n",
    "a.cs": "class C{n} {{\n  int F(int value) {{ return value + {n}; }}\n}}\n",
    "a.go": "func f{n}(value int) int {{\n\treturn value + {n}\n}}\n",
    "a.java": "class C{n} {{\n  int f(int value) {{ return value + {n}; }}\n}}\n",
    "a.js": "function f{n}(value) {{\n  return value + {n};\n}}\n",
    "a.kt": "fun f{n}(value: Int): Int {{\n  return value + {n}\n}}\n",
    "a.lua": "function f{n}(value)\n  return value + {n}\nend\n",
    "a.mli": "val f{n} :\n  int ->\n  string ->\n  float ->\n  int\n",
    "a.nim": "proc f{n}(value: int): int =\n  value + {n}\n",
    "a.php": "function f{n}($value) {{\n  return $value + {n};\n}}\n",
    "a.rb": "def f{n}(value)\n  value + {n}\nend\n",
    "a.rs": "fn f{n}(value: i64) -> i64 {{\n    value + {n}\n}}\n",
    "a.scala": "def f{n}(value: Int): Int = {{\n  value + {n}\n}}\n",
    "a.sh": "f{n}() {{\n  echo $(($1 + {n}))\n}}\n",
    "a.swift": "func f{n}(value: Int) -> Int {{\n  return value + {n}\n}}\n",
    "a.tf": "resource f r{n} {{\n  value = {n}\n  other = {n}\n  third = {n}\n}}\n",
    "a.ts": "function f{n}(value: number): number {{\n  return value + {n};\n}}\n",
    "a.zig": "fn f{n}(value: i64) i64 {{\n    return value + {n};\n}}\n",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_language_has_its_functions_cut(name):
    head = "<?php\n" if name.endswith("php") else ""
    text = head + "\n".join(FUNCTIONS[name].format(n=n) for n in range(20))
    first = FUNCTIONS[name].split("{")[0]
    chunks = split(text, name, tokens=90)
    assert len(chunks) > 3
    assert all(part.startswith(first) for part in texts(text, chunks[1:]))


def test_a_program_in_one_line_is_cut_at_its_syntax():
    text = "".join(f"function f{n}(value){{return value+{n};}}" for n in range(60))
    chunks = split(text, "a.js", tokens=90)
    assert all(part.startswith("function") for part in texts(text, chunks))


def test_what_is_nested_deeply_is_cut_all_the_same():
    text = "x = " + "[" * 3000 + "]" * 3000
    assert len(split(text, "a.py", tokens=100)) > 10


def test_an_unknown_language_is_said_with_a_way_out():
    with pytest.raises(UsageError, match="programming language") as told:
        split("x", "notes.txt", tokens=50)
    assert "language" in told.value.hint
    with pytest.raises(UsageError, match="klingon"):
        split("x", "a.py", tokens=50, language="klingon")


def test_without_the_parsers_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tree_sitter_language_pack", None)
    with pytest.raises(UsageError) as told:
        split("x", "a.py", tokens=50)
    assert "octavo[code]" in told.value.hint


@pytest.mark.parametrize("suffix", sorted(LOADER.suffixes))
def test_what_loads_as_code_can_be_split_as_code(suffix):
    assert split("x" * 1000 + "\n", f"a{suffix}", tokens=50)


def test_every_parser_is_in_the_package_and_every_suffix_in_one_row():
    for language in LANGUAGES:
        assert tree_sitter_language_pack.get_parser(language.parser)
    suffixes = [suffix for language in LANGUAGES for suffix in language.suffixes.split()]
    assert len(suffixes) == len(set(suffixes))
