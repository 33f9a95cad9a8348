"""What Octavo returns and raises can be copied, and sent to another process."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle

import pytest

import octavo
from octavo import errors
from octavo.backends.scripted import ScriptedBackend, echo
from octavo.errors import OctavoError, Outcome, Position, SpecError
from octavo.text.finding import Finding
from octavo.text.note import Note, Prediction
from octavo.text.quote import Quote, QuoteOrigin

COPIES = [
    copy.copy,
    copy.deepcopy,
    *(
        lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ),
]


def to_plain(value):
    """Return a value with its classes and attributes spelt out: exceptions are equal to none."""
    kind = type(value)
    if isinstance(value, BaseException):
        return kind, to_plain(value.args), to_plain(vars(value))
    if isinstance(value, Quote):
        return kind, str(value), value.origin
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return kind, [to_plain(getattr(value, field.name)) for field in fields]
    if isinstance(value, dict):
        return kind, [(key, to_plain(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return kind, [to_plain(each) for each in value]
    return kind, value


def is_plain(name, module):
    return inspect.isclass(getattr(module, name)) and name != "Watch"


SPEC_ERROR = SpecError(
    "there is no step", code="unknown", position=Position("a.yaml", 3, 5, "  x"), hint="name one"
)
SPAN = octavo.Span(3, 9)
QUOTE = Quote("some text", QuoteOrigin("text", 17, 3))
ERRORS = {
    "InputError": errors.InputError("cannot be read", source="a.md", hint="see"),
    "Outcome": Outcome.INVALID,
    "Position": Position("a.yaml", 3, 5, "  x"),
    "ReplyError": errors.ReplyError("no", outcome=Outcome.REFUSED, hint="ask again"),
    "SpecError": SPEC_ERROR,
    "SpecErrors": errors.SpecErrors((SPEC_ERROR, SPEC_ERROR)),
}
FINDING = Finding("a.md", 1, 2, "style", "too long")
RESULT = octavo.Result(
    "a.md", QUOTE, (SPAN,), ("page 1",), 1.0, octavo.Totals({Outcome.OK: 2}), findings=(FINDING,)
)
FAILED = octavo.Result("b.md", None, error=ERRORS["ReplyError"], metadata={"title": "B"})
REPORT = octavo.Report("run", 2, 1, octavo.Totals(), 0.5)
STEP = octavo.PlanStep("map", 1, 2)
VALUES = {
    "Chunk": octavo.Chunk(SPAN, 2, ("Top",), 7, (("header", "a,b"),)),
    "Document": octavo.Document("some text", "a.md", metadata={"title": "A"}),
    "Heading": octavo.Heading(1, "Top", SPAN),
    "OctavoError": OctavoError("wrong", hint="look"),
    "Plan": octavo.Plan((STEP,), 1, 2, 3, None, "o200k_base", unreadable=(ERRORS["InputError"],)),
    "PlanStep": STEP,
    "Report": REPORT,
    "Result": RESULT,
    "RunResult": octavo.RunResult((RESULT, FAILED), REPORT),
    "Scores": octavo.Scores(3, size=0.5),
    "Span": SPAN,
    "Totals": octavo.Totals({Outcome.OK: 2}, 2, 10, 5),
}
OTHERS = [
    QUOTE,
    Note(QUOTE, (SPAN,), "a.md", Prediction.LONG, (("before", "x"),)),
    Note({"a": [1, QUOTE]}),
]
SAMPLES = [
    *VALUES.values(),
    *(
        ERRORS[name] if name in ERRORS else getattr(errors, name)("wrong", hint="look")
        for name in errors.__all__
        if is_plain(name, errors)
    ),
    *OTHERS,
]


@pytest.mark.parametrize("value", SAMPLES, ids=lambda value: type(value).__name__)
def test_what_is_exported_is_equal_to_its_copies(value):
    for make_copy in COPIES:
        made = make_copy(value)
        assert to_plain(made) == to_plain(value)
        assert str(made) == str(value)


def test_every_exported_class_is_tried():
    assert set(VALUES) == {name for name in octavo.__all__ if is_plain(name, octavo)}


def test_what_a_run_and_a_plan_return_can_be_copied(tmp_path):
    (tmp_path / "a.md").write_text("# Top\n\nOne. Two.\n" * 40)
    inputs = (tmp_path / "a.md", tmp_path / "none.md")
    model = ScriptedBackend(echo, version="1")
    ran = octavo.run("summarize", *inputs, model=model, private=True, keep_going=True)
    planned = octavo.plan("summarize", *inputs, model=model, private=True)
    assert [result.error is None for result in ran.results] == [True, False]
    for value in (ran, planned, *octavo.split(inputs[0])):
        for make_copy in COPIES:
            assert to_plain(make_copy(value)) == to_plain(value)
