"""Votes: first to lead by k, in sample order, whatever arrives when."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.kit import Kit, fenced, paragraphs

import octavo
from octavo.backends.scripted.backend import ScriptedBackend
from octavo.commands._cli.main import run_command_line
from octavo.errors import FitError, Outcome, ReplyError, RequestError, SpecErrors, UsageError
from octavo.protocols import Capabilities, Finish, Reply
from octavo.steps.vote.ballot import (
    Ballot,
    compute_reliability,
    compute_required_lead,
    estimate_votes,
)

SCHEMA = {
    "type": "object",
    "properties": {"ship": {"type": "string"}, "why": {"type": "string"}},
    "required": ["ship"],
    "additionalProperties": False,
}
VOTE = """
octavo: 1
steps:
  - split: {tokens: 200}
  - vote: {prompt: "Which ship?\\n{{ text | fence }}", tokens: 50%s}
"""
RECORD = ", schema: ship, key: ship"


def kit_of(tmp_path, options, handler):
    (tmp_path / "ship.json").write_text(json.dumps(SCHEMA))
    return Kit(VOTE % options, handler, tmp_path)


def voting(*votes):
    """Return a handler that answers sample n by the nth vote; the last one goes on."""
    return lambda request: votes[min(request.sample, len(votes) - 1)]


def ship(name, **more):
    return {"ship": name, **more}


def only(kit, text="The Pequod sails.", **options):
    (result,) = kit.run(text, **options).results
    return result


def test_the_first_to_lead_by_k_wins_and_no_sample_past_the_deciding_one_is_sent(tmp_path):
    votes = ["Pequod", "Rachel", "Pequod", "Pequod", "Pequod", "Rachel"]
    kit = kit_of(tmp_path, ", k: 3", voting(*votes))
    result = only(kit)
    assert result.value == {
        "value": "Pequod",
        "no_consensus": False,
        "tally": [{"value": "Pequod", "votes": 4}, {"value": "Rachel", "votes": 1}],
        "flagged": 0,
    }
    assert [request.sample for request in kit.requests] == [0, 1, 2, 3, 4]
    assert result.spans == ((0, 17),)


class Sampling(ScriptedBackend):
    """A backend that answers several samples by one request; `asked` has their numbers."""

    def __init__(self, handler):
        super().__init__(
            handler, identity="scripted:kit", known=Capabilities(samples=True, logprobs=True)
        )
        self.asked = []

    async def sample(self, requests, started):
        self.asked.append([request.sample for request in requests])
        return [await self.send(request, started) for request in requests]


def test_the_votes_that_no_decision_can_do_without_are_one_request_beside_the_first(tmp_path):
    votes = ["Pequod", "Rachel", "Pequod", "Pequod", "Rachel", "Pequod", "Pequod"]
    kit = kit_of(tmp_path, ", k: 3", voting(*votes))
    backend = Sampling(voting(*votes))
    document = octavo.Document("The Pequod sails.", "0.txt")
    plan = octavo.plan(kit.path, document, model=backend)
    (result,) = octavo.run(kit.path, document, model=backend).results
    assert result.value["tally"][0] == {"value": "Pequod", "votes": 5}
    # After three votes two more are needed at least, after five again two.
    assert backend.asked == [[1, 2], [3, 4], [5, 6]]
    assert result.totals.outcomes == {Outcome.OK: 7}
    low, high = plan.calls
    assert low == 3 <= 7 <= high
    step = plan.steps[-1]
    # Asked for together, further samples share their prompt.
    assert step.prompt_high / high == pytest.approx(step.prompt_low / 2)
    # A backend that answers one by one finds every vote.
    assert only(kit).totals.sent == 0


def test_the_first_sample_is_cold_and_later_ones_are_warmer(tmp_path):
    kit = kit_of(tmp_path, ", k: 3, temperature: 0.5", voting("Pequod"))
    only(kit)
    assert [request.temperature for request in kit.requests] == [0, 0.5, 0.5]


def test_replies_that_are_no_record_or_cut_are_discarded_and_not_asked_again(tmp_path):
    votes = [
        "The ship is the Rachel.",
        Reply('{"ship": "Rachel"}', finish=Finish.LENGTH),
        '{"ship": "Rachel", "colour": "grey"}',
        "{'ship': 'Rachel'}",
        Reply("I cannot say.", finish=Finish.REFUSAL),
        ship("Pequod", why="It is named."),
        ship("Pequod"),
    ]
    kit = kit_of(tmp_path, RECORD + ", k: 2", voting(*votes))
    result = only(kit)
    assert result.value["value"] == ship("Pequod", why="It is named.")
    assert result.value["tally"] == [{"value": "Pequod", "votes": 2}]
    assert result.value["flagged"] == 5
    assert {request.attempt for request in kit.requests} == {0}
    assert result.totals.outcomes == {Outcome.INVALID: 4, Outcome.REFUSED: 1, Outcome.OK: 2}


def test_a_text_that_is_cut_is_no_vote_however_many_sentences_it_has(tmp_path):
    cut = Reply("The Rachel. The", finish=Finish.LENGTH)
    result = only(kit_of(tmp_path, ", k: 1", voting(cut, "Pequod")))
    assert (result.value["value"], result.value["flagged"]) == ("Pequod", 1)
    assert result.totals.outcomes == {Outcome.TRUNCATED: 1, Outcome.OK: 1}


def test_no_consensus_is_an_outcome_with_its_tally(tmp_path):
    def handler(request):
        return ship(["Pequod", "Rachel"][request.sample % 2])

    result = only(kit_of(tmp_path, RECORD + ", k: 2, max_votes: 6", handler))
    assert result.error is None
    assert result.value["value"] is None
    assert result.value["no_consensus"] is True
    # After four votes of each two, the last two could decide, and did not.
    assert result.value["tally"] == [
        {"value": "Pequod", "votes": 3},
        {"value": "Rachel", "votes": 3},
    ]


def test_samples_that_could_decide_nothing_are_not_sent(tmp_path):
    kit = kit_of(tmp_path, ", k: 3, max_votes: 4", lambda request: f"Ship {request.sample}")
    assert only(kit).value["no_consensus"] is True
    assert len(kit.requests) == 4 - 1


def test_flagged_samples_alone_are_no_consensus(tmp_path):
    result = only(kit_of(tmp_path, RECORD + ", max_votes: 5", voting("What ship?")))
    assert result.value == {"value": None, "no_consensus": True, "tally": [], "flagged": 5}


def test_a_plain_vote_gives_the_winner_itself_and_fails_without_one(tmp_path):
    kit = kit_of(tmp_path, RECORD + ", k: 2, plain: true", voting(ship("Pequod")))
    assert only(kit).value == ship("Pequod")
    kit = kit_of(tmp_path, ", plain: true, max_votes: 4", lambda r: f"Ship {r.sample}")
    error = only(kit).error
    assert isinstance(error, ReplyError)
    assert "no consensus" in error.message
    assert "1, 1, 1" in error.message


def test_a_vote_that_fails_may_be_left_out(tmp_path):
    def handler(request):
        if "Paragraph 7." in fenced(request)[0]:
            raise RequestError("no such luck")
        return "Fine." if "Paragraph 9." not in fenced(request)[0] else f"Ship {request.sample}"

    result = only(kit_of(tmp_path, ", plain: true, on_error: skip", handler), paragraphs(20))
    assert set(result.value.split("\n\n")) == {"Fine."}
    assert 0.7 < result.coverage < 1
    assert result.totals.outcomes[Outcome.SKIPPED] == 2
    result = only(kit_of(tmp_path, "", handler), paragraphs(20))
    assert result.error.message == "no such luck"


@pytest.mark.parametrize(
    ("options", "second", "same"),
    [
        ("", "  the\nPequod ", True),
        ("", "The Pequod", False),
        (", alike: case", "The PEQUOD", True),
        (", alike: exact", "the  Pequod", False),
        (', key: "text | length > 3"', "Rachel", True),
    ],
)
def test_answers_are_one_when_their_keys_are_alike(tmp_path, options, second, same):
    result = only(kit_of(tmp_path, options + ", k: 2", voting("the Pequod", second, second)))
    votes = [each["votes"] for each in result.value["tally"]]
    assert votes == ([2] if same else [3, 1])
    assert result.value["value"] == ("the Pequod" if same else second.strip())


def test_a_key_that_a_reply_lacks_is_an_error_and_no_vote(tmp_path):
    result = only(kit_of(tmp_path, ", schema: ship, key: why", voting(ship("Pequod"))))
    assert "cannot be evaluated" in result.error.message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (", schema: ship, key: boat", "'boat' is no field of what `vote` asks for"),
        (", key: ship", "they are text"),
        (", reliability: 0.9", "given together"),
        (", reliability: 0.9, accuracy: 0.8, k: 2", "remove one"),
        (", max_votes: 2", "no answer can lead by 3"),
        (", reliability: 0.9, accuracy: 0.5", "0.5"),
    ],
)
def test_what_cannot_be_is_refused_when_the_pipeline_is_read(tmp_path, options, said):
    kit = kit_of(tmp_path, options, voting("Pequod"))
    with pytest.raises(SpecErrors, match="error") as caught:
        kit.run("A text.")
    assert said in str(caught.value)


def test_later_steps_may_use_the_outcome_or_the_fields_of_the_winner(tmp_path):
    kept = "  - filter: {where: %s}\n"
    for options, where in (("", "not no_consensus"), (", plain: true", "ship == 'Pequod'")):
        kit = kit_of(tmp_path, RECORD + options, voting(ship("Pequod")))
        kit.path.write_text(VOTE % (RECORD + options) + kept % where)
        assert only(kit).value is not None
    kit.path.write_text(VOTE % RECORD + kept % "ship")
    with pytest.raises(SpecErrors, match="'ship' is no field"):
        kit.run("A text.")


# The order of replies.


KINDS = [ship("Pequod"), ship("Rachel"), ship("Bachelor"), "No record."]


def arriving(order):
    """Return a handler whose replies arrive in some other order than they were asked for."""

    async def handler(request):
        for _ in range(order.randrange(12)):
            await asyncio.sleep(0)
        chance = random.Random(f"{request.sample} {fenced(request)[0]}")
        return chance.choices(KINDS, weights=[5, 3, 1, 1])[0]

    return handler


def ledger(path):
    with closing(sqlite3.connect(path)) as database:
        return sorted(database.execute("SELECT node, call, outcome, attempts FROM ledger"))


def test_the_winners_and_the_ledger_do_not_depend_on_when_replies_arrive(tmp_path, monkeypatch):
    text = paragraphs(12)
    seen = []
    for trial in range(6):
        journal = tmp_path / f"{trial}.sqlite"
        monkeypatch.setenv("OCTAVO_JOURNAL", str(journal))
        kit = kit_of(tmp_path, RECORD + ", k: 3", arriving(random.Random(trial)))
        result = only(kit, text)
        seen.append((result.value, result.totals.outcomes, ledger(journal)))
    assert len(seen[0][0]) > 4
    assert len(seen[0][2]) == sum(
        sum(each["votes"] for each in outcome["tally"]) + outcome["flagged"]
        for outcome in seen[0][0]
    )
    assert all(each == seen[0] for each in seen)


def test_votes_that_were_paid_for_are_not_asked_for_again(tmp_path):
    kit = kit_of(tmp_path, ", k: 3", voting("Pequod", "Rachel", "Pequod"))
    first = only(kit)
    kit.path.write_text(kit.path.read_text().replace("k: 3", "k: 4"))
    second = only(kit)
    assert first.value["value"] == second.value["value"] == "Pequod"
    assert [request.sample for request in kit.requests] == [5]


# Plans.


def calls(plan):
    (step,) = [step for step in plan.steps if step.step == "vote"]
    return step.calls_low, step.calls_high


@pytest.mark.parametrize("options", ["", ", plain: true", RECORD, RECORD + ", plain: true"])
def test_a_plan_reaches_from_k_to_the_most_votes_and_the_run_lies_between(tmp_path, options):
    text = paragraphs(12)
    kit = kit_of(tmp_path, options + ", k: 2, max_votes: 7", voting("Pequod"))
    if "schema" in options:
        kit.handler = lambda request: ship(["Rachel", "Pequod"][request.sample > 0])
    low, high = calls(kit.plan(text))
    only(kit, text)
    parts = len({fenced(request)[0] for request in kit.requests})
    assert (low, high) == (2 * parts, 7 * parts)
    assert low <= len(kit.requests) <= high
    # What is in the journal decides.
    assert calls(kit.plan(text)) == (len(kit.requests), len(kit.requests))


def test_a_plan_shows_the_votes_that_a_reliability_takes(tmp_path):
    text = paragraphs(12)
    kit = kit_of(tmp_path, ", reliability: 0.999, accuracy: 0.8", voting("Pequod"))
    low, high = calls(kit.plan(text))
    only(kit, text)
    parts = len({fenced(request)[0] for request in kit.requests})
    lead = compute_required_lead(0.999, 0.8, parts)
    assert lead > 5
    assert (low, high) == (lead * parts, 10 * lead * parts)
    assert len(kit.requests) == lead * parts
    options = ", reliability: 0.999, accuracy: 0.8, max_votes: 5"
    with pytest.raises(UsageError, match="lead of"):
        kit_of(tmp_path, options, voting("Pequod")).plan(text)


def test_the_command_plan_says_which_lead_decides_and_a_run_does_not(tmp_path, capfd):
    kit = kit_of(tmp_path, ", reliability: 0.999, accuracy: 0.9", voting("Pequod"))
    (tmp_path / "rules.yaml").write_text("default: Pequod\n")
    (tmp_path / "book.txt").write_text("The Pequod sails.")
    rest = (str(kit.path), "-m", f"scripted:{tmp_path}/rules.yaml", str(tmp_path / "book.txt"))
    assert run_command_line(["plan", *rest]) == 0
    assert "a lead of 4 votes decides" in capfd.readouterr().err
    assert run_command_line(["run", *rest]) == 0
    assert "decides" not in capfd.readouterr().err


def test_a_vote_that_cannot_fit_is_refused_before_anything_is_sent(tmp_path):
    kit = kit_of(tmp_path, "", voting("Pequod"))
    kit.window = 150
    assert isinstance(only(kit, paragraphs(20)).error, FitError)
    assert kit.requests == []


# Reliability.


def test_the_papers_reliabilities():
    errors = [1 - compute_reliability(3, accuracy) for accuracy in (0.95, 0.9, 0.8)]
    assert errors == pytest.approx([1.5e-4, 1.4e-3, 1.5e-2], rel=0.05)
    assert estimate_votes(3, 0.8) == pytest.approx(5)


@given(st.floats(0.5, 0.9999999), st.floats(0.52, 0.999), st.integers(1, 1_000_000))
def test_a_lead_is_the_least_that_is_reliable_enough(wanted, accuracy, items):
    lead = compute_required_lead(wanted, accuracy, items)
    assert compute_reliability(lead, accuracy, items) >= wanted - 1e-9
    assert lead == 1 or compute_reliability(lead - 1, accuracy, items) < wanted + 1e-9


def test_the_lead_grows_as_the_logarithm_of_the_items():
    leads = [compute_required_lead(0.99, 0.9, 10**digits) for digits in range(1, 8)]
    steps = [after - before for before, after in pairwise(leads)]
    assert set(steps) == {1}


@pytest.mark.parametrize("accuracy", [0.6, 0.7, 0.8])
def test_a_biased_voter_is_as_reliable_as_the_formula_says(accuracy):
    """Right, or wrong in always the same way, as the formula has it; within four deviations."""
    chance = random.Random(7)
    rounds, lead = 4000, 3
    right = used = 0
    for _ in range(rounds):
        ballot = Ballot(lead, 10_000)
        while ballot.winner is None:
            ballot.add_vote("right" if chance.random() < accuracy else "wrong")
        right += ballot.winner == "right"
        used += ballot.sample_count
    expected = compute_reliability(lead, accuracy)
    deviation = (expected * (1 - expected) / rounds) ** 0.5
    assert abs(right / rounds - expected) < 4 * deviation
    assert used / rounds <= estimate_votes(lead, accuracy) * 1.03


def test_a_biased_model_is_as_reliable_as_the_formula_says(tmp_path):
    """A tenth of the replies is no record; they cost calls, but no reliability."""
    accuracy, lead, documents = 0.75, 2, 250

    def handler(request):
        chance = random.Random(f"{fenced(request)[0]} {request.sample}")
        if chance.random() < 0.1:
            return "The Rachel, I think."
        return ship("Pequod" if chance.random() < accuracy else "Rachel")

    kit = kit_of(tmp_path, RECORD + f", k: {lead}", handler)
    texts = [f"Ship number {number} sails." for number in range(documents)]
    results = kit.run(*texts, private=True).results
    right = sum(result.value["value"] == ship("Pequod") for result in results)
    expected = compute_reliability(lead, accuracy)
    deviation = (expected * (1 - expected) / documents) ** 0.5
    assert abs(right / documents - expected) < 3 * deviation
    assert len(kit.requests) / documents <= estimate_votes(lead, accuracy) / 0.9


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=60), st.integers(1, 4))
def test_a_ballot_wants_no_sample_that_the_decision_does_not_need(votes, lead):
    ballot = Ballot(lead, 40)
    sent = ballot.required_samples
    for vote in votes[:sent]:
        if ballot.sample_count == sent:
            break
        ballot.add_flagged() if vote is None else ballot.add_vote(vote)
        sent = max(sent, ballot.required_samples)
    assert sent <= 40
    if ballot.winner is not None:
        counts = Counter(vote for vote in votes[: ballot.sample_count] if vote)
        (winner, most), *rest = [*counts.most_common(2)]
        assert winner == ballot.winner
        assert most - (rest[0][1] if rest else 0) == lead
        assert sent == ballot.sample_count
