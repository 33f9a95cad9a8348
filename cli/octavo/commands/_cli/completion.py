"""What the shell offers after TAB: commands, options, pipelines and their parameters, profiles.

The program is started anew at every TAB, so nothing heavy is imported here. What the commands take
is kept in a file in the user's cache, which is written at the first TAB and again when the commands
have changed. The scripts of Typer's `--install-completion` ask by its variables, and get answers of
its form; where there is nothing to offer, they offer files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

__all__ = ["VARIABLE", "describe_command", "print_completions"]


VARIABLE = "_OCTAVO_COMPLETE"
_BY_PIPELINE = ("run", "plan")
_ABOUT_LINE = re.compile(r"^about: *(.*)$", re.MULTILINE)
_MAX_RUNS = 20


@dataclass(frozen=True, slots=True)
class _Candidate:
    value: str
    about: str = ""


def print_completions(instruction: str) -> bool:
    """Print the completions that a shell asks for; False for other instructions."""
    shell = instruction.removeprefix("complete_")
    if shell not in {"bash", "zsh", "fish"} or shell == instruction:
        return False
    words, incomplete, prefix = _parse_request(shell)
    items = [
        each
        for each in _find_candidates(words, incomplete)
        if each.value.startswith(incomplete) and each.value != incomplete
    ]
    if shell == "fish" and os.environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        sys.exit(0 if items else 1)
    sys.stdout.write(_format_candidates(shell, items, prefix))
    return True


def describe_command(command: Any) -> dict[str, Any]:  # noqa: ANN401 - the library's types are private
    """Return what a command takes, as the cache keeps it."""
    options: dict[str, dict[str, Any]] = {}
    for option in command.params:
        if option.param_type_name != "option" or option.hidden:
            continue
        kind = option.type_descriptor.annotation
        choices = list(kind) if isinstance(kind, type) and issubclass(kind, Enum) else []
        for name in (*option.opts, *option.secondary_opts):
            options[name] = {
                "about": (option.help or "").split(". ")[0].rstrip("."),
                "takes": not option.is_flag,
                "choices": [str(each.value) for each in choices],
                "same": [*option.opts, *option.secondary_opts],
                "repeat": option.multiple,
            }
    inner = getattr(command, "commands", {})
    return {
        "options": options,
        "commands": {name: describe_command(each) for name, each in inner.items()},
        "about": (command.short_help or command.help or "").partition("\n")[0],
    }


def _find_candidates(words: Sequence[str], incomplete: str) -> Iterator[_Candidate]:
    """Yield candidates for the next word, including some that do not start with `incomplete`."""
    table = _load_table()
    remaining = list(words)
    while remaining and remaining[0].startswith("-"):
        name = remaining.pop(0)
        option = table["options"].get(name)
        if option is not None and option["takes"]:
            if not remaining:
                return
            remaining.pop(0)
    if not remaining:
        yield from _complete_options(table["options"], words, incomplete)
        if not incomplete.startswith("-"):
            yield from (_Candidate(name, each["about"]) for name, each in table["commands"].items())
        return
    name, *remaining = remaining
    if (command := table["commands"].get(name)) is None:
        return
    if name in _BY_PIPELINE:
        yield from _complete_pipeline(command, remaining, incomplete)
        return
    while remaining and remaining[0] in command["commands"]:
        name, command = f"{name} {remaining[0]}", command["commands"][remaining.pop(0)]
    if command["commands"] and not remaining and not incomplete.startswith("-"):
        yield from (_Candidate(each, of["about"]) for each, of in command["commands"].items())
    yield from _complete_arguments(name, remaining, incomplete)
    yield from _complete_options(command["options"], remaining, incomplete)


def _complete_pipeline(
    command: Mapping[str, Any], remaining: list[str], incomplete: str
) -> Iterator[_Candidate]:
    if not remaining:
        yield from _list_pipelines(incomplete)
        return
    options = {**command["options"], **_read_parameters(remaining[0])}
    yield from _complete_options(options, remaining[1:], incomplete)


def _complete_options(
    options: Mapping[str, Any], before: Sequence[str], incomplete: str
) -> Iterator[_Candidate]:
    """Yield the values of the option that stands last, else the options not given yet."""
    last = options.get(before[-1]) if before else None
    if last is not None and last["takes"]:
        yield from map(_Candidate, last["choices"])
        if "--model" in last["same"]:
            yield from _list_models()
        if "--by" in last["same"] and not last["choices"]:
            yield from _list_chunkers()
    elif incomplete.startswith("-"):
        for name, option in options.items():
            given = not option["repeat"] and any(each in before for each in option["same"])
            if name.startswith("--") and not given:
                yield _Candidate(name, option["about"])


def _complete_arguments(
    name: str, remaining: Sequence[str], incomplete: str
) -> Iterator[_Candidate]:
    if incomplete.startswith("-"):
        return
    if name in {"show", "eject"} and not any(not each.startswith("-") for each in remaining):
        yield from _list_pipelines(incomplete)
    elif name.startswith("runs ") and not remaining:
        yield from _list_runs()


def _list_pipelines(incomplete: str) -> Iterator[_Candidate]:
    from octavo.errors import OctavoError  # noqa: PLC0415 - only where needed
    from octavo.pipeline.lookup import Lookup  # noqa: PLC0415 - the same

    if "/" in incomplete:
        return
    try:
        found = Lookup().list_pipelines()
    except OctavoError:  # one of them is no text
        return
    for each in found:
        about = _ABOUT_LINE.search(each.text)
        yield _Candidate(each.name, about[1].strip("\"'") if about else "")


def _read_parameters(name: str) -> Mapping[str, Any]:
    """Return a pipeline's parameters as options, from its YAML alone; none where that is wrong."""
    import yaml  # noqa: PLC0415 - only where needed

    from octavo.errors import OctavoError  # noqa: PLC0415 - the same
    from octavo.pipeline.lookup import Lookup  # noqa: PLC0415 - the same

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found: Any = yaml.load(Lookup().find_pipeline(name).text, Loader=loader)  # noqa: S506 - a safe loader
        params: Mapping[str, Any] = found.get("params") or {}
        return dict(_as_option(key, spec or {}) for key, spec in params.items())
    except (OctavoError, yaml.YAMLError, AttributeError, ValueError, TypeError):
        return {}


