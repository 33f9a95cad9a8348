"""The documentation: generated pages are fresh, the site builds without a warning, examples run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tools.pages import NOTE, pages

from octavo.commands._cli.app import COMMANDS
from octavo.commands._cli.main import run_command_line

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
RULES = "scripted:examples/rules.yaml"
WRITTEN = [
    path
    for path in sorted(DOCS.rglob("*.md"))
    if not path.read_text(encoding="utf-8").startswith(NOTE)
]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


COMMANDS_SHOWN = [
    pytest.param(line, id=f"{path.relative_to(DOCS).as_posix()}: {line}"[:70])
    for path in WRITTEN
    for block in blocks(path.read_text(encoding="utf-8"), "sh")
    for line in block.splitlines()
    if line.startswith(("octavo ", "cat examples/")) and "examples/" in line
]


def test_the_generated_pages_are_those_that_the_code_makes():
    """After a change of options or help: `python tools/pages.py`."""
    found = {
        path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
        for path in DOCS.rglob("*.md")
        if path not in WRITTEN
    }
    assert found == pages()


def test_every_command_and_every_written_page_is_in_the_navigation():
    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))
    shown = set(re.findall(r"'([\w/-]+\.md)'", str(site["project"]["nav"])))
    assert {f"commands/{name}.md" for name in COMMANDS} <= shown
    assert {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} - shown <= {"gpu.md"}


def test_the_site_builds_with_every_link_leading_somewhere(tmp_path):
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    done = build(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    made = {path.parent.name for path in (tmp_path / "site").rglob("index.html")}
    assert {"recipes", "plugins", "run", "pipeline", "shell", "directories", "ci"} <= made
    # What the pages show is there without a network.
    page = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|<link[^>]*href)="https?://[^"]*\.(?:js|css|woff2?)', page)


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path):
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    with (tmp_path / "docs/recipes.md").open("a", encoding="utf-8") as page:
        page.write("\n[gone](strategies.md#no-such-section)\n")
    assert build(tmp_path).returncode != 0


def build(folder):
    return subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "examples/plugin/README.md"])
def test_links_of_pages_outside_of_the_site_lead_to_files(path):
    text = path.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links
    for link in links:
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.is_file(), link
        titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in titles}
        assert not anchor or anchor in anchors, link


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A directory with the examples, in which the rules are the configured model."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "octavo.toml").write_text(f'default = "{RULES}"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS_SHOWN)
def test_a_command_of_the_pages_runs_as_it_is_printed(command, project, capfd):
    if set(command) & {"|", ">", "<", "$"}:
        scripts = project / "bin"
        scripts.mkdir()
        (scripts / "octavo").write_text(f'#!/bin/sh\nexec {sys.executable} -m octavo "$@"\n')
        (scripts / "octavo").chmod(0o755)
        line = f'PATH="{scripts}:$PATH"; {command}'
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return
    code = run_command_line(shlex.split(command, comments=True)[1:])
    assert code == 0, capfd.readouterr().err


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_the_pipelines_of_the_pages_are_valid(path, project, capfd):
    for number, text in enumerate(blocks(path.read_text(encoding="utf-8"), "yaml")):
        if text.startswith("octavo: 1"):
            name = f"shown-{number}.yaml"
            (project / name).write_text(text)
            code = run_command_line(["check", name])
            assert code == 0, capfd.readouterr().out


def test_the_python_of_the_page_runs(project):
    shown = blocks((DOCS / "python.md").read_text(encoding="utf-8"), "python")
    assert len(shown) >= 4
    names: dict[str, object] = {}
    for block in shown:
        exec(compile(block, "python.md", "exec"), names)


def test_code_that_pages_show_is_that_of_the_examples():
    shown = blocks((DOCS / "plugins.md").read_text(encoding="utf-8"), "python")
    modules = ("unique", "marks", "notebook", "lead")
    assert len(shown) == len(modules)
    for block, name in zip(shown, modules, strict=True):
        code = ROOT / f"examples/plugin/octavo_example/{name}.py"
        assert code.read_text(encoding="utf-8").endswith(block)
    workflow = (ROOT / "examples/ci/docs.yml").read_text(encoding="utf-8")
    assert workflow in blocks((DOCS / "tutorials/ci.md").read_text(encoding="utf-8"), "yaml")


def test_the_example_plugin_uses_public_modules_alone():
    for path in (ROOT / "examples/plugin").rglob("*.py"):
        used = re.findall(r"^from (octavo[\w.]*)", path.read_text(encoding="utf-8"), re.MULTILINE)
        public = {"octavo.protocols", "octavo.errors", "octavo.backends.scripted"}
        assert set(used) <= public, path


@pytest.fixture(params=["examples/plugin", "tests/plugins/version_0_1"])
def plugin(request, tmp_path):
    """Install an example plugin into a directory, without a network, and run commands with it.

    Once as it is, and once as it was published with version 0.1.
    """
    source = shutil.copytree(ROOT / request.param, tmp_path / "plugin")
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*pip, *offline, str(source)], check=True, timeout=50)
    (pipeline,) = blocks((source / "README.md").read_text(encoding="utf-8"), "yaml")
    (tmp_path / "speakers.yaml").write_text(pipeline)

    def octavo(*arguments):
        # A directory on the path is one where packages, and their entry points, are found.
        start = f"import sys; sys.path.insert(0, {str(target)!r})\n"
        program = start + "from octavo.commands._cli.main import main; main()"
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    return octavo


def test_the_example_plugin_installs_and_all_its_parts_are_used(plugin, tmp_path):
    command = ("speakers.yaml", "-m", "lead:1", "--private", "plugin/play.ipynb")
    done = plugin("run", *command)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "# The bell of Orrin\n\n## Mara\n\n## Tobias\n"  # Mara speaks twice
    planned = plugin("plan", *command)
    assert re.search(r"^map +4 ", planned.stdout, re.MULTILINE), planned.stderr
    assert plugin("check", "speakers.yaml").returncode == 0
    assert '"unique"' in plugin("schema").stdout
    (tmp_path / "bad.ipynb").write_text("[1]")
    refused = plugin("run", "speakers.yaml", "-m", "lead:1", "bad.ipynb")
    assert refused.returncode == 2
    assert "bad.ipynb: this is no notebook" in refused.stderr


def test_the_chunks_of_the_example_plugin_join_to_the_text(plugin, tmp_path):
    text = "* * * one\n" + "word " * 300 + "\n* * * two\nshort\n"
    (tmp_path / "a.txt").write_text(text)
    done = plugin("split", "--by", "marks", "--tokens", "100", "a.txt")
    chunks = [json.loads(line) for line in done.stdout.splitlines()]
    assert "".join(chunk["text"] for chunk in chunks) == text
    assert max(chunk["tokens"] for chunk in chunks) <= 100
    assert chunks[-1]["text"].startswith("* * * two")
