"""Choose the tokenizer that counts: by the name of an encoding, of a model, or of a file."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, cast

from octavo.errors import UsageError
from octavo.protocols.tokens import Counter
from octavo.tokens.estimate import Estimate
from octavo.tokens.toktok import ENCODINGS, Toktok

__all__ = ["ESTIMATE", "find_tokenizer", "get_counter"]


ESTIMATE: Final = "estimate"
"""The name that `find_tokenizer` returns for models it does not know."""

_BY_TIKTOKEN: Final = frozenset({"gpt2", "p50k_base", "p50k_edit", "r50k_base"})


def get_counter(name: str, notice: Callable[[str], None] | None = None) -> Counter:
    """Return the counter for a name; it loads no vocabulary before the first count.

    `name` is an encoding (`o200k_base`, `cl100k_base`, ...), a path to a `tokenizer.json` or
    `.gguf` file, `estimate`, or an OpenAI model's name. `notice` takes one line when a vocabulary
    may be fetched or cannot be had; without it they go to standard error. Raises UsageError for a
    name that stands for nothing and a file that cannot be read.
    """
    if name in {ESTIMATE, Estimate.name}:
        return Estimate()
    if name in ENCODINGS | _BY_TIKTOKEN:
        if name in ENCODINGS and find_spec("toktok"):
            return Toktok(name)
        from octavo.tokens.tiktoken import Tiktoken  # noqa: PLC0415 - needed for few names

        return Tiktoken(name, notice or _write_to_stderr)
    if name.lower().endswith(".json"):
        from octavo.tokens.huggingface import HuggingFace  # noqa: PLC0415 - the same

        return HuggingFace(Path(name).expanduser())
    if name.lower().endswith(".gguf"):
        from octavo.tokens.gguf.counter import open_gguf_counter  # noqa: PLC0415 - the same

        return open_gguf_counter(Path(name).expanduser())
    encoding = find_tokenizer(name)
    if encoding == ESTIMATE:
        known = ", ".join(sorted(ENCODINGS | _BY_TIKTOKEN))
        raise UsageError(
            f"unknown tokenizer {name!r}",
            hint=f"name one of {known}, {ESTIMATE}, or a tokenizer.json or .gguf file",
        )
    return get_counter(encoding, notice)


def find_tokenizer(model: str) -> str:
    """Return the encoding that tiktoken's own table gives a model, or `estimate`.

    Exact names come before prefixes, as in tiktoken. A model whose name ends in `.gguf` has its
    tokenizer in that file.
    """
    if model.lower().endswith(".gguf"):
        return model
    name = model.removeprefix("openai/")
    exact, prefixes = _read_model_tables()
    if name in exact:
        return exact[name]
    return next((prefixes[start] for start in prefixes if name.startswith(start)), ESTIMATE)


@cache
def _read_model_tables() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return tiktoken's tables of models and of their prefixes.

    They are read from its source: importing it would cost a cached run ten times as much.
    """
    spec = find_spec("tiktoken")
    found: dict[str, Mapping[str, str]] = {}
    for place in (spec and spec.submodule_search_locations) or ():
        tree = ast.parse((Path(place) / "model.py").read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                value: Any = ast.literal_eval(node.value)
                found[node.target.id] = cast("Mapping[str, str]", value)
    return found["MODEL_TO_ENCODING"], found["MODEL_PREFIX_TO_ENCODING"]


def _write_to_stderr(message: str) -> None:
    sys.stderr.write(f"octavo: {message}\n")
