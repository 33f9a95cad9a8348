"""The ideal reuse is what the longest common beginnings of the prompts add up to."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.engine.journal.prefix_reuse import measure_reuse
from octavo.engine.journal.prompts import pack
from octavo.engine.journal.store import Journal
from octavo.protocols import Message, Reply, Usage
from octavo.text.quote import Quote, QuoteOrigin, to_row_id
from octavo.tokens.estimate import Estimate

BOOK = "".join(f"Sentence number {number} of the book. " for number in range(400))


def journal_of(prompts, *, cached=0, attempts=1, source="a.txt"):
    """Return a journal with a run whose prompts have a token a character."""
    journal = Journal(None)
    journal.keep_text(1, BOOK)

    async def keep():
        journal.execute(
            "INSERT INTO runs (id, generation, started, status, pipeline, model, command)"
            " VALUES (1, 0, 0, 'complete', 'p', 'm', '[]')"
        )
        journal.execute(
            "INSERT INTO sites (id, run, source, step, prompt, model)"
            " VALUES (1, 1, ?, 's', '', '')",
            (source,),
        )
        for number, (text, quotes) in enumerate(prompts):
            key = hashlib.sha256(f"{number}{text}".encode()).digest()
            size = len("system") + len("user") + len("Be brief.") + len(text)
            reply = Reply("ok", usage=Usage(prompt=size, completion=1, cached=cached))
            messages = (Message("system", "Be brief."), Message("user", text))
            await journal.keep(key, pack(messages, quotes), reply)
            journal.execute(
                "INSERT INTO ledger VALUES (1, ?, ?, 'ok', ?)",
                (str(number), to_row_id(key), attempts),
            )

    asyncio.run(keep())
    return journal


def quoted(start, end):
    return Quote(BOOK[start:end], QuoteOrigin("text", 1, start))


def ideal(texts):
    """Return the same sum by brute force, over the whole texts."""
    total, seen = 0, []
    for text in (f"systemBe brief.user{text}" for text in texts):
        total += max((common(text, other) for other in seen), default=0)
        seen.append(text)
    return total


def common(one, other):
    size = min(len(one), len(other))
    return next((at for at in range(size) if one[at] != other[at]), size)


def test_growing_prompts_share_all_but_what_is_new():
    ends = range(600, 6000, 600)
    texts = [f"Read:\n{BOOK[:end]}\nWhat is it about?" for end in ends]
    journal = journal_of([(text, [quoted(0, end)]) for text, end in zip(texts, ends, strict=True)])
    found = measure_reuse(journal, 1)
    assert found.ideal == pytest.approx(ideal(texts), rel=0.01)
    assert found.ideal_rate > 0.7


def test_a_log_that_grows_is_shared_though_it_is_stored_anew():
    logs = ["\n".join(f"line {line} of the log" for line in range(count)) for count in (20, 40, 60)]
    texts = [f"{log}\n\n{BOOK[place * 500 : place * 500 + 400]}" for place, log in enumerate(logs)]
    found = measure_reuse(journal_of([(text, []) for text in texts]), 1)
    assert found.ideal == pytest.approx(ideal(texts), rel=0.01)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from(["One", "Two"]), st.integers(0, 5), st.integers(1, 5)),
        min_size=1,
        max_size=8,
        unique=True,
    )
)
def test_the_ideal_is_that_of_the_whole_texts(parts):
    prompts = []
    for task, start, length in parts:
        piece = quoted(start * 300, (start + length) * 300)
        prompts.append((f"{task}:\n<text>\n{piece}\n</text>\nEnd.", [piece]))
    found = measure_reuse(journal_of(prompts), 1)
    whole = ideal([text for text, _ in prompts])
    assert whole - 40 * len(parts) <= found.ideal <= whole


def test_what_the_server_had_is_told_beside_it_and_other_sources_are_left_out():
    journal = journal_of([("One", []), ("One", []), ("Two", [])], cached=5)
    found = measure_reuse(journal, 1)
    assert (found.prompt, found.cached) == (66, 15)
    assert found.rate == pytest.approx(15 / 66)
    assert measure_reuse(journal, 1, "a.txt") == found
    assert measure_reuse(journal, 1, "b.txt") is None


def test_nothing_is_told_of_servers_that_do_not_say_and_of_calls_that_were_not_sent():
    assert measure_reuse(journal_of([("One", [])], cached=None), 1) is None
    assert measure_reuse(journal_of([("One", [])], attempts=0), 1) is None


class Sparse:
    """A tokenizer that has a word for `rule`, and none for the letters of the document."""

    name, exact = "sparse", True

    def count(self, text):
        return len(text.replace("rule", "r"))

    def count_batch(self, texts):
        return [self.count(text) for text in texts]


def test_a_tokenizer_tells_instructions_from_a_document_of_other_words():
    rules = "rule" * 600
    journal = journal_of(
        [(f"{rules}\n{place}", [place]) for place in (quoted(0, 600), quoted(600, 1200))]
    )
    sizes = [Sparse().count(f"systemBe brief.user{rules}\n{quoted(0, 600)}")] * 2
    by_characters, by_tokens = (
        measure_reuse(journal, 1),
        measure_reuse(journal, 1, counter=Sparse()),
    )
    # The shares are of the tokens that the server told, here one a character.
    told = by_tokens.prompt / 2
    assert by_tokens.ideal == pytest.approx(told * (sizes[0] - 600) / sizes[0], rel=0.03)
    assert by_characters.ideal > 1.4 * by_tokens.ideal


def test_an_estimate_tells_no_more_than_characters():
    journal = journal_of([("One", []), ("One more", [])])
    assert measure_reuse(journal, 1, counter=Estimate()) == measure_reuse(journal, 1)


def test_a_run_that_was_killed_before_its_text_was_stored_has_no_reuse():
    class Exact(Estimate):
        exact = True

    piece = quoted(40, 400)
    journal = journal_of([(f"Read this: {piece}", (piece,))])
    assert measure_reuse(journal, 1, counter=Exact()) is not None
    journal.execute("DELETE FROM texts WHERE id = 1")
    assert measure_reuse(journal, 1, counter=Exact()) is None
