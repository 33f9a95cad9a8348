"""What stands beside a chunk: asked for in the split step, seen by the prompts of a map."""

from __future__ import annotations

import pytest
from tests.support.kit import Kit, fenced

import octavo
from octavo.errors import FitError

PIPELINE = """
octavo: 1
steps:
  - split: {tokens: 60, context: {OPTIONS}}
  - map: {prompt: {user: "PROMPT"}, tokens: 50}
"""


def kit(tmp_path, options, prompt, **settings):
    text = PIPELINE.replace("OPTIONS", options).replace("PROMPT", prompt)
    return Kit(text, lambda request: "noted", tmp_path, **settings)


def words(count):
    return " ".join(f"word{n}" for n in range(count))


TEXT = "\n\n".join(f"Paragraph {n} begins. {words(12)} and it ends." for n in range(12))


def prompts(run):
    return sorted(request.messages[-1].content for request in run.requests)


def test_neighbours_are_shown_and_are_no_part_of_the_chunk(tmp_path):
    around = "{{ context.before }}[{{ text }}]{{ context.after }}"
    run = kit(tmp_path, "before: 12, after: 12", around)
    run.run(TEXT)
    chunks = [prompt.partition("[")[2].rpartition("]")[0] for prompt in prompts(run)]
    assert "".join(sorted(chunks, key=TEXT.index)) == TEXT
    for prompt in prompts(run):
        before, _, rest = prompt.partition("[")
        text, _, after = rest.rpartition("]")
        at = TEXT.index(text)
        assert TEXT[:at].rstrip().endswith(before)
        assert TEXT[at + len(text) :].lstrip().startswith(after)
        assert bool(before) == (at > 0)
        assert bool(after) == (at + len(text) < len(TEXT))


def test_overlap_is_whole_sentences(tmp_path):
    run = kit(tmp_path, "overlap: 70", "{{ context.overlap }}[{{ text }}")
    run.run(TEXT)
    overlaps = {prompt.partition("[")[0] for prompt in prompts(run)}
    assert len(overlaps) > 3
    assert all(each.endswith("ends.") for each in overlaps if each)
    assert all(each.startswith((words(1), "Paragraph")) for each in overlaps if each)


def test_title_metadata_and_headings_are_told_by_name(tmp_path):
    document = octavo.Document(
        f"# Book\n\n## First\n\n{TEXT}",
        "b.md",
        (
            octavo.Heading(1, "Book", octavo.Span(0, 6)),
            octavo.Heading(2, "First", octavo.Span(8, 16)),
        ),
        {"author": "Ann", "year": "1851"},
    )
    shown = "{% for name, each in context.items() if each %}{{ name }}={{ each }};{% endfor %}"
    run = kit(tmp_path, "title: true, headings: true, metadata: [author, none]", shown)
    octavo.run(run.path, document, model=run.backend)
    assert prompts(run)[0] == "title=Book;metadata=author: Ann;headings=Book > First;"


def test_keys_change_only_where_the_context_is_used(tmp_path):
    kit(tmp_path, "before: 12", "{{ text }}").run(TEXT)
    plain = kit(tmp_path, "after: 30, title: true", "{{ text }}")
    plain.run(TEXT)
    assert plain.requests == []
    used = kit(tmp_path, "before: 12", "{{ text }}{{ context.before }}")
    used.run(TEXT)
    assert used.requests


def test_an_edit_far_away_changes_no_context(tmp_path):
    kit(tmp_path, "before: 12, after: 12", "{{ context.before }}[{{ text }}").run(TEXT)
    again = kit(tmp_path, "before: 12, after: 12", "{{ context.before }}[{{ text }}")
    again.run(TEXT + "\n\nOne paragraph more.")
    assert len(again.requests) <= 3


def test_context_that_does_not_fit_is_said_before_any_call(tmp_path):
    run = kit(tmp_path, "before: 200", "{{ text }}{{ context.before }}", window=160)
    with pytest.raises(FitError, match="tokens of text do not fit"):
        run.plan(TEXT)


def test_the_header_of_a_table_is_context_without_being_asked_for(tmp_path):
    text = PIPELINE.replace("context: {OPTIONS}", "by: rows, rows: 1")
    run = Kit(
        text.replace("PROMPT", "{{ context.header }}: {{ text }}"),
        lambda request: "noted",
        tmp_path,
    )
    octavo.run(run.path, octavo.Document("a,b\n1,2\n3,4\n", "t.csv"), model=run.backend)
    assert prompts(run) == [": a,b\n1,2", "a,b: 3,4"]


def test_the_prompt_for_any_instruction_shows_what_was_asked_for(tmp_path):
    text = """
octavo: 1
params: {prompt: {type: string}}
steps:
  - split: {tokens: 60, context: {before: 12}}
  - map: {prompt: "builtin:map/each", tokens: 50}
"""
    run = Kit(text, lambda request: "noted", tmp_path)
    run.run(TEXT, params={"prompt": "List."})
    assert sorted({len(fenced(request)) for request in run.requests}) == [1, 2]
