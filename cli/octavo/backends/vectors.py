"""Embeddings as OpenAI's servers write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from octavo.backends.shape import as_count, as_list, as_object
from octavo.protocols.backends import Transient
from octavo.protocols.calls import Usage
from octavo.protocols.embeddings import Embedded
from octavo.text.vector import Vector, to_vector

__all__ = ["parse_embeddings"]


def parse_embeddings(body: Mapping[str, Any], texts: int) -> Embedded:
    """Return the vectors of an answer in the order of the texts, whatever order it has them in.

    Raises Transient when there is not one for each of so many texts.
    """
    found: dict[int, Vector] = {}
    for place, each in enumerate(map(as_object, as_list(body.get("data")))):
        index = as_count(each.get("index"))
        numbers = as_list(each.get("embedding"))
        if numbers and all(isinstance(number, (int, float)) for number in numbers):
            found[place if index is None else index] = to_vector(numbers)
    if found.keys() != set(range(texts)):
        raise Transient(f"the server sent {len(found)} vectors for {texts} texts", kind="server")
    usage = Usage(prompt=as_count(as_object(body.get("usage")).get("prompt_tokens")))
    return Embedded(tuple(found[index] for index in range(texts)), usage)
