"""tiktoken where toktok has nothing, and the estimate where tiktoken has no network."""

from __future__ import annotations

import pytest
import tiktoken
import tiktoken.load

from octavo.tokens.estimate import Estimate
from octavo.tokens.tiktoken import Tiktoken


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Give tiktoken an empty cache and no network."""

    def refuse(address):
        raise ConnectionError(address)

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tiktoken.load, "read_file", refuse)


@pytest.fixture
def online(monkeypatch):
    """Let tiktoken have a small vocabulary: all bytes, and one pair."""
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256}
    small = tiktoken.Encoding(
        "p50k_base", pat_str=r"\S+|\s+", mergeable_ranks=ranks, special_tokens={"<|end|>": 257}
    )
    monkeypatch.setattr(tiktoken, "get_encoding", {"p50k_base": small}.__getitem__)


def test_it_counts_by_the_vocabulary(online):
    notices = []
    counter = Tiktoken("p50k_base", notices.append)
    assert notices == []
    assert counter.count_batch(["ab ab", "<|end|>", "", "\ud800"]) == [3, 7, 0, 3]
    assert (counter.name, counter.exact) == ("p50k_base", True)
    assert len(notices) == 1
    assert "fetches" in notices[0]


def test_without_a_network_the_estimate_counts_and_says_so(offline):
    notices = []
    counter = Tiktoken("r50k_base", notices.append)
    assert (counter.name, counter.exact) == (Estimate.name, False)
    assert counter.count("hello world") == Estimate().count("hello world")
    assert [notice for notice in notices if "ConnectionError" in notice and "estimate" in notice]
    assert len(notices) == 2
