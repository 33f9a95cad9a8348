"""The metadata at the start of a GGUF file, read without the model's weights.

GGUF, versions 2 and 3: a header, then keys with typed values, little-endian, then the tensors.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from octavo.errors import UsageError

__all__ = ["GgufMetadata", "read_metadata"]


_HEADER: Final = struct.Struct("<4sIQQ")
_LENGTH: Final = struct.Struct("<Q")
_TYPE: Final = struct.Struct("<I")
_ARRAY: Final = struct.Struct("<IQ")
_SCALARS: Final = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING: Final = 8
_LIST: Final = 9

MetadataValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class GgufMetadata:
    """Where each value of a GGUF file lies; scalars are read, lists when they are asked for."""

    path: Path
    scalars: Mapping[str, MetadataValue]
    _lists: Mapping[str, tuple[int, int, int, int]]  # type, count, start and end of the items

    def read_strings(self, key: str) -> list[str]:
        """Return a list of strings, empty when there is none of that name."""
        kind, count, start, end = self._lists.get(key, (_STRING, 0, 0, 0))
        data = self._read_bytes(start, end)
        position, found = 0, list[str]()
        for _ in range(count if kind == _STRING else 0):
            (length,) = _LENGTH.unpack_from(data, position)
            position += 8 + length
            found.append(data[position - length : position].decode("utf-8", "replace"))
        return found

    def read_numbers(self, key: str) -> tuple[int | float, ...]:
        """Return a list of numbers, empty when there is none of that name."""
        kind, count, start, end = self._lists.get(key, (0, 0, 0, 0))
        if kind not in _SCALARS:
            return ()
        return struct.unpack(f"<{count}{_SCALARS[kind]}", self._read_bytes(start, end))

    def compute_digest(self, prefix: str) -> str:
        """Return the SHA-256 of all keys and values under a prefix, in the order of the keys."""
        digest = hashlib.sha256()
        for key, value in sorted(self.scalars.items()):
            if key.startswith(prefix):
                digest.update(f"{key}={value!r}\n".encode())
        for key, (kind, count, start, end) in sorted(self._lists.items()):
            if key.startswith(prefix):
                digest.update(f"{key}:{kind}:{count}\n".encode())
                digest.update(self._read_bytes(start, end))
        return digest.hexdigest()

    def _read_bytes(self, start: int, end: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


def read_metadata(path: Path) -> GgufMetadata:
    """Read the metadata of a GGUF file; raises UsageError when it is not one or cannot be read."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _parse_metadata(path, data)
    except OSError as error:
        raise UsageError(
            f"model file {path} cannot be read: {error.strerror or error}",
            hint="name an existing .gguf file",
        ) from error
    except (ValueError, struct.error, KeyError) as error:  # an empty file cannot be mapped either
        raise UsageError(
            f"{path} is not a GGUF file that can be read: {error}",
            hint="name a .gguf file of version 2 or 3, or fetch it again",
        ) from error


def _parse_metadata(path: Path, data: mmap.mmap) -> GgufMetadata:
    magic, version, _, count = _HEADER.unpack_from(data, 0)
    if magic != b"GGUF" or version not in {2, 3}:
        message = f"it starts with {magic!r}, version {version}"
        raise ValueError(message)
    scalars: dict[str, MetadataValue] = {}
    lists: dict[str, tuple[int, int, int, int]] = {}
    position = _HEADER.size
    for _ in range(count):
        key, position = _read_string(data, position)
        (kind,) = _TYPE.unpack_from(data, position)
        position += _TYPE.size
        if kind == _LIST:
            item, length = _ARRAY.unpack_from(data, position)
            start = position + _ARRAY.size
            position = _find_list_end(data, item, length, start)
            lists[key] = (item, length, start, position)
        elif kind == _STRING:
            scalars[key], position = _read_string(data, position)
        else:
            value = struct.Struct(f"<{_SCALARS[kind]}")
            (scalars[key],) = value.unpack_from(data, position)
            position += value.size
    return GgufMetadata(path, scalars, lists)


def _read_string(data: mmap.mmap, position: int) -> tuple[str, int]:
    (length,) = _LENGTH.unpack_from(data, position)
    end = position + _LENGTH.size + length
    if end > len(data):
        raise ValueError("it ends inside its metadata")
    return data[position + _LENGTH.size : end].decode("utf-8", "replace"), end


def _find_list_end(data: mmap.mmap, item: int, count: int, start: int) -> int:
    """Return where a list's items end."""
    if item == _STRING:
        unpack = _LENGTH.unpack_from
        position = start
        for _ in range(count):
            position += 8 + unpack(data, position)[0]
    else:
        position = start + count * struct.calcsize(f"<{_SCALARS[item]}")
    if position > len(data):
        raise ValueError("it ends inside its metadata")
    return position
