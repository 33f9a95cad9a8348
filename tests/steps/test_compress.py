"""A document told more briefly: to a budget, and without losing a name or a number."""

from __future__ import annotations

import re

import pytest
from tests.support.kit import Kit, fenced

from octavo.engine.journal.database import find_journal_path
from octavo.engine.journal.runs import list_calls, list_runs
from octavo.engine.journal.store import Journal
from octavo.engine.report import Silence
from octavo.errors import FitError, ReplyError, RequestError, UsageError
from octavo.protocols import Finish, Reply
from octavo.steps.compress.facts import find_facts
from octavo.tokens.choose import get_counter

SPEC = """
octavo: 1
params:
  ratio: {type: number, default: 0.5}
  tokens: {type: integer, required: false}
  focus: {type: string, default: ""}
steps:
  - split: {tokens: 90}
  - compress: {prompt: compress/rewrite, ratio: ratio, target: tokens, query: focus%s}
"""
FILLER = "and then the men went on to do what men on a ship do all the day long"


def paragraph(number, about=FILLER):
    return f"In the year {1800 + number} a sailor saw Captain Pell. He was old, {about}, {about}."


def text_of(count, about=None):
    about = about or {}
    return "\n\n".join(paragraph(number, about.get(number, FILLER)) for number in range(count))


def shortening(request):
    """Keep as many words as asked for, those that must stay before all others."""
    (text, *_) = fenced(request)
    wanted = int(re.search(r"so that (\d+) words remain", request.messages[1].content)[1])
    keep = find_facts(text)
    rest = [word for word in text.split() if word.islower()]
    return " ".join([*keep, *rest[: max(0, wanted - len(keep))]])


class Heard(Silence):
    def __init__(self):
        self.notices = []

    def notice(self, message):
        self.notices.append(message)


def kit_of(tmp_path, handler=shortening, options="", **more):
    return Kit(SPEC % options, handler, tmp_path, **more)


def compressed(kit, text, heard=None, **params):
    (result,) = kit.run(text, params=params, watch=heard or Heard(), private=True).results
    if result.error:
        raise result.error
    return result


def tokens(text):
    return get_counter("estimate").count(text)


def asked(kit):
    """Return, for each part that was asked for first, its year and the share it should keep."""
    found = {}
    for request in kit.requests:
        if request.sample == 0:
            said = request.messages[1].content
            have = int(re.search(r"The part has (\d+) words", said)[1])
            words = int(re.search(r"so that (\d+) words", said)[1])
            found[int(re.search(r"year (\d+)", fenced(request)[0])[1]) - 1800] = words / have
    return found


@pytest.mark.parametrize("goal", [{"ratio": 0.6}, {"tokens": 400}, {"ratio": 0.9}])
def test_a_document_keeps_to_its_target_with_every_name_and_number(tmp_path, goal):
    text = text_of(8)
    kit, heard = kit_of(tmp_path), Heard()
    result = compressed(kit, text, heard, **goal)
    wanted = goal.get("tokens") or int(tokens(text) * goal["ratio"])
    assert tokens(result.value) <= wanted
    assert heard.notices == []
    assert set(find_facts(text)) <= set(find_facts(result.value))
    years = [int(year) for year in re.findall(r"18\d\d", result.value)]
    assert years == sorted(years)
    assert result.value.count("\n\n") == 7
    assert result.coverage == 1


def test_all_parts_are_asked_at_once_and_a_document_that_fits_is_not_asked_about(tmp_path):
    kit = kit_of(tmp_path)
    plan = kit.plan(text_of(6), params={"ratio": 0.5})
    compressed(kit, text_of(6), ratio=0.5)
    low, high = plan.calls
    assert low <= len(kit.requests) <= high
    compressed(kit, text_of(6), ratio=1)
    assert kit.requests == []
    assert kit.plan(text_of(6), params={"tokens": 10_000}).calls == (0, 0)


def test_parts_that_speak_of_what_matters_are_shortened_less(tmp_path):
    text = text_of(8, {3: "and the great white whale rose from the sea beside the ship at noon"})
    kit = kit_of(tmp_path)
    compressed(kit, text, ratio=0.7, focus="white whale")
    shares = asked(kit)
    assert 3 not in shares
    assert set(shares) == set(range(8)) - {3}
    even = kit_of(tmp_path, options=", spread: even")
    compressed(even, text, ratio=0.7, focus="white whale")
    assert set(asked(even)) == set(range(8))


def test_no_part_is_asked_to_keep_less_than_the_least(tmp_path):
    text = text_of(8, {3: "and the great white whale rose from the sea beside the ship at noon"})
    for least in (0.25, 0.6):
        kit = kit_of(tmp_path, options=f", least: {least}, rounds: 1")
        compressed(kit, text, ratio=0.4, focus="white whale")
        shares = asked(kit).values()
        assert min(shares) == pytest.approx(max(least, min(shares)), abs=0.05)
        assert (min(shares) < 0.5) == (least == 0.25)


def test_without_a_focus_what_shares_least_with_the_rest_is_most_dispensable(tmp_path):
    odd = "zyx qwv 77 kjh bvx plo wqz mnb vcx lkj hgf dsa poi uyt rew"
    kit = kit_of(tmp_path)
    compressed(kit, text_of(8, {5: odd}), ratio=0.8)
    shares = asked(kit)
    assert shares[5] == min(shares.values())


