"""A document's text is in the journal with the first reply to a prompt that quotes it."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.kit import Kit, fenced, paragraphs

from octavo.engine.journal.database import find_journal_path
from octavo.engine.journal.store import Journal
from octavo.errors import BackendError

MAP = """
octavo: 1
steps:
  - split: {tokens: 200}
  - map: {prompt: "Part: {{ text | fence }}", tokens: 20}
  - merge: {prompt: "All: {% for note in notes %}{{ note }}{% endfor %}", tokens: 20}
"""
GATHERED = """
octavo: 1
steps:
  - split: {tokens: 200}
gather:
  - merge:
      prompt: "All: {% for note in notes %}{{ note | fence }}{% endfor %}"
      tokens: 20
"""


def stored():
    """Return how many texts are stored, and the prompts of all replies, as another would see."""
    with Journal(find_journal_path()) as journal:
        ((texts,),) = journal.query("SELECT count(*) FROM texts")
        calls = journal.query("SELECT id FROM calls")
        return texts, [journal.read_messages(call)[-1].content for (call,) in calls]


def test_what_was_asked_can_be_read_back_while_the_document_goes_on(tmp_path):
    seen = []

    async def reply(_):
        await asyncio.sleep(0)  # what was answered before is committed at the end of that turn
        seen.append(stored())
        return "Said."

    text = paragraphs(12)
    kit = Kit(MAP, reply, tmp_path)
    kit.run(text, jobs=1)
    assert seen[0] == (0, [])
    for count, (texts, prompts) in enumerate(seen[1:], 1):
        assert texts == 1
        assert len(prompts) == count
    parts = [prompt for prompt in seen[-1][1] if prompt.startswith("Part: ")]
    assert len(parts) > 3
    assert all(prompt.partition("\n")[2].rpartition("\n")[0] in text for prompt in parts)


def test_a_document_that_nobody_replied_about_leaves_no_text(tmp_path):
    def reply(_):
        raise BackendError("nobody is there")

    with pytest.raises(BackendError):
        Kit(MAP, reply, tmp_path).run(paragraphs(12))
    assert stored() == (0, [])


def test_what_is_answered_already_is_not_stored_again(tmp_path):
    kit = Kit(MAP, lambda _: "Said.", tmp_path)
    kit.run(paragraphs(12))
    with Journal(find_journal_path()) as journal:
        journal.execute("DELETE FROM texts")
    kit.run(paragraphs(12))
    assert kit.requests == []
    with Journal(find_journal_path()) as journal:
        assert journal.query("SELECT count(*) FROM texts") == [(0,)]


def test_pieces_of_documents_that_are_gathered_can_be_read_back(tmp_path):
    kit = Kit(GATHERED, lambda _: "Said.", tmp_path)
    kit.run(paragraphs(3), paragraphs(9))
    asked = [text for request in kit.requests for text in fenced(request)]
    _, prompts = stored()
    assert len(prompts) == len(kit.requests)
    assert all(any(text in prompt for prompt in prompts) for text in asked)
