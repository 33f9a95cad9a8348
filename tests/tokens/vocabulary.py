"""Small GGUF files for tests: metadata as llama.cpp's converters write it, and no tensors."""

from __future__ import annotations

import struct

from octavo.tokens.bpe import BYTE_LETTERS

NORMAL, CONTROL, USER_DEFINED, BYTE = 1, 3, 4, 6


def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value):
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case str():
            return struct.pack("<I", 8) + _string(value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_string, value))
        case [float(), *_]:
            return struct.pack(f"<IIQ{len(value)}f", 9, 6, len(value), *value)
        case _:
            return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)


def write_gguf(path, values, *, version=3, weights=b""):
    """Write a GGUF file with these keys and values."""
    body = b"".join(_string(key) + _value(value) for key, value in values.items())
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", version, 0, len(values)) + body + weights)
    return path


def byte_level(path, merges, *, pre="smollm", extra=(), **settings):
    """Write a byte-level tokenizer with these merges, and `extra` user-defined tokens."""
    tokens = [*BYTE_LETTERS, *(merge.replace(" ", "") for merge in merges), *extra]
    kinds = [NORMAL] * (len(tokens) - len(extra)) + [USER_DEFINED] * len(extra)
    values = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": list(merges),
    }
    return write_gguf(path, values, **settings)


def sentence_piece(path, pieces, *, prefix=True):
    """Write a SentencePiece tokenizer; earlier pieces have better scores."""
    tokens = [*pieces, *(f"<0x{byte:02X}>" for byte in range(256))]
    values = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(rank) for rank in range(len(tokens))],
        "tokenizer.ggml.token_type": [NORMAL] * len(pieces) + [BYTE] * 256,
        "tokenizer.ggml.add_space_prefix": prefix,
    }
    return write_gguf(path, values)
