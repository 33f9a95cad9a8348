"""The counts of GGUF tokenizers are llama.cpp's own."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
import regex
from tests.support.vocabulary import byte_level, sentence_piece

from octavo.tokens.choose import get_counter
from octavo.tokens.gguf.byte_level import BYTE_LETTERS

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed"
)

# In a process of its own: llama.cpp ends the process for a file that it does not like.
ASK = """
import http.client, json, sys
import xllamacpp
counts = []
for path in sys.argv[1:]:
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.port = path, 64, 1, 0
    params.warmup = False
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    connection = http.client.HTTPConnection(server.listening_address.removeprefix("http://"))
    for text in json.load(open("texts.json")):
        body = json.dumps({"content": text, "add_special": False, "parse_special": False})
        connection.request("POST", "/tokenize", body, {"content-type": "application/json"})
        counts.append(len(json.load(connection.getresponse())["tokens"]))
    connection.close()
    del server
json.dump(counts, open("counts.json", "w"))
"""

PROSE = (
    "It's 1851, and THE keeper wrote 12:45 into his book; he'd listened to the rain.\n"
    "    Nobody\texpected   another boat…  naïve façade, Ölüdeniz, Петербург, 灯塔 अगला 🚢\r\n"
    "\n<x>def f(a_b):\n\treturn 3.14159  # twice\n"
)
ODD = " \n\t\r'sStTlLdD019aZ.,;-_/é́中अि🚢\u2003\xa0\u200b"


def learned(count):
    """Return merges as training on the prose would find them, byte for byte."""
    words = [
        [BYTE_LETTERS[byte] for byte in word.encode()]
        for word in regex.findall(r" ?\p{L}+| ?\p{N}+|\s+| ?[^\s\p{L}\p{N}]+", PROSE * 3)
    ]
    merges = []
    for _ in range(count):
        pairs = Counter(pair for word in words for pair in pairwise(word))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(" ".join(best))
        for word in words:
            at = 0
            while at < len(word) - 1:
                if (word[at], word[at + 1]) == best:
                    word[at : at + 2] = ["".join(best)]
                at += 1
    return merges


def texts():
    """Return prose, pieces of it, and characters thrown together."""
    random.seed(7)
    cuts = [sorted(random.sample(range(len(PROSE)), 2)) for _ in range(60)]
    fuzz = ["".join(random.choices(ODD, k=random.randint(1, 30))) for _ in range(120)]
    return [PROSE, "", " " * 90, "ab" * 60, *(PROSE[a:b] for a, b in cuts), *fuzz]


def test_counts_are_those_of_llama_cpp(tmp_path):
    merges = learned(120)
    ways = ("smollm", "gpt-2", "llama-bpe", "qwen2", "qwen35", "gpt-4o", "tekken", "glm4")
    paths = [
        byte_level(
            tmp_path / f"{way}.gguf", merges, pre=way, extra=("another boat", "<x>"), runs=True
        )
        for way in ways
    ]
    pieces = ["▁the", "▁", *"ethaorniskb", "▁b", "he", "th", "an", "▁an", "in", "er", "▁▁", "▁▁▁"]
    for prefix in (True, False):
        path = tmp_path / f"pieces-{prefix}.gguf"
        paths.append(sentence_piece(path, pieces, prefix=prefix, runs=True))
    (tmp_path / "texts.json").write_text(json.dumps(texts()))
    done = subprocess.run(
        [sys.executable, "-c", ASK, *map(str, paths)],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    own = [count for path in paths for count in get_counter(str(path)).count_batch(texts())]
    assert own == json.loads((tmp_path / "counts.json").read_text())
