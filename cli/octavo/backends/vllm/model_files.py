"""Which weights a vLLM model name means, and where their tokenizer file is."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from octavo.protocols.backends import Serve

__all__ = ["find_tokenizer_file", "get_served_name", "identify_model"]


_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")


def identify_model(model: str, serve: Serve) -> str:
    """Return what stands for the weights in keys: model, revision and quantization.

    A directory is known by its last name and a hash of its configuration and of the names and sizes
    of its weights, so that it is the same model wherever it lies.
    """
    folder = _find_folder(model)
    name = model if folder is None else f"{folder.name}:{_fingerprint_weights(folder)}"
    if serve.revision:
        name += f"@{serve.revision}"
    if serve.quantization:
        name += f"+{serve.quantization}"
    if serve.load_format == "dummy":
        name += "+dummy"
    return name


def get_served_name(model: str) -> str:
    """Return the name under which Octavo's own server offers a model."""
    folder = _find_folder(model)
    return model if folder is None else folder.name


def find_tokenizer_file(model: str, serve: Serve) -> str | None:
    """Return the model's tokenizer.json, if it is on this machine and can be counted with."""
    if importlib.util.find_spec("tokenizers") is None:
        return None
    folder = _find_folder(model) or _find_cached_snapshot(model, serve.revision or "main")
    file = folder / "tokenizer.json" if folder is not None else None
    return str(file.absolute()) if file is not None and file.is_file() else None


def _find_folder(model: str) -> Path | None:
    path = Path(model).expanduser()
    return path.resolve() if path.is_dir() else None


def _find_cached_snapshot(model: str, revision: str) -> Path | None:
    """Return where Hugging Face's cache holds a model, if it does."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    store = hub / f"models--{model.replace('/', '--')}"
    try:
        commit = (store / "refs" / revision).read_text("ascii").strip()
    except (OSError, ValueError):
        commit = revision
    snapshot = store / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def _fingerprint_weights(folder: Path) -> str:
    digest = hashlib.sha256()
    config = folder / "config.json"
    if config.is_file():
        digest.update(config.read_bytes())
    for path in sorted(folder.iterdir()):
        if path.suffix in _WEIGHTS:
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
    return digest.hexdigest()[:12]