def _as_option(name: str, spec: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    flag = f"--{name.replace('_', '-')}"
    return flag, {
        "about": str(spec.get("about") or ""),
        "takes": spec.get("type") != "boolean",
        "choices": [str(each) for each in spec.get("choices") or ()],
        "same": [flag],
        "repeat": bool(spec.get("repeatable")),
    }


def _list_models() -> Iterator[_Candidate]:
    import tomllib  # noqa: PLC0415 - only where needed

    from octavo.config.paths import PYPROJECT_FILE, find_config_files  # noqa: PLC0415 - the same

    seen: set[str] = set()
    for path in find_config_files(Path.cwd()):
        try:
            data: Any = tomllib.loads(path.read_text("utf-8-sig"))
            data = data["tool"]["octavo"] if path.name == PYPROJECT_FILE else data
            profiles: Mapping[str, Any] = data.get("profiles", {})
            items = [_Candidate(name, str(each["model"])) for name, each in profiles.items()]
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            continue
        yield from (each for each in items if each.value not in seen)
        seen.update(each.value for each in items)
    yield _Candidate("llama:smollm2", "the embedded model")


def _list_chunkers() -> Iterator[_Candidate]:
    from octavo.pipeline.registry import Registry  # noqa: PLC0415 - only where needed

    yield from map(_Candidate, Registry().list_names("chunker"))


def _list_runs() -> Iterator[_Candidate]:
    import sqlite3  # noqa: PLC0415 - only where needed

    from octavo.engine.journal.database import find_journal_path  # noqa: PLC0415 - the same

    path = find_journal_path()
    if not path.exists():
        return
    query = "SELECT id, pipeline, status FROM runs ORDER BY id DESC LIMIT ?"
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)
        try:
            for number, pipeline, status in connection.execute(query, (_MAX_RUNS,)):
                yield _Candidate(str(number), f"{pipeline}, {status}")
        finally:
            connection.close()
    except sqlite3.Error:
        return


