"""The layout of the package and of its tests, where import-linter's contracts don't reach."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import octavo
from octavo.commands._cli.app import COMMANDS
from octavo.pipeline.registry import _BUILT_IN

TESTS = Path(__file__).parent
PACKAGE = Path(octavo.__file__).parent
SOURCES = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}

# Each folder of plug-ins: the modules that a table names, and what may stand beside them.
PLUGINS = {
    "steps": (_BUILT_IN["step"].values(), {"_support"}),
    "chunkers": (_BUILT_IN["chunker"].values(), {"_support"}),
    "loaders": (_BUILT_IN["loader"].values(), {"_support"}),
    "backends": (_BUILT_IN["backend"].values(), {"transports"}),
    "commands": ([f"octavo.commands.{name}" for name in COMMANDS], {"_cli"}),
}

# Plug-ins that build on another of their kind. Chunkers are left out: many end in `structure`.
BUILT_ON = {
    ("backends", "vllm", "openai"),  # its server speaks that protocol
    ("commands", "run", "plan"),  # `run --dry-run` prints the plan
}


@pytest.fixture(scope="module")
def imports():
    """The imports of each module: type-checking imports and those inside functions included."""
    graph = grimp.build_graph("octavo", cache_dir=None)
    return {each: graph.find_modules_directly_imported_by(each) for each in graph.modules}


def test_no_module_imports_itself_by_way_of_others(imports):
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_no_two_public_classes_have_one_name():
    places = defaultdict(list)
    for path, text in SOURCES.items():
        for name in re.findall(r"^ *class ([A-Za-z]\w*)", text, re.MULTILINE):
            places[name].append(str(path.relative_to(PACKAGE)))
    assert len(places) > 100
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("folder", PLUGINS)
def test_a_folder_of_plugins_holds_plugins_and_nothing_else(folder):
    modules, beside = PLUGINS[folder]
    found = {path.stem for path in (PACKAGE / folder).iterdir()} - {"__init__", "__pycache__"}
    assert found == {module.split(".")[2] for module in modules} | beside


@pytest.mark.parametrize("folder", ["steps", "loaders", "backends", "commands"])
def test_a_plugin_imports_no_other_of_its_kind(folder, imports):
    _, beside = PLUGINS[folder]
    inside = {name: name.split(".")[2] for name in imports if name.startswith(f"octavo.{folder}.")}
    crossing = {
        (folder, plugin, inside[other])
        for module, plugin in inside.items()
        for other in imports[module] & inside.keys()
        if inside[other] not in {plugin} | beside
    }
    assert crossing == {each for each in BUILT_ON if each[0] == folder}


def test_one_line_names_the_module_of_a_plugin():
    lines = Counter(
        (name, path.name)
        for path, text in SOURCES.items()
        for name in re.findall(r"""["'](octavo\.[\w.]+)["']""", text)
    )
    modules = {module for table in _BUILT_IN.values() for module in table.values()}
    found = {each: count for each, count in lines.items() if each[0] in modules}
    assert found == {(module, "registry.py"): 1 for module in modules}


def test_what_is_asked_at_every_tab_imports_nothing_of_ours(imports):
    assert imports["octavo.config.paths"] == set()


def test_modules_that_tests_name_exist(imports):
    """A name in a string, of what must not be imported, would else pass once it is old."""
    rooms = {name.split(".")[1] for name in imports if "." in name}
    named = re.compile(rf"\boctavo\.(?:{'|'.join(rooms)})(?:\.[A-Za-z]\w*)+")
    unknown = set()
    for path in TESTS.rglob("*.py"):
        for name in set(named.findall(path.read_text(encoding="utf-8"))):
            module, rest = name, ""
            while module not in imports:
                module, _, rest = module.rpartition(".")
            source = PACKAGE.parent.joinpath(*module.split("."))
            file = source / "__init__.py" if source.is_dir() else source.with_suffix(".py")
            if rest and not re.search(rf"\b{rest}\b", SOURCES[file]):
                unknown.add((str(path), name))
    assert unknown == set()


def test_no_test_uses_the_benchmarks():
    """What both need is in tests/support."""
    uses = re.compile(r"""^\s*(from|import)\s+bench\b|["']bench[./]""", re.MULTILINE)
    files = sorted(TESTS.rglob("*.py"))
    assert len(files) > 100
    found = [str(path) for path in files if uses.search(path.read_text(encoding="utf-8"))]
    assert found == []
