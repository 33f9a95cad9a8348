"""Programming languages: the suffixes of their files, and the parsers that know their syntax."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["LANGUAGES", "LANGUAGE_BY_SUFFIX", "Language"]


class Language(NamedTuple):
    """A language's name, its parser's name in tree-sitter-language-pack, and its files' suffixes.

    A language with two parsers has two rows. One that is no code can be split by its syntax, but
    its files do not load as code.
    """

    name: str
    parser: str
    suffixes: str
    is_code: bool = True


LANGUAGES: Final = (
    Language("ada", "ada", "adb ads"),
    Language("c", "c", "c h"),
    Language("c#", "csharp", "cs"),
    Language("c++", "cpp", "cc cpp cxx hh hpp hxx"),
    Language("clojure", "clojure", "clj cljs"),
    Language("css", "css", "css scss"),
    Language("dart", "dart", "dart"),
    Language("elixir", "elixir", "ex exs"),
    Language("erlang", "erlang", "erl hrl"),
    Language("fortran", "fortran", "f f90 f95"),
    Language("go", "go", "go"),
    Language("haskell", "haskell", "hs"),
    Language("java", "java", "java"),
    Language("javascript", "javascript", "cjs js jsx mjs"),
    Language("julia", "julia", "jl"),
    Language("kotlin", "kotlin", "kt kts"),
    Language("lua", "lua", "lua"),
    Language("nim", "nim", "nim"),
    Language("objective-c", "objc", "m mm"),
    Language("ocaml", "ocaml", "ml"),
    Language("ocaml", "ocaml_interface", "mli"),
    Language("perl", "perl", "pl pm"),
    Language("php", "php", "php"),
    Language("powershell", "powershell", "ps1"),
    Language("protobuf", "proto", "proto"),
    Language("python", "python", "py pyi"),
    Language("r", "r", "r"),
    Language("ruby", "ruby", "rb"),
    Language("rust", "rust", "rs"),
    Language("scala", "scala", "scala"),
    Language("shell", "bash", "bash sh zsh"),
    Language("sql", "sql", "sql"),
    Language("swift", "swift", "swift"),
    Language("terraform", "terraform", "tf"),
    Language("typescript", "tsx", "tsx"),
    Language("typescript", "typescript", "cts mts ts"),
    Language("zig", "zig", "zig"),
    Language("html", "html", "htm html", is_code=False),
    Language("json", "json", "json", is_code=False),
    Language("toml", "toml", "toml", is_code=False),
    Language("yaml", "yaml", "yaml yml", is_code=False),
)
LANGUAGE_BY_SUFFIX: Final = {
    f".{suffix}": language for language in LANGUAGES for suffix in language.suffixes.split()
}
