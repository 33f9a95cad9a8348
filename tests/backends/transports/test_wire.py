"""Server-sent events, however the network cuts them."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.backends.transports.wire import EventReader, decode_json, encode_json, read_events
from octavo.config.endpoint import Endpoint
from octavo.protocols import Transient

ENDPOINT = Endpoint("http://lab.example/v1", 60.0)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    events=st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=5),
    end=st.sampled_from(["\n", "\r\n"]),
    noise=st.sampled_from(["", ": keep-alive", "event: message", "id: 7", "retry: 10"]),
    cuts=st.lists(st.integers(0, 400), max_size=8),
    done=st.booleans(),
)
def test_events_survive_any_cuts(events, end, noise, cuts, done):
    lines = []
    for event in events:
        lines += [noise] if noise else []
        lines += [f"data: {json.dumps(event, ensure_ascii=len(cuts) % 2 == 0)}", ""]
    lines += ["data: [DONE]", ""] if done else []
    raw = end.join([*lines, ""]).encode("utf-8", "surrogatepass")
    places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    reader = EventReader(ENDPOINT)
    found = []
    for start, stop in pairwise(places):
        found += reader.feed(raw[start:stop])
    found += reader.finish()
    assert found == events
    assert reader.done is done


def test_one_event_may_be_several_lines_and_lack_its_end():
    reader = EventReader(ENDPOINT)
    assert reader.feed(b'data: {"a":\ndata: 1}\n') == []
    assert reader.finish() == [{"a": 1}]


def test_an_event_that_is_no_json_may_be_tried_again():
    with pytest.raises(Transient, match="no JSON"):
        EventReader(ENDPOINT).feed(b"data: <html>\n\n")


class Limit:
    """Stands in for a timeout and remembers how often it was renewed."""

    def __init__(self):
        self.spans = []

    def reschedule(self, when):
        self.spans.append(round(when - asyncio.get_running_loop().time()))


def heard(*pieces: bytes) -> tuple[list, list]:
    async def arriving():
        for piece in pieces:
            yield piece

    async def run():
        events, limit = [], Limit()
        await read_events(arriving(), EventReader(ENDPOINT), events.append, limit)
        return events, limit.spans

    return asyncio.run(run())


def test_patience_is_renewed_by_events_and_not_by_comments():
    events, spans = heard(b": wait\n\n", b'data: {"a": 1}\n\n', b": wait\n\n", b": wait\n\n")
    assert (events, spans) == ([{"a": 1}], [60])


def test_the_closing_mark_ends_the_patience_and_what_follows_is_not_read():
    events, spans = heard(b'data: {"a": 1}\n\ndata: [DONE]\n\n', b"data: <html>\n\n")
    assert events == [{"a": 1}, None]
    assert spans == [1]


@given(JSON)
def test_bodies_come_back_as_they_went(value):
    assert decode_json(encode_json(value), ENDPOINT) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": NaN}', "nan"),
        (b"<html>", "<html>"),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 200_000, "[" * 200_000),
    ],
)
def test_bodies_that_are_no_strict_json(raw, value):
    found = decode_json(raw, ENDPOINT)
    assert (str(found["a"]) if isinstance(found, dict) else found) == value
