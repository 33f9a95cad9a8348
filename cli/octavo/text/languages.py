"""Programming languages and the suffixes of their files."""

from __future__ import annotations

from typing import Final

__all__ = ["LANGUAGES", "LANGUAGE_BY_SUFFIX"]


LANGUAGES: Final = {
    "ada": "adb ads",
    "c": "c h",
    "c#": "cs",
    "c++": "cc cpp cxx hh hpp hxx",
    "clojure": "clj cljs",
    "css": "css scss",
    "dart": "dart",
    "elixir": "ex exs",
    "erlang": "erl hrl",
    "fortran": "f f90 f95",
    "go": "go",
    "haskell": "hs",
    "java": "java",
    "javascript": "cjs js jsx mjs",
    "julia": "jl",
    "kotlin": "kt kts",
    "lua": "lua",
    "nim": "nim",
    "objective-c": "m mm",
    "ocaml": "ml mli",
    "perl": "pl pm",
    "php": "php",
    "powershell": "ps1",
    "protobuf": "proto",
    "python": "py pyi",
    "r": "r",
    "ruby": "rb",
    "rust": "rs",
    "scala": "scala",
    "shell": "bash sh zsh",
    "sql": "sql",
    "swift": "swift",
    "terraform": "tf",
    "typescript": "cts mts ts tsx",
    "zig": "zig",
}
LANGUAGE_BY_SUFFIX: Final = {
    f".{suffix}": language
    for language, suffixes in LANGUAGES.items()
    for suffix in suffixes.split()
}