def test_embeddings_tell_the_weight_where_they_are_asked_to(tmp_path):
    text = text_of(8, {3: "and the great white whale rose from the sea beside the ship at noon"})
    kit = kit_of(tmp_path, options=", by: embeddings")
    compressed(kit, text, ratio=0.7, focus="the great white whale rose")
    assert len(kit.backend.embedded[0]) > 8
    shares = asked(kit)
    assert 3 not in shares or shares[3] == max(shares.values())


def losing(*years, attempts=(0, 1)):
    """Shorten, but lose the year of some parts in some attempts."""

    def handler(request):
        said = shortening(request)
        for year in years:
            if str(year) in said and request.sample in attempts:
                return said.replace(str(year), "that time")
        return said

    return handler


def test_a_part_that_lost_a_number_is_asked_once_more_with_what_it_lost(tmp_path):
    kit, heard = kit_of(tmp_path, losing(1803, attempts=(0,)), ", spread: even"), Heard()
    result = compressed(kit, text_of(8), heard, ratio=0.6)
    assert "1803" in result.value
    second = [request for request in kit.requests if request.sample == 1]
    assert len(second) == 1
    assert "has lost these: 1803" in second[0].messages[1].content
    assert second[0].temperature == 0.7
    assert heard.notices == []


def test_a_part_that_loses_it_again_stays_as_it_was_and_the_others_make_up_for_it(tmp_path):
    text = text_of(8)
    kit, heard = kit_of(tmp_path, losing(1803), ", spread: even"), Heard()
    result = compressed(kit, text, heard, ratio=0.6)
    assert paragraph(3) in result.value
    assert tokens(result.value) <= int(tokens(text) * 0.6)
    assert heard.notices == ["0.txt: 1 of 8 parts got no shorter: '1803' was lost"]
    assert max(request.sample for request in kit.requests) >= 2


def test_a_part_with_something_made_up_is_asked_once_more_and_then_stays_as_it_was(tmp_path):
    def handler(request):
        said = shortening(request)
        return said + " with Captain Horus in 1582" if "1803" in said else said

    kit, heard = kit_of(tmp_path, handler, ", spread: even"), Heard()
    result = compressed(kit, text_of(8), heard, ratio=0.6)
    assert paragraph(3) in result.value
    assert "Horus" not in result.value
    (second,) = [request for request in kit.requests if request.sample == 1]
    assert "which the part does not say: Horus, 1582" in second.messages[1].content
    assert heard.notices == ["0.txt: 1 of 8 parts got no shorter: 'Horus' was made up"]


def test_a_result_over_its_target_says_what_it_reached_or_fails_if_it_should(tmp_path):
    text = text_of(6)
    kit, heard = kit_of(tmp_path, lambda request: fenced(request)[0]), Heard()
    result = compressed(kit, text, heard, ratio=0.5)
    assert result.value == text
    have = tokens(text)
    assert (
        heard.notices[-1]
        == f"0.txt: compressed from {have:,} to {have:,} tokens, not to {have // 2:,}"
    )
    assert "as long as before" in heard.notices[0]
    with pytest.raises(ReplyError, match="not to"):
        compressed(kit_of(tmp_path, lambda r: fenced(r)[0], ", on_over: fail"), text, ratio=0.5)


@pytest.mark.parametrize("bad", [
    Reply("In the year", Finish.LENGTH), "", Reply("I cannot.", Finish.REFUSAL), RequestError("no"),
])  # fmt: skip
def test_no_failure_becomes_text_and_its_part_stays_as_it_was(tmp_path, bad):
    def handler(request):
        if "1802" not in fenced(request)[0]:
            return shortening(request)
        if isinstance(bad, Exception):
            raise bad
        return bad

    result = compressed(kit_of(tmp_path, handler, ", spread: even"), text_of(6), ratio=0.6)
    assert paragraph(2) in result.value
    assert "cannot" not in result.value
    with pytest.raises((ReplyError, RequestError)):
        compressed(
            kit_of(tmp_path, handler, ", spread: even, on_error: fail"), text_of(6), ratio=0.6
        )


def test_a_long_refusal_is_a_refusal_and_no_reply_that_was_cut(tmp_path):
    kit = kit_of(tmp_path, lambda _: Reply("I cannot help with that. " * 50, Finish.REFUSAL))
    (result,) = kit.run(text_of(4), params={"ratio": 0.5}).results
    assert result.value == text_of(4)
    with Journal(find_journal_path()) as journal:
        (run, *_) = list_runs(journal, last=1)
        assert {row.outcome for row in list_calls(journal, run.id)} == {"refused"}


def test_the_white_space_between_parts_stays(tmp_path):
    text = "\n\n" + text_of(4).replace("\n\n", "\n\n\n\n") + "\n"
    result = compressed(kit_of(tmp_path, options=", spread: even"), text, ratio=0.6)
    assert result.value.startswith("\n\n")
    assert result.value.count("\n\n\n\n") == 3
    assert result.value.endswith("\n")


@pytest.mark.parametrize("params", [{"ratio": 0}, {"ratio": 1.5}, {"tokens": 0}, {"tokens": -3}])
def test_what_cannot_be_a_target_is_refused_before_a_call(tmp_path, params):
    kit = kit_of(tmp_path)
    for attempt in (kit.run, kit.plan):
        with pytest.raises(UsageError):
            failing(attempt, params)
    assert kit.requests == []


def failing(attempt, params):
    raise attempt(text_of(4), params=params).results[0].error


def test_what_cannot_fit_is_refused_by_the_plan(tmp_path):
    with pytest.raises(FitError):
        kit_of(tmp_path, window=400).plan(text_of(4))
