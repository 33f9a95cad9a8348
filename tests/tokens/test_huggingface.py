"""Counting by a tokenizer.json file."""

from __future__ import annotations

import json

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, processors

from octavo.errors import UsageError
from octavo.tokens.choose import get_counter


@pytest.fixture
def file(tmp_path):
    """A small tokenizer as models ship them: with special tokens, truncation and padding on."""
    vocabulary = {"<unk>": 0, "<s>": 1, "h": 2, "e": 3, "y": 4, "he": 5, "hey": 6}
    small = tokenizers.Tokenizer(
        models.BPE(vocabulary, [("h", "e"), ("he", "y")], unk_token="<unk>")
    )
    small.pre_tokenizer = pre_tokenizers.Whitespace()
    small.add_special_tokens(["<s>"])
    small.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    small.enable_truncation(3)
    small.enable_padding(length=9)
    path = tmp_path / "tokenizer.json"
    small.save(str(path))
    return path


def test_it_counts_the_text_alone(file):
    counting = get_counter(str(file))
    assert counting.count_batch(["hey hey hey hey hey", "eh", ""]) == [5, 2, 0]
    assert counting.count("<s>") == 3
    assert counting.count("h\ud800") == 2
    assert counting.exact


def test_its_name_is_of_the_content(file, tmp_path):
    copy = tmp_path / "other.json"
    copy.write_bytes(file.read_bytes())
    assert get_counter(str(copy)).name == get_counter(str(file)).name
    assert get_counter(str(file)).name.startswith("file:")
    copy.write_text(json.dumps(json.loads(file.read_text()) | {"version": "2.0"}))
    assert get_counter(str(copy)).name != get_counter(str(file)).name


def test_a_file_that_is_none_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        get_counter(str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(UsageError, match="holds no tokenizer"):
        get_counter(str(tmp_path / "bad.json")).count("x")


def test_without_the_library_the_error_says_what_to_install(file, monkeypatch):
    monkeypatch.setattr("octavo.tokens.huggingface.find_spec", lambda _: None)
    with pytest.raises(UsageError) as caught:
        get_counter(str(file))
    assert caught.value.hint == "pip install 'octavo[tokenizers]'"
