"""Names stand for tokenizers, and none is loaded before it counts."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tiktoken.model

from octavo.errors import UsageError
from octavo.tokens.choose import ESTIMATE, find_tokenizer, get_counter


@pytest.mark.parametrize("model", sorted(tiktoken.model.MODEL_TO_ENCODING))
def test_models_have_the_encoding_that_tiktoken_names(model):
    assert find_tokenizer(model) == tiktoken.model.encoding_name_for_model(model)


@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-4-0613", "gpt-oss-120b", "o3-mini-2025"])
def test_versions_of_models_too(model):
    assert find_tokenizer(model) == tiktoken.model.encoding_name_for_model(model)
    assert find_tokenizer(f"openai/{model}") == find_tokenizer(model)


@pytest.mark.parametrize("model", ["Qwen/Qwen3-8B", "llama3", "", "my-gpt-4"])
def test_unknown_models_are_estimated(model):
    assert find_tokenizer(model) == ESTIMATE
    assert get_counter(find_tokenizer(model)).exact is False


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base", "o200k_harmony", "estimate-1"])
def test_a_counter_has_the_name_it_is_asked_for(name):
    assert get_counter(name).name == name


def test_a_model_may_stand_for_its_encoding():
    assert get_counter("gpt-4o").name == "o200k_base"


def test_an_unknown_name_is_an_error_that_lists_the_known():
    with pytest.raises(UsageError) as caught:
        get_counter("o20k")
    assert "o200k_base" in caught.value.hint


def test_nothing_is_imported_before_the_first_count():
    code = (
        "import sys\n"
        "from octavo.tokens.choose import get_counter, find_tokenizer\n"
        "counting = get_counter(find_tokenizer('gpt-5-mini')); counting.name, counting.exact\n"
        "print([n for n in ('toktok', 'tiktoken', 'tokenizers', 'regex') if n in sys.modules])\n"
        "counting.count('x')\n"
        "print([n for n in ('toktok', 'tiktoken', 'tokenizers', 'regex') if n in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['toktok']"]
