"""Choosing what to read: by words, by judgement, by sureness; the cut, and what is beside."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.kit import Kit, fenced

from octavo.errors import (
    BackendError,
    BudgetReached,
    FitError,
    Outcome,
    ReplyError,
    SpecErrors,
    UsageError,
)
from octavo.protocols import Finish, Reply, TokenLogprob
from octavo.steps.select.choice import Candidate, ChoiceLimits, choose_positions
from octavo.steps.select.scoring import estimate_entropy

SELECT = """
octavo: 1
params:
  question: {type: string, repeatable: %s}
steps:
  - split: {tokens: 45}
  - select: {query: question, %s}
  - map: {prompt: "Say it again.\\n{{ text | fence }}", tokens: 100}
"""
ASKED = "Where does the harpoon hang?"


def paragraphs(count):
    """Return a text whose paragraphs are a sentence, and a chunk, each."""
    said = "tells what Ahab and his crew did at noon, watching clouds and mending sails"
    return "\n\n".join(f"Paragraph {number} {said}." for number in range(count))


def kit_of(tmp_path, options, handler=lambda request: "Again.", repeatable="false", **more):
    return Kit(SELECT % (repeatable, options), handler, tmp_path, **more)


def text_with(*places, count=20):
    """Return paragraphs; those at `places` speak of the harpoon."""
    parts = paragraphs(count).split("\n\n")
    for place in places:
        parts[place] = parts[place][:-1] + ", and a harpoon above a mantel."
    return "\n\n".join(parts)


def numbers(texts):
    """Return the numbers of the paragraphs that texts hold."""
    return [int(part.split()[1]) for text in texts for part in text.split("\n\n")]


def read(kit):
    """Return the numbers of the paragraphs that the step after the choice was given."""
    asked = (request for request in kit.requests if _is_reading(request))
    return sorted(numbers(text for request in asked for text in fenced(request)))


def _is_reading(request):
    return request.messages[-1].content.startswith("Say it again.")


def only(kit, text, question=ASKED, **options):
    (result,) = kit.run(text, params={"question": question}, **options).results
    if result.error:
        raise result.error
    return result


# Words.


def test_the_parts_that_share_words_are_read_and_the_others_are_not(tmp_path):
    kit = kit_of(tmp_path, "by: bm25, keep: 2")
    result = only(kit, text_with(4, 15))
    assert read(kit) == [4, 15]
    assert len(kit.requests) == len(result.value.split("\n\n")) == 2


def test_what_nothing_speaks_for_is_taken_only_to_make_up_the_least(tmp_path):
    kit = kit_of(tmp_path, "keep: 5")
    only(kit, text_with(9))
    assert read(kit) == [9]
    kit = kit_of(tmp_path, "keep: 5, least: 3")
    only(kit, text_with(9), fresh=True)
    assert read(kit) == [0, 1, 9]
    kit = kit_of(tmp_path, "keep: 5, least: 0")
    kit.path.write_text(
        kit.path.read_text() + "  - reduce: {prompt: 'x {{ notes }}', collapse:"
        " 'y {{ notes }}', note_tokens: 9, empty: Nothing.}\n"
    )
    assert only(kit, text_with()).value == "Nothing."
    assert kit.requests == []


def test_neighbours_are_read_too_in_the_order_of_the_document(tmp_path):
    kit = kit_of(tmp_path, "keep: 2, neighbours: 1")
    only(kit, text_with(0, 10))
    assert read(kit) == [0, 1, 9, 10, 11]


def test_several_questions_are_looked_for_together(tmp_path):
    kit = kit_of(tmp_path, "keep: 4", repeatable="true")
    text = text_with(3).replace("Paragraph 12 ", "Paragraph 12 Queequeg ")
    only(kit, text, ("Where is the harpoon?", "Who is Queequeg?"))
    assert read(kit) == [3, 12]


def test_notes_may_be_chosen_and_those_filtered_out_are_neither_chosen_nor_beside(tmp_path):
    def handler(request):
        return "Again." if _is_reading(request) else fenced(request)[0]

    kit = kit_of(tmp_path, "keep: 3, neighbours: 1", handler)
    copied = """  - map: {prompt: "Copy.\\n{{ text | fence }}", tokens: 60}
  - filter: {where: "'Paragraph 4 ' not in text"}
  - select"""
    kit.path.write_text(kit.path.read_text().replace("  - select", copied))
    low, high = planned(kit, text_with(4, 5, count=12))["map-2"]
    only(kit, text_with(4, 5, count=12))
    assert read(kit) == [5, 6]
    assert low <= 2 <= high


# The cut.

PIECES = [
    Candidate(0, 1.0, 10),
    Candidate(1, 9.0, 10),
    Candidate(2, 8.0, 10),
    Candidate(3, 3.0, 10),
]


@pytest.mark.parametrize(
    ("limits", "places"),
    [
        (ChoiceLimits(), {0, 1, 2, 3}),
        (ChoiceLimits(keep=2), {1, 2}),
        (ChoiceLimits(drop=0.5), {1, 2}),
        (ChoiceLimits(drop=0.3), {0, 1, 2, 3}),
        (ChoiceLimits(drop=0.5, least=3), {1, 2, 3}),
        (ChoiceLimits(tokens=25), {1, 2}),
        (ChoiceLimits(keep=1, neighbours=1), {0, 1, 2}),
        (ChoiceLimits(keep=1, neighbours=9), {0, 1, 2, 3}),
        (ChoiceLimits(keep=1, neighbours=1, tokens=25), {0, 1}),
    ],
)
def test_the_best_are_taken_until_scores_fall_or_the_budget_is_spent(limits, places):
    assert choose_positions(PIECES, limits) == places


def test_of_equal_scores_the_earlier_place_comes_first():
    same = [Candidate(place, 1.0) for place in (3, 1, 2)]
    assert choose_positions(same, ChoiceLimits(keep=2)) == {1, 2}


@given(
    st.lists(st.tuples(st.floats(0, 9), st.integers(1, 9)), max_size=12),
    st.integers(1, 6),
    st.integers(0, 3),
    st.integers(0, 60),
    st.one_of(st.none(), st.floats(0.1, 1)),
    st.integers(0, 2),
)
def test_bounds_hold_whatever_the_scores(pieces, keep, least, tokens, drop, neighbours):
    candidates = [Candidate(place, *piece) for place, piece in enumerate(pieces)]
    least = min(least, keep)
    places = choose_positions(candidates, ChoiceLimits(keep, least, drop, tokens, neighbours))
    assert sum(pieces[place][1] for place in places) <= tokens
    assert len(places) <= keep * (2 * neighbours + 1)
    assert (
        choose_positions(candidates[::-1], ChoiceLimits(keep, least, drop, tokens, neighbours))
        == places
    )
    core = choose_positions(candidates, ChoiceLimits(keep, least, drop, tokens))
    assert core <= places
    assert core <= choose_positions(candidates, ChoiceLimits(keep, least, drop, tokens + 5))
    if tokens >= 9 * least:
        assert len(core) >= min(least, len(pieces))


def test_a_budget_that_the_fewest_may_exceed_is_refused_before_anything_is_sent(tmp_path):
    kit = kit_of(tmp_path, "least: 2, tokens: 60")
    with pytest.raises(FitError, match="2 pieces of up to") as caught:
        only(kit, text_with(4))
    assert "split to at most 30 tokens" in caught.value.hint
    assert kit.requests == []


# By the model's judgement.

RELEVANCE = "by: relevance, prompt: select/score, schema: select/score, keep: 3, drop: 0.5"


def judging(first, second=None):
    """Return a handler that scores the paragraph of each request by these, 0 where not named."""

    def handler(request):
        if _is_reading(request):
            return "Again."
        texts = fenced(request)
        scores = second if len(texts) > 1 else first
        return {"reason": "It says so.", "score": scores.get(numbers(texts[:1])[0], 0)}

    return handler


def test_the_parts_that_the_model_scores_highest_are_read(tmp_path):
    kit = kit_of(tmp_path, RELEVANCE, judging({2: 9, 7: 8, 11: 3}))
    only(kit, paragraphs(14))
    assert read(kit) == [2, 7]
    assert len(kit.requests) == 14 + 2
    assert all(ASKED in request.messages[0].content for request in kit.requests[:14])


def test_a_second_look_changes_the_score_and_there_is_no_third(tmp_path):
    handler = judging({2: 10, 7: 4}, {2: 2, 7: 8, 9: 10})
    kit = kit_of(tmp_path, RELEVANCE + ", reflect: select/reflect, least: 0", handler)
    only(kit, paragraphs(14))
    # 2 has (10 + 2) / 2, 7 (4 + 8) / 2, 9 (0 + 10) / 2.
    assert read(kit) == [2, 7, 9]
    assert len(kit.requests) == 2 * 14 + 3
    looks = [request for request in kit.requests if len(fenced(request)) > 1]
    assert all('"score": ' in fenced(request)[1] for request in looks)


def test_no_judgement_that_failed_is_read_as_a_score_or_stands_in_a_prompt(tmp_path):
    def handler(request):
        if not _is_reading(request) and 5 in numbers(fenced(request)):
            return "I think this part is a 10."
        return judging({5: 0, 6: 4})(request)

    kit = kit_of(tmp_path, RELEVANCE + ", neighbours: 1, on_error: skip", handler)
    result = only(kit, paragraphs(14))
    assert read(kit) == [6, 7]
    assert result.totals.outcomes[Outcome.SKIPPED] == 1
    assert result.coverage < 1
    reading = [request for request in kit.requests if _is_reading(request)]
    assert not any("I think" in message.content for r in reading for message in r.messages)
    kit = kit_of(tmp_path, RELEVANCE, handler)
    (result,) = kit.run(paragraphs(14), params={"question": ASKED}).results
    assert result.error is not None


def test_a_schema_without_a_score_is_refused(tmp_path):
    (tmp_path / "bare.json").write_text('{"type": "object", "properties": {"score": {}}}')
    kit = kit_of(tmp_path, RELEVANCE.replace("schema: select/score", "schema: bare"))
    with pytest.raises(UsageError, match="no number `score`"):
        only(kit, paragraphs(4))
    assert kit.requests == []


def test_a_score_that_nothing_sorts_is_a_failed_call(tmp_path):
    (tmp_path / "loose.json").write_text(
        '{"type": "object", "properties": {"score": {"type": "number"}}, "required": ["score"]}'
    )

    def handler(request):
        if _is_reading(request):
            return "Again."
        return {2: '{"score": NaN}', 3: '{"score": 1}'}.get(
            numbers(fenced(request))[0], '{"score": -1}'
        )

    options = RELEVANCE.replace("schema: select/score", "schema: loose") + ", on_error: skip"
    kit = kit_of(tmp_path, options, handler)
    result = only(kit, paragraphs(8))
    assert read(kit) == [3]
    assert result.totals.outcomes[Outcome.SKIPPED] == 1


# By meaning.


def test_the_parts_nearest_to_the_question_are_read(tmp_path):
    kit = kit_of(tmp_path, "by: embeddings, keep: 2")
    result = only(kit, text_with(4, 15))
    assert read(kit) == [4, 15]
    (embedded,) = kit.backend.embedded
    assert embedded[0] == ASKED
    assert len(embedded) == 21
    assert result.totals.calls == 1 + 2


def test_texts_are_embedded_once_and_the_plan_of_a_kept_document_is_exact(tmp_path):
    kit = kit_of(tmp_path, "by: embeddings, keep: 3")
    text = text_with(4, 9, 15)
    assert planned(kit, text) == {"split": (0, 0), "select": (1, 1), "map": (1, 3)}
    only(kit, text)
    (plan,) = [
        step for step in kit.plan(text, params={"question": ASKED}).steps if step.calls_low == 1
    ]
    assert plan.step == "select"
    assert plan.cached == 1
    assert planned(kit, text)["map"] == (3, 3)
    result = only(kit, text)
    assert kit.backend.embedded == []
    assert result.totals.sent == 0


def test_what_is_embedded_counts_for_the_budget(tmp_path):
    text = text_with(4, count=70)
    kit = kit_of(tmp_path, "by: embeddings, keep: 1")
    with pytest.raises(BudgetReached, match="--max-calls 1 is reached; so far 1 call sent"):
        only(kit, text, max_calls=1, jobs=1)
    assert len(kit.backend.embedded) == 1
    with pytest.raises(BudgetReached, match="max-tokens"):
        only(kit, text, max_tokens=20)
    assert kit.backend.embedded == []
    result = only(kit, text, max_calls=2)
    assert len(kit.backend.embedded[0]) == 71 - 64
    assert result.totals.sent == 2


def test_a_model_without_embeddings_is_refused_by_the_plan_and_before_a_call(tmp_path):
    kit = kit_of(tmp_path, "by: embeddings", embeddings=False)
    for attempt in (lambda: planned(kit, paragraphs(4)), lambda: only(kit, paragraphs(4))):
        with pytest.raises(UsageError, match="needs embeddings"):
            attempt()
    assert kit.requests == []


# By sureness.


def test_a_model_without_log_probabilities_is_refused_by_the_plan_and_before_a_call(tmp_path):
    kit = kit_of(tmp_path, ENTROPY, lambda _: sure(0.9), logprobs=False)
    for attempt in (lambda: planned(kit, paragraphs(4)), lambda: only(kit, paragraphs(4))):
        with pytest.raises(UsageError, match="log probabilities"):
            attempt()
    assert kit.requests == []


ENTROPY = "by: entropy, prompt: select/attempt, keep: 1"


def sure(share, text="The mantel.", lead=()):
    """Return a reply whose first token has this share, and its rival the rest."""
    top = (("The", math.log(share)), ("A", math.log(1 - share)))
    return Reply(text, logprobs=(*lead, TokenLogprob("The", math.log(share), top)))


def test_entropy_counts_what_the_alternatives_leave():
    assert estimate_entropy([0.0]) == 0
    assert estimate_entropy([math.log(0.5)] * 2) == pytest.approx(math.log(2))
    # Ten equal tokens of which five are named.
    assert estimate_entropy([math.log(0.1)] * 5) == pytest.approx(math.log(10))
    assert estimate_entropy([math.log(0.9), -math.inf]) == pytest.approx(
        -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    )
    assert estimate_entropy([]) == math.inf


def test_the_part_of_the_surest_first_token_is_read_and_abstentions_never_win(tmp_path):
    def handler(request):
        if _is_reading(request):
            return "Again."
        blank = TokenLogprob("\n", 0.0, (("\n", 0.0),))
        return {
            3: sure(0.8),
            6: sure(0.97, lead=(blank,)),
            8: sure(0.9999, "**NONE**. It is not here."),
        }.get(numbers(fenced(request))[0], sure(0.6, lead=(blank,)))

    kit = kit_of(tmp_path, ENTROPY, handler)
    only(kit, paragraphs(12))
    assert read(kit) == [6]
    asked = [request for request in kit.requests if not _is_reading(request)]
    assert len(asked) == 12
    assert {request.logprobs for request in asked} == {20}


def test_a_word_that_begins_like_the_abstention_is_an_answer(tmp_path):
    def handler(request):
        place = numbers(fenced(request))[0]
        said = {2: sure(0.99, "None of the ships."), 3: sure(0.98, "NONESUCH House.")}
        return "Again." if _is_reading(request) else said.get(place, sure(0.9, "NONE"))

    kit = kit_of(tmp_path, ENTROPY.replace("keep: 1", "keep: 5"), handler)
    only(kit, paragraphs(12))
    assert read(kit) == [2, 3]


def test_the_word_of_abstention_may_be_another(tmp_path):
    def handler(request):
        place = numbers(fenced(request))[0]
        said = {2: sure(0.9, "NONE but the brave."), 3: sure(0.99, "PASS.")}
        return "Again." if _is_reading(request) else said.get(place, sure(0.95, "PASS"))

    kit = kit_of(tmp_path, f"{ENTROPY}, abstain: PASS", handler)
    only(kit, paragraphs(6))
    assert read(kit) == [2]
    assert "or PASS:" in kit.requests[0].messages[-1].content


def test_a_backend_without_log_probabilities_is_an_error_that_says_so(tmp_path):
    kit = kit_of(tmp_path, ENTROPY, lambda request: "The mantel.")
    with pytest.raises(BackendError, match="log probabilities"):
        only(kit, paragraphs(6))


def test_a_cut_attempt_fails_or_is_left_out_and_is_never_read_as_an_abstention(tmp_path):
    def handler(request):
        if _is_reading(request):
            return "Again."
        first = numbers(fenced(request))[0] == 0
        return Reply("The mantel and", finish=Finish.LENGTH) if first else sure(0.9)

    kit = kit_of(tmp_path, ENTROPY + ", on_error: skip", handler)
    result = only(kit, paragraphs(6))
    assert read(kit) == [1]
    assert result.totals.outcomes[Outcome.SKIPPED] == 1


# By what comes of it.

JUDGED = "keep: 6, drop: 0.8, judge: select/judge"


def judged(*verdicts, scores=()):
    """Find the choice, by how many pieces it has, what these verdicts say of each in turn."""
    seen = []

    def handler(request):
        if _is_reading(request):
            return "Again."
        seen.append(len(numbers(fenced(request))))
        turn = len(seen) - 1
        score = scores[turn] if turn < len(scores) else 5
        verdict = verdicts[min(turn, len(verdicts) - 1)]
        return {"answer": "Above the mantel.", "score": score, "parts": verdict}

    return handler, seen


def harpoons():
    """Return a text in which paragraph 9 speaks most of the harpoon, then 4, then 15, then 2."""
    parts = paragraphs(20).split("\n\n")
    for place, more in (
        (9, "harpoon hang where does the harpoon"),
        (4, "harpoon where the"),
        (15, "harpoon where"),
        (2, "harpoon"),
    ):
        parts[place] = f"{parts[place][:-1]}, {more}."
    return "\n\n".join(parts)


@pytest.mark.parametrize(
    ("verdicts", "scores", "seen", "taken"),
    [
        (["enough"], (), [1], [9]),
        (["too few", "too few", "enough"], (), [1, 2, 3], [4, 9, 15]),
        # Two are too few and three too many: the answer that scored best decides.
        (["too few", "too few", "too many"], (3, 8, 6), [1, 2, 3], [4, 9]),
        (["too few"], (1, 2, 9, 4), [1, 2, 3, 4], [4, 9, 15]),
        (["too many"], (), [1], [9]),
    ],
)
def test_a_choice_grows_and_shrinks_by_what_is_said_of_the_answer(
    tmp_path, verdicts, scores, seen, taken
):
    handler, had = judged(*verdicts, scores=scores)
    kit = kit_of(tmp_path, JUDGED + ", rounds: 4", handler)
    only(kit, harpoons())
    assert had == seen
    assert read(kit) == taken
    judgements = [request for request in kit.requests if not _is_reading(request)]
    assert all(ASKED in request.messages[0].content for request in judgements)


def test_too_many_pieces_become_fewer(tmp_path):
    handler, had = judged("too many", "too many", "enough")
    kit = kit_of(tmp_path, "keep: 6, least: 4, judge: select/judge", handler)
    only(kit, harpoons())
    assert had == [4, 3, 2]
    assert read(kit) == [4, 9]


def test_a_judgement_that_failed_leaves_the_choice_or_ends_the_document(tmp_path):
    def handler(request):
        return "Again." if _is_reading(request) else "I think it is enough."

    kit = kit_of(tmp_path, JUDGED + ", on_error: skip", handler)
    assert only(kit, harpoons()).coverage == 1
    assert read(kit) == [9]
    assert not any(
        "I think" in m.content for r in kit.requests if _is_reading(r) for m in r.messages
    )
    kit = kit_of(tmp_path, JUDGED, handler)
    with pytest.raises(ReplyError):
        only(kit, harpoons())


def test_no_more_is_taken_than_the_budget_holds_whatever_is_said(tmp_path):
    handler, had = judged("too few")
    kit = kit_of(tmp_path, JUDGED + ", tokens: 100, rounds: 6", handler)
    only(kit, harpoons())
    assert len(read(kit)) == 2
    assert had == [1, 2]


def test_a_choice_that_is_not_to_be_judged_costs_no_call(tmp_path):
    kit = kit_of(tmp_path, JUDGED + ", rounds: 0")
    only(kit, harpoons())
    assert len(kit.requests) == 1


@pytest.mark.parametrize("rounds", ["-1", "21", "half"])
def test_rounds_that_cannot_be_are_refused(tmp_path, rounds):
    kit = kit_of(tmp_path, JUDGED + f', rounds: "{rounds}"')
    with pytest.raises((UsageError, SpecErrors)):
        only(kit, harpoons())


@pytest.mark.parametrize("verdict", ["enough", "too few", "too many"])
@pytest.mark.parametrize("by", ["by: bm25", RELEVANCE.replace("keep: 3, ", "")])
def test_a_judged_run_lies_within_its_plan(tmp_path, verdict, by):
    judges, _ = judged(verdict)

    def handler(request):
        if "score from 0 to 10: 0 if nothing" in request.messages[0].content:
            return {"reason": "So.", "score": numbers(fenced(request))[0] % 5}
        return judges(request)

    kit = kit_of(tmp_path, by + ", keep: 5, judge: select/judge, rounds: 3", handler)
    plan = kit.plan(harpoons(), params={"question": ASKED})
    steps = {step.step: (step.calls_low, step.calls_high) for step in plan.steps}
    result = only(kit, harpoons())
    reading = sum(map(_is_reading, kit.requests))
    assert steps["map"][0] <= reading <= steps["map"][1]
    assert steps["select"][0] <= len(kit.requests) - reading <= steps["select"][1]
    assert result.totals.calls == len(kit.requests)


def test_judged_choices_that_cannot_fit_are_refused(tmp_path):
    handler, _ = judged("enough")
    kit = kit_of(tmp_path, JUDGED + ", neighbours: 2", handler, window=1000)
    with pytest.raises(FitError, match="select/judge") as refused:
        only(kit, harpoons())
    assert "set `tokens: " in refused.value.hint
    assert kit.requests == []


# Left to the user.


@pytest.mark.parametrize("by", ["bm25", "embeddings", "relevance", "entropy"])
def test_the_pipeline_looks_up_by_what_the_user_says(tmp_path, by):
    def handler(request):
        said = " ".join(message.content for message in request.messages)
        here = any("harpoon above" in text for text in fenced(request))
        if "too few" in said:
            return {"answer": "It hangs there.", "score": 9, "parts": "enough"}
        if "score from 0 to 10" in said:
            return {"reason": "So.", "score": 10 if here else 0}
        if "reply NONE" in said:
            return sure(0.9) if here else sure(0.9, "NONE")
        return "Above the mantel." if here else "The text does not say."

    kit = Kit("", handler, tmp_path, window=16_000)
    kit.path = "lookup"
    params = {"question": "Is a harpoon above a mantel?", "by": by, "rounds": 2}
    text = text_with(*range(48, 64), count=80)
    plan = kit.plan(text, params=params)
    (result,) = kit.run(text, params=params).results
    assert result.value == "Above the mantel."
    assert plan.calls[0] <= result.totals.calls <= plan.calls[1]
    parts = len({fenced(request)[0] for request in kit.requests})
    per_part = {"relevance": 2, "entropy": 1}.get(by, 0)
    assert len(kit.requests) == (parts * per_part if per_part else 0) + 2


def test_a_method_left_open_needs_all_that_any_may_need(tmp_path):
    with pytest.raises(SpecErrors, match="needs `prompt`, `attempt` and `schema`"):
        only(kit_of(tmp_path, "by: given"), harpoons())
    every = "by: given, prompt: select/score, attempt: select/attempt, schema: select/score"
    with pytest.raises(UsageError, match="parameter `by`"):
        only(kit_of(tmp_path, every), harpoons())
    with pytest.raises(SpecErrors, match="takes no `attempt`"):
        only(kit_of(tmp_path, "attempt: select/attempt"), harpoons())


# What cannot be.


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("by: relevance, schema: select/score", "needs a `prompt`"),
        ("by: relevance, prompt: select/score", "needs a `schema`"),
        ("by: bm25, prompt: select/score", "takes no `prompt`"),
        ("by: entropy, prompt: select/attempt, schema: select/score", "takes no `schema`"),
        ("by: entropy, prompt: select/attempt, reflect: select/reflect", "takes no `reflect`"),
        ("keep: 2, least: 3", "is more than"),
        ("drop: 0", "0"),
        ("by: relevance, prompt: select/attmpt, schema: select/score", "no prompt"),
    ],
)
def test_what_cannot_be_is_refused_when_the_pipeline_is_read(tmp_path, options, said):
    kit = kit_of(tmp_path, options)
    with pytest.raises(SpecErrors) as caught:
        kit.run("A text.", params={"question": ASKED})
    assert said in str(caught.value)


def test_a_query_of_no_parameters_or_no_words_is_refused(tmp_path):
    kit = kit_of(tmp_path, "keep: 2")
    with pytest.raises(UsageError, match="nothing to look for"):
        only(kit, paragraphs(4), "?!")
    kit.path.write_text(kit.path.read_text().replace("query: question", "query: text"))
    with pytest.raises(UsageError, match="which is no parameter"):
        only(kit, paragraphs(4))
    assert kit.requests == []


# Plans.


def planned(kit, text):
    plan = kit.plan(text, params={"question": ASKED})
    return {step.step: (step.calls_low, step.calls_high) for step in plan.steps}


def test_a_plan_of_words_is_exact(tmp_path):
    kit = kit_of(tmp_path, "keep: 4, drop: 0.5, neighbours: 1")
    text = text_with(4, 15)
    assert planned(kit, text)["map"] == (6, 6)
    only(kit, text)
    assert len(kit.requests) == 6


@pytest.mark.parametrize(
    ("options", "handler", "calls"),
    [
        (RELEVANCE, judging({2: 9, 7: 8}), 14),
        (
            RELEVANCE + ", reflect: select/reflect, neighbours: 1, tokens: 400",
            judging({2: 9, 7: 8}, {2: 9, 7: 8}),
            28,
        ),
        (ENTROPY, lambda request: "Again." if _is_reading(request) else sure(0.9), 14),
    ],
)
def test_a_run_lies_within_its_plan(tmp_path, options, handler, calls):
    kit = kit_of(tmp_path, options, handler)
    text = paragraphs(14)
    steps = planned(kit, text)
    only(kit, text)
    reading = sum(map(_is_reading, kit.requests))
    assert steps["select"] == (calls, calls) == (len(kit.requests) - reading,) * 2
    low, high = steps["map"]
    assert 1 <= low <= reading <= high <= 9


def test_a_plan_reads_no_more_than_the_budget_holds(tmp_path):
    options = RELEVANCE.replace("keep: 3, drop: 0.5", "tokens: 100")
    kit = kit_of(tmp_path, options, judging(dict.fromkeys(range(14), 5)))
    low, high = planned(kit, paragraphs(14))["map"]
    only(kit, paragraphs(14))
    assert low <= sum(map(_is_reading, kit.requests)) <= high < 6


def test_what_does_not_fit_is_refused_before_anything_is_sent(tmp_path):
    kit = kit_of(tmp_path, RELEVANCE, judging({}), window=300)
    with pytest.raises(FitError):
        only(kit, paragraphs(14))
    assert kit.requests == []


def test_the_pipeline_answers_from_few_parts_and_can_be_planned(tmp_path):
    def handler(request):
        found = any("harpoon above" in text for text in fenced(request))
        return "Above the mantel." if found else "The text does not say."

    kit = Kit("", handler, tmp_path, window=16_000)
    kit.path = "lookup"
    text = text_with(277, count=400)
    plan = kit.plan(text, params={"question": ASKED})
    result = only(kit, text)
    assert result.value == "Above the mantel."
    assert len(kit.requests) == 1
    assert [(step.calls_low, step.calls_high) for step in plan.steps if step.calls_high] == [(1, 1)]
    assert sum(map(len, fenced(kit.requests[0]))) < len(text) / 3
