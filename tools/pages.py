"""Writes the pages of docs/ that are made from the code: `python tools/pages.py`.

The commands' help, the reference of pipelines, the built-in pipelines, the Python API, events and
exit codes. tests/test_docs.py makes them again and compares.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, get_args

import octavo
from octavo import errors
from octavo.commands._cli.app import COMMANDS, load_command
from octavo.commands._cli.main import run_command_line
from octavo.commands._cli.output import event_log
from octavo.pipeline.lookup import Lookup
from octavo.pipeline.reader import read_pipeline
from octavo.pipeline.registry import Registry
from octavo.pipeline.spec import Head, ParamSpec, Pipeline, WholeSpec
from octavo.protocols import CONTEXT, PromptMark, StepType

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTE = "<!-- Made by tools/pages.py from the code; edit that instead. -->\n\n"


def pages() -> dict[str, str]:
    """Return the text of each generated page by its path under docs/."""
    made = dict(_commands())
    made["reference/pipeline.md"] = _pipeline_reference()
    made["reference/pipelines.md"] = _built_in_pipelines()
    made["reference/python.md"] = _python()
    made["reference/events.md"] = _events()
    made["reference/exit-codes.md"] = _exit_codes()
    return {path: NOTE + text.rstrip() + "\n" for path, text in made.items()}


# --- the commands


def _help(*command: str) -> str:
    """Return what `octavo COMMAND --help` prints where nothing is configured."""
    kept = dict(os.environ)
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as empty, redirect_stdout(io.StringIO()) as out:
        for name in [name for name in os.environ if name.startswith(("OCTAVO_", "XDG_"))]:
            del os.environ[name]
        os.environ |= {"HOME": empty, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
        os.chdir(empty)
        try:
            code = run_command_line([*command, "--help"])
        finally:
            os.chdir(here)
            os.environ.clear()
            os.environ.update(kept)
    assert code == 0, command
    return out.getvalue().rstrip()


def _block(text: str, language: str = "text") -> str:
    return f"```{language}\n{text}\n```\n\n"


def _commands() -> Iterator[tuple[str, str]]:
    rows = "".join(f"| [`{name}`]({name}.md) | {about} |\n" for name, about in COMMANDS.items())
    yield (
        "commands/index.md",
        f"# Commands\n\n| command | what it does |\n| --- | --- |\n{rows}\n"
        "`-h` is short for `--help` everywhere.\n\n" + _block(_help()),
    )
    for name, about in COMMANDS.items():
        text = f"# octavo {name}\n\n{about}\n\n" + _block(_help(name))
        if name in {"run", "plan"}:
            text += "[Built-in pipelines](../reference/pipelines.md) have their own options.\n"
        else:
            for inner in getattr(load_command(name, {}), "commands", {}):
                text += f"## octavo {name} {inner}\n\n" + _block(_help(name, inner))
        yield f"commands/{name}.md", text


# --- the reference of pipelines


def _kind(schema: dict[str, Any], inner: dict[str, Any]) -> str:
    """Return what a value may be, in words, given the JSON Schema of an option."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        target = inner[name]
        return _kind(target, inner) if "enum" in target else f"[{name}](#{name.lower()})"
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        kinds = [_kind(each, inner) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if schema.get("type") == "array":
        return "list of " + _kind(schema.get("items", {}), inner)
    return str(schema.get("type", "any")) + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    told = [f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema]
    return f" ({', '.join(told)})" if told else ""


def _default(name: str, schema: dict[str, Any], required: Iterable[str]) -> str:
    if name in required:
        return "required"
    value = schema.get("default")
    if value is None or value in ("", [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _sentence(text: str) -> str:
    """Return a description as a sentence: some are written without a capital and a stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".") if text else ""


def _table(model: type[Any], types: dict[str, dict[str, Any]], *, without: str = "") -> str:
    """Return a table of a model's options; the models inside them are added to `types`."""
    schema: dict[str, Any] = model.model_json_schema()
    return _rows(schema, schema.get("$defs", {}), types, without)


def _rows(
    schema: dict[str, Any],
    inner: dict[str, Any],
    types: dict[str, dict[str, Any]],
    without: str = "",
) -> str:
    for name, each in inner.items():
        if "enum" not in each:
            types[name] = {**each, "$defs": inner}
    shown = {k: v for k, v in schema.get("properties", {}).items() if k != without}
    if not shown:
        return "It has no options.\n\n"
    lines = ["| option | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, each in shown.items():
        default = _default(name, each, schema.get("required", ()))
        about = _sentence(_cell(each.get("description", "")))
        lines.append(f"| `{name}` | {_cell(_kind(each, inner))} | {_cell(default)} | {about} |")
    return "\n".join(lines) + "\n\n"


def _marks(annotation: Any) -> Iterator[PromptMark]:  # noqa: ANN401 - a type of any form
    for argument in get_args(annotation):
        if isinstance(argument, PromptMark):
            yield argument
        else:
            yield from _marks(argument)


def _prompts(options: type[Any], usual: frozenset[str] = frozenset()) -> str:
    """Return a table of the options that are prompts and of the names that each may use."""
    lines: list[str] = []
    for name, field in options.model_fields.items():
        marks = [mark for mark in field.metadata if isinstance(mark, PromptMark)]
        mark = marks[-1] if marks else next(_marks(field.annotation), None)
        if mark is not None:
            sees = ", ".join(f"`{each}`" for each in sorted(mark.variables or usual))
            lines.append(f"| `{field.alias or name}` | {sees} |\n")
    head = "| prompt | sees, beside the parameters |\n| --- | --- |\n"
    return head + "".join(lines) + "\n" if lines else ""


def _step(step: StepType, types: dict[str, dict[str, Any]]) -> str:
    takes = " or ".join(sorted(kind.value for kind in step.takes))
    return (
        f"### {step.name}\n\n{_sentence(step.about)} It takes {takes} and gives"
        f" {step.gives.value}{' (with other options, another)' if step.gives_with else ''}."
        f" [More](../strategies.md#{step.name}).\n\n"
        + _table(step.options, types)
        + _prompts(step.options, step.variables)
    )


def _pipeline_reference() -> str:
    registry = Registry()
    steps = [registry.get_step(name) for name in registry.list_names("step")]
    chunkers = [registry.get_chunker(name) for name in registry.list_names("chunker")]
    types: dict[str, dict[str, Any]] = {}
    context = ", ".join(f"`context.{name}`" for name in CONTEXT)
    text = (
        "# Pipeline reference\n\n"
        "All that a pipeline file may say. `octavo schema` prints the same as a JSON Schema, with"
        " which editors complete and check pipelines; `octavo check FILE` checks one.\n\n"
        "## The file\n\n"
        + _table(Head, types)
        + "Beside these a file has `params`, `whole`, `steps` (required) and `gather`.\n\n"
        "### params\n\nA parameter's name, then:\n\n"
        + _table(ParamSpec, types)
        + "### whole\n\nHow a document that is one chunk is asked, once, instead of by the"
        " steps.\n\n" + _table(WholeSpec, types) + _prompts(WholeSpec) + "### steps and gather\n\n"
        "Lists of steps. `steps` are done to each document, `gather` to all results, in the order"
        " of the inputs. A step is one key, its type, with its options. Beside it may stand `name`"
        " (by default the type's) and `from`, the earlier step or steps whose notes it takes (by"
        " default the one before).\n\n"
        "## Steps\n\n"
    )
    text += "".join(_step(step, types) for step in steps if _ours(step.options))
    text += (
        "## Chunkers\n\nNamed by `by` of the step `split`; their options stand beside `by` and"
        f" `tokens`. [More](../chunkers.md).\n\nPrompts may show {context}: each is an empty text"
        " where there is nothing to say.\n\n"
    )
    for chunker in (each for each in chunkers if _ours(each.options)):
        own = _table(chunker.options, types, without="tokens")
        text += f"### {chunker.name} (chunker)\n\n{_sentence(chunker.about)}\n\n{own}"
        text += _prompts(chunker.options)
    text += "## Options inside options\n\n"
    for name, schema in sorted(types.items()):
        about = inspect.cleandoc(schema.get("description", ""))
        text += f"### {name}\n\n{about}\n\n" + _rows(schema, schema["$defs"], {})
    return text


def _ours(part: type[Any]) -> bool:
    """Tell whether a part is built in: what other packages add here is not documented here."""
    return part.__module__.startswith("octavo.")


def _built_in_pipelines() -> str:
    text = (
        "# Built-in pipelines\n\n"
        "`octavo show NAME` prints one, `octavo eject NAME` copies one to edit it. What each costs"
        " and which paper it is from is told under [strategies](../strategies.md).\n\n"
    )
    lookup = Lookup(ROOT / "tools", ROOT / "tools")  # no project's and no user's pipelines
    for name in sorted(path.stem for path in (ROOT / "pipelines").glob("*.yaml")):
        found = lookup.find_pipeline(name)
        pipeline = read_pipeline(found.text, found.path, Registry())
        text += f"## {name}\n\n{pipeline.about}\n\n" + _parameters(pipeline)
        text += _block(found.text.rstrip(), "yaml")
    return text


def _parameters(pipeline: Pipeline) -> str:
    if not pipeline.params:
        return ""
    lines = ["| option | type | default | meaning |", "| --- | --- | --- | --- |"]
    for each in pipeline.params:
        kind = ", ".join(f"`{choice}`" for choice in each.choices) or each.type.value
        given = each.default if each.default not in (None, "", ()) else ""
        default = "required" if each.required else f"`{given}`" if given != "" else ""
        flag = each.name.replace("_", "-") + ("` (repeatable)" if each.repeatable else "`")
        lines.append(f"| `--{flag} | {kind} | {_cell(default)} | {_cell(each.about)} |")
    return "\n".join(lines) + "\n\n"


# --- Python


def _python() -> str:
    text = "# Python reference\n\nEvery public name of the package `octavo`, typed.\n\n"
    names = [name for name in octavo.__all__ if name[0].islower()]
    names += [name for name in octavo.__all__ if name not in names]
    for name in names:
        found = getattr(octavo, name)
        text += f"## octavo.{name}\n\n"
        text += _class(found) if inspect.isclass(found) else _function(name, found)
    return text


def _function(name: str, found: Any) -> str:  # noqa: ANN401 - what the package offers
    signature = inspect.signature(found)
    lines: list[str] = []
    starred = False
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and not starred:
            lines.append("*")
        starred = starred or each.kind in {each.KEYWORD_ONLY, each.VAR_POSITIONAL}
        stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        default = "" if each.default is each.empty else f" = {each.default!r}"
        lines.append(f"{stars}{each.name}: {each.annotation}{default}")
    shown = "".join(f"    {line},\n" for line in lines)
    code = f"{name}(\n{shown}) -> {signature.return_annotation}"
    return _block(code, "python") + (inspect.getdoc(found) or "") + "\n\n"


def _class(found: type[Any]) -> str:
    text = inspect.cleandoc(found.__doc__ or "") + "\n\n"
    rows = [
        f"| `{field.name}` | `{_cell(str(field.type))}` | |"
        for field in (dataclasses.fields(found) if dataclasses.is_dataclass(found) else ())
    ]
    for name, each in vars(found).items():
        if not name.startswith("_") and hasattr(each, "__get__") and not inspect.isfunction(each):
            function = getattr(each, "fget", None) or getattr(each, "func", None)
            if function is not None:
                returns = _cell(str(inspect.signature(function).return_annotation))
                about = _cell((inspect.getdoc(function) or "").split("\n\n", 1)[0])
                rows.append(f"| `{name}` | `{returns}` | {about} |")
    for name, each in vars(found).items():
        if not name.startswith("_") and inspect.isfunction(each):
            about = _cell((inspect.getdoc(each) or "").split("\n\n", 1)[0])
            signature = str(inspect.signature(each)).replace("'", "")
            rows.append(f"| `{name}{_cell(signature)}` | | {about} |")
    if rows:
        text += "\n".join(["| name | type | meaning |", "| --- | --- | --- |", *rows]) + "\n\n"
    return text


# --- events and exit codes


def _events() -> str:
    about = inspect.getdoc(importlib.import_module(event_log.__name__)) or ""
    return (
        "# Events\n\n"
        + about
        + "\n\n```sh\noctavo run summarize --events events.jsonl examples/story.md\n```\n"
    )


def _exit_codes() -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^## Exit codes\n\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    assert found is not None
    tree = (errors.__doc__ or "").split("\n\n", 2)[2].rstrip()
    return (
        f"# Exit codes\n\n{found[1]}"
        "Several at once: a signal goes first, then 3, 4 and 1.\n\n"
        "From Python these are exceptions, all of them in `octavo.errors`; each knows its code as"
        " `exit_code`:\n\n" + _block(tree)
    )


def main() -> None:
    """Write the pages, and take away generated ones that are no more."""
    made = pages()
    for path in DOCS.rglob("*.md"):
        name = path.relative_to(DOCS).as_posix()
        if name not in made and path.read_text(encoding="utf-8").startswith(NOTE):
            path.unlink()
    for name, text in made.items():
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(text, encoding="utf-8")
    site = ROOT / "zensical.toml"
    site.write_text(list_commands(site.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{len(made)} pages\n")


def list_commands(site: str) -> str:
    """Return the site's settings with a line of the navigation for each command."""
    lines = [f'    {{ "{name}" = "commands/{name}.md" }},\n' for name in COMMANDS]
    head = '    { "All commands" = "commands/index.md" },\n'
    return re.sub(
        rf"({re.escape(head)}).*?(?=  \] }})", rf"\1{''.join(lines)}", site, flags=re.DOTALL
    )


if __name__ == "__main__":
    main()
