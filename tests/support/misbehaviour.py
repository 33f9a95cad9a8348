"""A model that misbehaves in known ways, and what the ledger must say about each call."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.support.kit import fenced

from octavo.engine.calls.call import Call
from octavo.engine.calls.truncation import Truncated, ends_at_bound, trim_to_bounds
from octavo.engine.dispatch.key import compute_key
from octavo.errors import RequestError
from octavo.protocols import Finish, Reply, TokenLogprob, Usage
from octavo.text.quote import to_row_id

__all__ = ["IDENTITY", "KINDS", "Asks", "Model", "row_place", "shown"]

KINDS = ("echo", "empty", "cut", "prose", "wrong", "long", "refusal")
"""Each has one reply in ten, and one in twenty is no reply but an error; the others are good."""

IDENTITY = "scripted:misbehaving"
_MARK = "ZQX"


@dataclass(frozen=True)
class Sent:
    """A request that reached the model, how it was answered, and the reply's own mark."""

    request: object
    kind: str
    mark: str
    text: str


@dataclass
class Model:
    """Answers by a seed and the request alone; `sent` are its replies, by key."""

    seed: int
    most: int = 100_000
    sent: dict[bytes, Sent] = field(default_factory=dict)
    times: Counter = field(default_factory=Counter)
    count: int = 0

    def __call__(self, request):
        self.count += 1
        if self.count > self.most:
            raise AssertionError(f"more than {self.most} calls")
        key = compute_key(request, identity=IDENTITY, model="scripted")
        chance = random.Random(f"{self.seed} {key.hex()}")
        kind = chance.choice((*KINDS, *KINDS, *["good"] * 5, "rejected"))
        self.times[key] += 1
        mark = f"{_MARK}{hashlib.sha256(key).hexdigest()[:10]}"
        if kind == "rejected":
            self.sent[key] = Sent(request, kind, mark, "")
            raise RequestError(f"{mark}: not this request")
        reply = getattr(self, f"_{kind}")(request, mark, chance)
        self.sent[key] = Sent(request, kind, mark, reply.text)
        if request.logprobs and reply.text:
            reply = _with_logprobs(reply, chance)
        return reply

    def _good(self, request, mark, chance):
        if request.schema is not None:
            return Reply(json.dumps(good_record(request, mark, chance), ensure_ascii=False))
        told = f"{mark} went by ship. It rained."
        return Reply(chance.choice((told, f"YES: {told}", "NO", "NOT MENTIONED", f"{told} [1, 2]")))

    def _echo(self, request, mark, chance):
        return Reply(f"{mark} " + "\n".join(message.content for message in request.messages))

    def _empty(self, request, mark, chance):
        return Reply(chance.choice(("", " \n")))

    def _cut(self, request, mark, chance):
        if request.schema is not None:
            text = json.dumps(good_record(request, mark, chance), ensure_ascii=False)
            # One that was cut at its last sign may even parse.
            return Reply(text[: chance.choice((len(text), len(text) // 2))], Finish.LENGTH)
        start = chance.choice(("", f"{mark} begins. And goes on. "))
        return Reply(f"{start}Then {mark}tail and", Finish.LENGTH)

    def _prose(self, request, mark, chance):
        said = f"Sure! {mark} is what the part is about, as far as I can tell."
        return Reply(chance.choice((said, f"{said} {{see {mark}}}", f"{said} [] {{}}", said[6:])))

    def _wrong(self, request, mark, chance):
        record = {"nothing_of_the_kind": mark}
        if request.schema is not None and chance.random() < 0.5:
            record |= good_record(request, mark, chance)
            name = next(iter(request.schema["required"]))
            record[name] = {"type": mark}
        return Reply(json.dumps(chance.choice((record, record, [record], mark))))

    def _long(self, request, mark, chance):
        words = " ".join(["word"] * min(3 * request.max_tokens, 4000)) + "."
        if request.schema is None:
            return Reply(f"{mark} {words}")
        record = good_record(request, f"{mark} {words}", chance)
        return Reply(json.dumps(record, ensure_ascii=False))

    def _refusal(self, request, mark, chance):
        return Reply(f"{mark}: I cannot help with that.", Finish.REFUSAL)


def _with_logprobs(reply, chance):
    first = reply.text.split(" ")[0]
    share = chance.uniform(-2, -0.1)
    token = TokenLogprob(first, share, ((first, share), ("other", share - 1)))
    return Reply(reply.text, reply.finish, Usage(1, 1), logprobs=(token,))


def good_record(request, mark, chance):
    """Return a record that fits the schema, and, where it can be told, what is asked for."""
    properties = request.schema.get("properties", {})
    if "revisions" in properties:
        return {"revisions": _revisions(request, mark, chance)}
    if "sections" in properties:
        return {"sections": _sections(fenced(request)[-1], mark)}
    return value_of(request.schema, mark, chance)


def _revisions(request, mark, chance):
    fields = request.schema["properties"]["revisions"]["items"]["properties"]
    kinds = fields["value"]
    plain = kinds.get("type") or [each["type"] for each in kinds.get("anyOf", ())]
    path = ["values", f"n{chance.randrange(9)}"] if "string" in plain else ["parts"]
    value = mark if "string" in plain else chance.randrange(99)
    path = path[: fields["path"].get("maxItems")]
    ops = fields["op"]["enum"]
    return [{"path": path, "op": ops[-1], "value": value}] * chance.randrange(3)


def _sections(text, mark):
    words = text.split()
    half = len(words) // 2
    parts = [words[:half], words[half:]] if half else [words]
    return [
        {"title": mark[:40], "head": " ".join(part[:6]), "tail": " ".join(part[-6:])}
        for part in parts
    ]


def value_of(schema, mark, chance):
    """Return a value that fits a schema; its texts hold the mark."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return chance.choice(schema["enum"])
    if "anyOf" in schema:
        return value_of(schema["anyOf"][0], mark, chance)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind if isinstance(kind, str) else kind[0]
    if kind == "object":
        required = schema.get("required", ())
        named = schema.get("properties", {}).items()
        kept = [each for each in named if each[0] in required or chance.random() < 0.7]
        return {name: value_of(each, mark, chance) for name, each in kept}
    if kind == "array":
        count = max(schema.get("minItems", 0), min(chance.randrange(3), schema.get("maxItems", 3)))
        items = [value_of(schema.get("items", {}), mark, chance) for _ in range(count)]
        return items[:1] if schema.get("uniqueItems") else items
    if kind in {"integer", "number"}:
        low = schema.get("minimum", 0)
        return chance.randint(low, min(schema.get("maximum", low + 9), low + 9))
    if kind == "boolean":
        return chance.random() < 0.7
    return None if kind == "null" else mark[: schema.get("maxLength", len(mark))]


@dataclass
class Asks:
    """What the steps asked, seen from outside the code that judges replies."""

    model: Model
    asked: list[Asked] = field(default_factory=list)

    def watch(self, monkeypatch):
        """Note every attempt of every call, with its key."""
        found: dict[int, Asked] = {}
        send = Call.send

        def noted(call, *args):
            ask = found.get(id(call))
            if ask is None:
                ask = found[id(call)] = Asked(call)
                self.asked.append(ask)
            send(call, *args)
            ask.keys.append(call.spec.key)

        monkeypatch.setattr(Call, "send", noted)

    def check(self, rows, lost):
        """Assert that the ledger tells what was injected; `lost` are the documents that failed."""
        asked = [ask for ask in self.asked if ask.keys]  # the others did not fit, and were not sent
        groups = _groups(asked)
        home = {
            to_row_id(key): number for number, group in enumerate(groups) for key in _keys(group)
        }
        entered = defaultdict(list)
        for row in rows:
            entered[home[row.call]].append(row)
        for number, group in enumerate(groups):
            self._check_group(group, entered[number], lost)
        places = Counter(ask.place for ask in asked if ask.place[0] not in lost)
        assert places == Counter(row_place(row) for row in rows if row.source not in lost)

    def _check_group(self, group, rows, lost):
        """Check calls that share a key: only one of them accounts for each attempt."""
        sent = sum(self.model.times[key] for key in _keys(group))
        assert sum(row.attempts for row in rows) == sent, (group, rows)
        fates = set()
        for first in {ask.keys[0] for ask in group}:
            longest = max((a for a in group if a.keys[0] == first), key=lambda ask: len(ask.keys))
            fates.add(longest.fate([self.model.sent.get(key) for key in longest.keys]))
        allowed = {outcome for outcome, _ in fates}
        for row in rows:
            if row.outcome == "discarded":
                assert row.source in lost
            elif row.outcome == "cached":
                assert "ok" in allowed
                assert row.attempts == 0
            else:
                assert row.outcome in allowed, (fates, row, group)
        alike = {ask.keys[0] for ask in group} == {group[0].keys[0]}
        # What was rejected is sent again for who asks for it later.
        once = all(self.model.times[key] <= 1 for key in _keys(group))
        if alike and once and not any(ask.place[0] in lost for ask in group):
            assert sent == next(iter(fates))[1], (fates, group)

    def failed_marks(self):
        """Return the marks of what no later prompt may hold."""
        marks = set()
        for ask in self.asked:
            for attempt, key in enumerate(ask.keys):
                if key in self.model.sent:
                    marks |= _failed(ask.asked, attempt, self.model.sent[key])
        return marks


@dataclass
class Asked:
    """One call: who asked what, and the keys of its attempts."""

    call: object
    keys: list[bytes] = field(default_factory=list)

    def __repr__(self):
        return f"Asked({self.place}, {len(self.keys)} attempts)"

    @property
    def asked(self):
        return self.call.asked

    @property
    def place(self):
        return (self.call.recorder.source, self.call.recorder.step, self.asked.node)

    def fate(self, sent):
        """Return the outcome that the ledger must name, and the attempts that it must have.

        Both follow from what the replies are and from the rules alone: a text that is empty, cut or
        faulty is asked for once more, a record that is none or faulty too, a strict reply never.
        """
        kinds = [each.kind if each else None for each in sent]
        if self.asked.schema is None:
            return self._fate_of_text(sent[0].text, *kinds)
        return self._fate_of_record(kinds, sent)

    def _fate_of_text(self, text, first, second=None):
        if self.asked.strict:
            over = len(text.split()) > self.asked.tokens  # the scripted backend counts words
            return _TEXTS.get(first, "truncated" if over else "ok"), 1
        if first == "cut" and self.asked.logprobs:
            return "ok", 1  # what is wanted stands at its beginning
        if first in {"empty", "cut"}:
            return _TEXTS.get(second, "ok"), 2
        if first not in _TEXTS and self.asked.check and self.asked.check(text.strip()):
            return "ok", 2
        return _TEXTS.get(first, "ok"), 1

    def _fate_of_record(self, kinds, sent):
        if self.asked.strict:
            ends = {"good": "ok", "long": "truncated", "refusal": "refused", "rejected": "failed"}
            return ends.get(kinds[0], "invalid"), 1
        met = ends_at_bound(_parsed(sent[0]), self.asked.schema)
        if kinds[0] in {"good", "long"} and not met:
            faults = self.asked.check and self.asked.check(json.loads(sent[0].text))
            return "ok", 2 if faults else 1
        if kinds[0] in {"refusal", "rejected"}:
            return _TEXTS[kinds[0]], 1
        second = kinds[1] if len(kinds) > 1 else None
        if met:
            whole = self._fate_within_bounds(sent[1]) if second in {"good", "long"} else "invalid"
            first = self._fate_within_bounds(sent[0])
            # Beside the first reply the prompt may exceed a small window: then that reply is all.
            return first if whole == "invalid" else whole, len(sent)
        if second in {"good", "long"}:
            return self._fate_within_bounds(sent[1]), 2
        return {"refusal": "refused", "rejected": "failed"}.get(second, "invalid"), 2

    def _fate_within_bounds(self, sent):
        try:
            _, cuts = trim_to_bounds(_parsed(sent), sent.request.schema, self.asked.schema)
        except Truncated:
            return "invalid"
        if cuts:
            return "invalid" if self.asked.complete else "truncated"
        return "ok"


_TEXTS = {"refusal": "refused", "empty": "invalid", "cut": "truncated", "rejected": "failed"}


def _parsed(sent):
    """Return the record of a good reply; None for another."""
    return json.loads(sent.text) if sent and sent.kind in {"good", "long"} else None


def _groups(asked):
    """Return lists of calls that share the key of an attempt, directly or through others."""
    homes, groups = {}, {}
    for number, ask in enumerate(asked):
        groups[number] = [ask]
        for key in ask.keys:
            other = homes.get(key, number)
            if other != number:
                for moved in groups[other]:
                    homes |= dict.fromkeys(moved.keys, number)
                groups[number] += groups.pop(other)
            homes[key] = number
    return list(groups.values())


def _keys(group):
    return {key for ask in group for key in ask.keys}


def row_place(row):
    return (row.source, row.step, row.node)


def _failed(inquiry, attempt, sent):
    if sent.kind == "cut" and inquiry.schema is None:
        # The second one is used up to its last sentence.
        return {f"{sent.mark}tail"} if attempt else {sent.mark}
    wrong = {"refusal", "rejected"}
    if inquiry.schema:
        wrong |= {"cut", "echo", "prose", "wrong"}
    return {sent.mark} if sent.kind in wrong else set()


def shown(messages):
    """Return a prompt's text, less the bad reply that it shows to have it mended."""
    texts = [message.content for message in messages]
    if any(message.role == "assistant" for message in messages):
        texts = texts[:-2]
    return "\n".join(texts)
