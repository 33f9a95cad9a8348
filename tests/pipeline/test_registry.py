"""Steps, chunkers, loaders and backends are found by name."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

import octavo
from octavo.errors import UsageError
from octavo.pipeline import registry as module
from octavo.pipeline.registry import Registry
from octavo.protocols import BackendType, ChunkerType, LoaderType, StepType
from octavo.text.document import Document


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("step", StepType),
        ("chunker", ChunkerType),
        ("loader", LoaderType),
        ("backend", BackendType),
    ],
)
def test_every_built_in_name_leads_to_its_type(kind, wanted):
    registry = Registry()
    names = registry.list_names(kind)
    assert names == tuple(sorted(names))
    for name in names:
        found = getattr(registry, f"get_{kind}")(name)
        assert isinstance(found, wanted)
        assert found.name == name


def test_importing_the_registry_imports_nothing_it_names():
    program = (
        "import sys; from octavo.pipeline.registry import Registry; Registry().list_names('step');"
        "print([name for name in sys.modules if name.startswith(('octavo.steps.',"
        " 'octavo.backends.', 'octavo.chunkers.', 'octavo.loaders.'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UsageError, match="there is no step 'mege'") as caught:
        Registry().get_step("mege")
    assert caught.value.hint == "did you mean 'merge'?"


def test_packages_add_theirs_by_entry_points(monkeypatch, registry):
    offered = {
        "octavo.steps": [
            EntryPoint("louder", "tests_louder:STEP", "octavo.steps"),
            EntryPoint("broken", "no_such_module_anywhere:STEP", "octavo.steps"),
            EntryPoint("wrong", "json:loads", "octavo.steps"),
            EntryPoint("map", "json:loads", "octavo.steps"),
        ]
    }
    monkeypatch.setattr(module, "entry_points", lambda group: offered.get(group, []))
    louder = registry.get_step("map")
    monkeypatch.setitem(sys.modules, "tests_louder", type("Module", (), {"STEP": louder}))
    assert Registry().get_step("louder") is louder
    assert {"louder", "broken", "map"} <= set(Registry().list_names("step"))
    assert Registry().get_step("map").name == "map"
    with pytest.raises(UsageError, match=r"'broken' of .* cannot be imported"):
        Registry().get_step("broken")
    with pytest.raises(UsageError, match="gives a function"):
        Registry().get_step("wrong")


def test_entry_points_are_not_read_for_built_in_names(monkeypatch):
    def fail(group):
        raise AssertionError(group)

    monkeypatch.setattr(module, "entry_points", fail)
    assert Registry().get_step("split").name == "split"


def find_loader(registry, suffix):
    return next(loader for loader in registry.list_loaders() if suffix in loader.suffixes)


def short(name, *suffixes):
    return LoaderType(
        name, frozenset(suffixes), lambda data, source, encoding: Document("abc", source)
    )


def offer_loaders(monkeypatch, *loaders):
    holder = type("Module", (), {loader.name: loader for loader in loaders})
    monkeypatch.setitem(sys.modules, "tests_loaders", holder)
    offered = [
        EntryPoint(loader.name, f"tests_loaders:{loader.name}", "octavo.loaders")
        for loader in loaders
    ]
    monkeypatch.setattr(
        module, "entry_points", lambda group: offered if group == "octavo.loaders" else []
    )


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.csv"])
def test_a_loader_of_a_package_comes_before_the_built_in_of_its_suffix(name, monkeypatch, tmp_path):
    (tmp_path / name).write_text("one,two\nthree,four\n")
    offer_loaders(monkeypatch, short("short", ".md", ".txt", ".csv"))
    assert octavo.split(tmp_path / name)[-1].span.end == 3


def test_a_loader_of_a_program_comes_before_all_others(monkeypatch):
    offer_loaders(monkeypatch, short("aaa", ".md", ".txt"))
    own = short("zzz", ".md", ".txt")
    assert find_loader(Registry([own]), ".md") is own
    assert find_loader(Registry([own]), ".txt") is own
    instead = short("markdown", ".md")
    assert find_loader(Registry([instead]), ".md") is instead
    plain = short("text", ".txt")
    assert find_loader(Registry([plain]), ".txt") is plain
    assert Registry([plain]).list_loaders()[-1] is plain


def test_what_no_loader_knows_is_plain_text(monkeypatch, tmp_path):
    (tmp_path / "a.unknown").write_text("four")
    offer_loaders(monkeypatch, short("short", ".md"))
    assert octavo.split(tmp_path / "a.unknown")[-1].span.end == 4
