"""Small GGUF files for tests: metadata as llama.cpp's converters write it, and empty weights."""

from __future__ import annotations

import struct
from math import prod

from octavo.tokens.gguf.byte_level import BYTE_LETTERS

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
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + _string(value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_string, value))
        case [float(), *_]:
            return struct.pack(f"<IIQ{len(value)}f", 9, 6, len(value), *value)
        case _:
            return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)


def write_gguf(path, values, *, tensors=None, version=3, weights=b""):
    """Write a GGUF file with these keys and values, and tensors of zeros of these shapes."""
    tensors = tensors or {}
    body = b"".join(_string(key) + _value(value) for key, value in values.items())
    place = 0
    for name, shape in tensors.items():
        body += _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, place)
        place += -(-4 * prod(shape) // 32) * 32
    start = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values)) + body
    path.write_bytes(start + bytes(-len(start) % 32 if tensors else 0) + bytes(place) + weights)
    return path


def tiny_model(vocabulary):
    """Return what else llama.cpp wants of a file before it tokenizes: a model that says nothing."""
    size, width = len(vocabulary), 32
    values = {
        "general.architecture": "llama",
        "llama.context_length": 64,
        "llama.embedding_length": width,
        "llama.block_count": 1,
        "llama.feed_forward_length": width,
        "llama.attention.head_count": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": width // 2,
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 0,
    }
    squares = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    tensors = {"token_embd.weight": (width, size), "output_norm.weight": (width,)}
    tensors |= {f"blk.0.{name}.weight": (width, width) for name in squares}
    tensors |= {f"blk.0.{name}.weight": (width,) for name in ("attn_norm", "ffn_norm")}
    return values, tensors


def byte_level(path, merges, *, pre="smollm", extra=(), runs=False, **settings):
    """Write a byte-level tokenizer with these merges, and `extra` user-defined tokens.

    With `runs`, llama.cpp can load the file.
    """
    merged = (merge.replace(" ", "") for merge in merges)
    tokens = list(dict.fromkeys([*BYTE_LETTERS, *merged, *extra]))
    kinds = [NORMAL] * (len(tokens) - len(extra)) + [USER_DEFINED] * len(extra)
    values = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": list(merges),
    }
    more, tensors = tiny_model(tokens) if runs else ({}, None)
    return write_gguf(path, more | values, tensors=tensors, **settings)


def sentence_piece(path, pieces, *, prefix=True, runs=False):
    """Write a SentencePiece tokenizer; earlier pieces have better scores."""
    tokens = [*pieces, *(f"<0x{byte:02X}>" for byte in range(256))]
    values = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(rank) for rank in range(len(tokens))],
        "tokenizer.ggml.token_type": [NORMAL] * len(pieces) + [BYTE] * 256,
        "tokenizer.ggml.add_space_prefix": prefix,
    }
    more, tensors = tiny_model(tokens) if runs else ({}, None)
    return write_gguf(path, more | values, tensors=tensors)
