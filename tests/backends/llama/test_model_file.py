"""Which file `llama:NAME` means."""

from __future__ import annotations

import hashlib
import os
import struct

import pytest

from octavo.backends.llama.backend import BACKEND
from octavo.backends.llama.model_file import find_model
from octavo.backends.llama.weights import SMOLLM2
from octavo.errors import UsageError
from octavo.protocols import Profile


@pytest.fixture(autouse=True)
def models_in_the_cache(monkeypatch):
    monkeypatch.delenv("OCTAVO_MODELS", raising=False)


def gguf(path, window=2048):
    """Write the header of a model without weights."""

    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    values = (
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("llama.context_length") + struct.pack("<II", 4, window),
    )
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 0, len(values)) + b"".join(values))
    return path


def opened(name, **profile):
    return BACKEND.open(name, Profile(model=f"llama:{name}", **profile))


def test_the_default_is_known_without_its_file(empty_home):
    backend = opened("smollm2")
    assert backend.model == SMOLLM2.sha256
    assert (backend.known.window, backend.known.parallel) == (8192, 1)
    assert backend.known.structured
    assert list(empty_home.rglob("*")) == []


def test_a_path_is_known_by_its_content_and_header(tmp_path):
    path = gguf(tmp_path / "my model.gguf")
    backend = opened(str(path))
    assert backend.model == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (backend.known.window, backend.known.tokenizer) == (2048, str(path))
    same = gguf(tmp_path / "copy.gguf")
    assert opened(str(same)).model == backend.model
    assert opened(str(same)).identity == backend.identity


def test_a_large_window_is_taken_only_when_asked_for(tmp_path):
    path = str(gguf(tmp_path / "long.gguf", window=131_072))
    assert opened(path).known.window == 8192
    assert opened(path, window=65_536).known.window == 65_536
    assert opened(path, window=1000).known.window == 1000
    with pytest.raises(UsageError, match="200000 tokens is more than the 131072"):
        _ = opened(path, window=200_000).known


def test_a_digest_is_kept_until_the_file_changes(tmp_path, empty_home):
    path = gguf(tmp_path / "m.gguf")
    first = find_model(str(path)).digest
    stat = path.stat()
    kept = list((empty_home / ".cache" / "octavo" / "models" / "digests").iterdir())
    assert [each.read_text() for each in kept] == [first]
    kept[0].write_text("0" * 64)
    assert find_model(str(path)).digest == "0" * 64, "the file was read again"
    gguf(path, window=4096)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert find_model(str(path)).digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch):
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("OCTAVO_MODELS", str(tmp_path / "blocked"))
    path = gguf(tmp_path / "m.gguf")
    assert find_model(str(path)).digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_models_in_their_place_go_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("OCTAVO_MODELS", str(tmp_path))
    path = gguf(tmp_path / "qwen.gguf")
    assert find_model("qwen").path == find_model("qwen.gguf").path == path
    with pytest.raises(UsageError, match=r"no model 'qwem'; there are: smollm2, qwen"):
        find_model("qwem")


@pytest.mark.parametrize("name", ["./absent.gguf", "absent.gguf", "models/absent", ""])
def test_a_file_that_is_not_there(name):
    with pytest.raises(UsageError, match="there is no model"):
        find_model(name)


def test_a_file_that_is_no_model(tmp_path):
    path = tmp_path / "notes.gguf"
    path.write_text("Not a model at all, but long enough to be one.")
    with pytest.raises(UsageError, match="is not a GGUF file"):
        _ = opened(str(path)).known


def test_options_are_part_of_the_identity():
    plain = opened("smollm2").identity
    assert opened("smollm2", options={"top_k": 5}).identity != plain
    assert opened("smollm2").identity == plain
