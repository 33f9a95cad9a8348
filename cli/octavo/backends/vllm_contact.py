"""What a vLLM server tells of itself, and where it is found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from octavo.backends.shape import as_text
from octavo.protocols.backends import Transient
from octavo.protocols.transport import Transport

__all__ = ["fetch_cache_size", "list_model_names", "add_version_path"]

_CACHE_METRIC = re.compile(r"vllm:cache_config_info\{([^}]*)\}")
_METRIC_LABEL = re.compile(r'(\w+)="([^"]*)"')


async def fetch_cache_size(root: Transport) -> int | None:
    """Return the tokens that a server's cache holds, by its metrics, if it has some."""
    try:
        reply = await root.get("/metrics")
    except Transient:
        return None
    blocks = 0
    for found in _CACHE_METRIC.finditer(reply.body if isinstance(reply.body, str) else ""):
        labels = dict(_METRIC_LABEL.findall(found[1]))
        with suppress(KeyError, ValueError):
            blocks += int(labels["num_gpu_blocks"]) * int(labels["block_size"])
    return blocks or None


def list_model_names(model: Mapping[str, Any]) -> set[str]:
    """Return the names that a served model answers to, and the one it was loaded by."""
    return {as_text(model.get("id")), as_text(model.get("root"))}


def add_version_path(url: str | None) -> str | None:
    """Return a server's address with the `/v1` that its users tend to leave out."""
    if not url:
        return None
    plain = url.rstrip("/")
    return plain if "/" in plain.partition("://")[2] else f"{plain}/v1"