def _load_table() -> dict[str, Any]:
    """Return what all commands take, from the cache when that is of these commands."""
    from platformdirs import user_cache_path  # noqa: PLC0415 - only where needed

    folder = Path(__file__).parents[1]
    sources = (*folder.rglob("*.py"), folder.parent / "config/run_options.py")
    files = sorted((str(each), each.stat().st_mtime_ns) for each in sources)
    digest = hashlib.sha256(f"{folder} {files}".encode()).hexdigest()[:16]
    path = user_cache_path("octavo") / f"completion-{digest}.json"
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        table = _build_table()
    try:
        from octavo.commands._cli.output.atomic_file import (  # noqa: PLC0415 - only where needed
            write_atomically,
        )

        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(table).encode())
        for old in path.parent.glob("completion-*.json"):
            if old != path:
                old.unlink(missing_ok=True)
    except OSError:
        pass  # the next TAB takes as long as this one
    return table


def _build_table() -> dict[str, Any]:
    from octavo.commands._cli.app import (  # noqa: PLC0415 - imports all
        COMMANDS,
        build_root_command,
        load_command,
    )

    table = describe_command(build_root_command())
    for name, about in COMMANDS.items():
        table["commands"][name] = {
            **describe_command(load_command(name, {})),
            "about": about.rstrip("."),
        }
    from octavo.commands._cli.options.pipeline_commands import (  # noqa: PLC0415 - the same
        build_common_command,
    )

    for name in _BY_PIPELINE:
        table["commands"][name]["options"] = describe_command(build_common_command())["options"]
    return table


def _parse_request(shell: str) -> tuple[list[str], str, str]:
    """Return the words before the cursor, the one at it, and what bash keeps of that one."""
    environ = os.environ
    if shell == "bash":
        words = environ.get("COMP_WORDS", "").split("\n")
        if len(words) == 1:  # joined by blanks where IFS was left alone
            words = _split_words(words[0])
        place = int(environ.get("COMP_CWORD", "0"))
        before, incomplete = words[1:place], words[place] if place < len(words) else ""
        # Bash breaks words at colons, and puts what is offered in the place of the last piece.
        if incomplete == ":" and before:
            return before[:-1], f"{before[-1]}:", f"{before[-1]}:"
        if len(before) > 1 and before[-1] == ":":
            return before[:-2], f"{before[-2]}:{incomplete}", f"{before[-2]}:"
        return before, incomplete, ""
    line = environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split_words(line)[1:]
    if words and not line.endswith(" "):
        return words[:-1], words[-1], ""
    return words, "", ""


def _split_words(line: str) -> list[str]:
    reader = shlex.shlex(line, posix=True)
    reader.whitespace_split = True
    reader.commenters = ""
    words: list[str] = []
    try:
        words.extend(reader)
    except ValueError:  # an open quotation, or a backslash at the end
        words.append(reader.token)
    return words


def _format_candidates(shell: str, items: Sequence[_Candidate], prefix: str) -> str:
    if shell == "bash":
        return "\n".join(each.value.removeprefix(prefix) for each in items)
    if shell == "fish":
        return "\n".join(
            f"{each.value}\t{' '.join(each.about.split())}" if each.about else each.value
            for each in items
        )
    if not items:
        return "_files"
    lines = [
        f'"{_escape_for_zsh(each.value)}":"{_escape_for_zsh(each.about)}"'
        if each.about
        else f'"{_escape_for_zsh(each.value)}"'
        for each in items
    ]
    return "_arguments '*: :((" + "\n".join(lines) + "))'"


def _escape_for_zsh(text: str) -> str:
    """Return a text as zsh reads it inside the double quotation of an evaluated `_arguments`."""
    text = " ".join(text.split()).replace('"', '""').replace("'", "''")
    return text.replace("$", "\\$").replace("`", "\\`").replace(":", "\\\\:")
