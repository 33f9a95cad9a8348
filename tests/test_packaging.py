"""The distribution: what an installed copy finds, and that README, CI and code say the same."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

import octavo
from octavo.commands._cli.app import COMMANDS
from octavo.pipeline.lookup import FileOrigin, Lookup
from octavo.pipeline.reader import read_pipeline
from octavo.pipeline.registry import Registry
from octavo.text.splitting import kernel

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
PIPELINES = sorted(path.stem for path in (ROOT / "pipelines").glob("*.yaml"))


@pytest.fixture
def installed(tmp_path):
    """The package as the wheel lays it out, by the wheel's own table."""
    sources = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["sources"]
    for here, there in sources.items():
        shutil.copytree(ROOT / here, tmp_path / there, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_version_is_the_projects():
    assert octavo.__version__ == version("octavo") == PROJECT["project"]["version"]


def test_an_installed_copy_finds_its_own_pipelines_from_anywhere(installed):
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from octavo.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(installed), "ls"],
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": ""},
        check=True,
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == PIPELINES


def test_the_wheel_takes_the_code_and_the_data_and_nothing_else():
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert (
        set(wheel["only-include"])
        == set(wheel["sources"])
        == {"cli/octavo", "pipelines", "prompts"}
    )
    # A package of that name in the code would be hidden by the data's folder, or hide it.
    assert not (ROOT / "cli/octavo/pipelines").exists()
    assert not (ROOT / "cli/octavo/prompts").exists()


@pytest.mark.parametrize(
    ("settings", "native"),
    [({}, kernel.NATIVE), ({"CC": "no-such-compiler"}, False), ({"OCTAVO_PURE": "1"}, False)],
    ids=["as here", "no compiler", "pure"],
)
def test_the_wheel_is_for_this_machine_only_where_it_has_native_loops(settings, native, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        loops = sorted(
            name for name in archive.namelist() if name.startswith("octavo/text/splitting/nat")
        )
    assert [Path(name).suffix for name in loops] == ([".so", ".pyi"] if native else [".pyi"])
    assert wheel.name.endswith("-py3-none-any.whl") != native


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Runs the build hook as for an editable install, in a tree with a blank in its path."""
    tree = tmp_path / "a tree" / "cli/octavo/text/splitting"
    tree.mkdir(parents=True)
    shutil.copy(ROOT / "cli/octavo/text/splitting/native.c", tree)
    hooks = runpy.run_path(str(ROOT / "tools/native.py"))
    said: list[str] = []
    app = SimpleNamespace(display_warning=said.append)
    monkeypatch.delenv("CC", raising=False)

    def run(version="editable"):
        hook = hooks["NativeLoops"](str(tmp_path / "a tree"), {}, None, None, "", "wheel", app)
        data = {"force_include": {}}
        hook.initialize(version, data)
        assert all(Path(built).exists() for built in data["force_include"])
        hook.finalize(version, data, "")
        return sorted(path.suffix for path in tree.iterdir()), said

    run.tree = tree
    return run


needs_compiler = pytest.mark.skipif(not kernel.NATIVE, reason="was built without a C compiler")


@needs_compiler
@pytest.mark.parametrize("usual", [None, "no-such-compiler -shared"])
def test_any_compiler_will_do_and_leaves_only_the_module(usual, build, monkeypatch):
    known = sysconfig.get_config_var
    monkeypatch.setattr(
        sysconfig, "get_config_var", lambda name: usual if name == "LDSHARED" else known(name)
    )
    for _ in range(2):  # over the one before
        assert build() == ([".c", ".so"], [])
    monkeypatch.setenv("CC", "cc -g0")
    assert build() == ([".c", ".so"], [])
    monkeypatch.setenv("OCTAVO_PURE", "1")
    assert build() == ([".c"], [])


def test_a_compiler_that_fails_is_told_in_one_line(build, monkeypatch, tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_bytes(
        b"#!/bin/sh\nprintf 'In file x\\nfatal error: gr\\374n\\nmore' >&2\nexit 1\n"
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    for kind in ("editable", "standard"):
        assert build(kind)[0] == [".c"]
    monkeypatch.setenv("CC", "'unbalanced")
    lines = build()[1]
    assert [line.partition(": ")[2] for line in lines[:2]] == ["fatal error: gr\ufffdn"] * 2
    assert len(lines) == 3


def test_a_tree_that_cannot_be_written_is_installed_all_the_same(build):
    name = f"native{sysconfig.get_config_var('EXT_SUFFIX')}"
    (build.tree / name / "in the way").mkdir(parents=True)
    found, said = build()
    assert found == [".c", ".so"]
    assert len(said) == 1


@pytest.mark.parametrize("name", PIPELINES)
def test_a_built_in_pipeline_is_well_formed_and_says_what_it_does(name, tmp_path):
    found = Lookup(tmp_path, tmp_path).find_pipeline(name)
    assert found.origin is FileOrigin.BUILT_IN
    pipeline = read_pipeline(found.text, found.path, Registry())
    assert pipeline.about.endswith(".")
    assert all(param.about.endswith(".") for param in pipeline.params)
    # Where replies are folded by asking again, a document of one part is asked otherwise.
    folds = {use.type.name for use in pipeline.steps} & {"reduce", "merge", "fold"}
    assert pipeline.whole is not None or not folds


def test_no_built_in_prompt_is_left_over():
    """Each is named by a pipeline, another prompt, a default of an option, or a test of one."""
    prompts = ROOT / "prompts"
    using = [*(ROOT / "pipelines").glob("*.yaml"), *prompts.rglob("*.j2")]
    for folder in ("cli/octavo/chunkers", "tests/chunkers", "tests/steps"):
        assert (ROOT / folder).is_dir()
        using += (ROOT / folder).rglob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in using)
    names = {str(path.relative_to(prompts).with_suffix("")) for path in prompts.rglob("*.j2")}
    assert names
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()


def test_the_readme_has_one_command_that_sets_up_and_tests():
    """`.ci/run` looks for this line and runs it."""
    found = re.findall(r"^python3 -m venv .* && \.venv/bin/pytest$", README, re.MULTILINE)
    assert len(found) == 1
    assert "'.[local,dev]'" in found[0]
    assert {"local", "dev"} <= set(PROJECT["project"]["optional-dependencies"])


def test_the_readme_names_every_command_and_every_built_in_pipeline():
    assert [name for name in (*COMMANDS, *PIPELINES) if f"`{name}`" not in README] == []
