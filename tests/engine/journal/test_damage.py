"""Bits that change in a stored journal: no wrong reply is used, and what is lost is asked again."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.kit import Kit, paragraphs

from octavo.commands._cli.main import run_command_line
from octavo.engine.report import Silence
from octavo.errors import JournalError

PIPELINE = """\
octavo: 1
steps:
  - split: {tokens: 300}
  - map: {prompt: "Sum up: {{ text | fence }}", tokens: 500}
  - reduce: {prompt: "Unite:{% for n in notes %}\\n{{ n | fence }}{% endfor %}", tokens: 500}
"""
TEXT = paragraphs(9)
COMMANDS = (
    *(("runs", "list"), ("runs", "show"), ("runs", "show", "--calls"), ("runs", "show", "--json")),
    *(("cache", "stats"), ("cache", "stats", "--json"), ("runs", "show", "--state")),
)
REFUSALS = ("cannot be used: ", "is not used: it has ", "was written by a later version")
DAMAGE = {
    "a bit": "UPDATE calls SET text = CAST(substr(text, 1, 40) || x'ff' || substr(text, 42)"
    " AS BLOB)",
    "no text": "UPDATE calls SET text = CAST(x'ff80ff' AS TEXT)",
    "another type": "UPDATE calls SET text = x'07'",
    "finish": "UPDATE calls SET finish = 'stpp'",
    "undecodable finish": "UPDATE calls SET finish = CAST(x'ff' AS TEXT)",
    "usage": "UPDATE calls SET usage = '[1,2'",
    "short usage": "UPDATE calls SET usage = '{}x'",
    "model": "UPDATE calls SET model = x'00'",
    "reasoning": "UPDATE calls SET reasoning = x'00'",
    "logprobs": "UPDATE calls SET logprobs = x'5b315d'",
    "key": "UPDATE calls SET key = CAST(substr(key, 1, 31) || x'00' AS BLOB)",
}


def reply(request):
    """Return a long reply that is the same each time: it lies deflated, with its checksum."""
    words = random.Random(repr(request.messages))
    return " ".join(words.choice(("ash", "birch", "cedar", "fir", "oak")) for _ in range(150))


class Notices(Silence):
    """Collects the lines that a user would see."""

    def __init__(self):
        self.lines = []

    def notice(self, message):
        self.lines.append(message)


def fold(path):
    """Return what a run gives, how many requests it sent, and the notices."""
    kit, notices = Kit(PIPELINE, reply, path), Notices()
    done = kit.run(TEXT, watch=notices)
    return done.results[0].value, len(kit.requests), notices.lines


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return a journal with a whole run in it, and what the run gave."""
    folder = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCTAVO_JOURNAL", str(folder / "j"))
        result, sent, told = fold(folder)
    assert sent == 10
    assert told == []
    return folder / "j", result, sent


@pytest.fixture
def path(stored, tmp_path, monkeypatch):
    """Make a copy of that journal the test's."""
    monkeypatch.setenv("OCTAVO_JOURNAL", str(tmp_path / "j"))
    shutil.copy(stored[0], tmp_path / "j")
    return tmp_path / "j"


def change(path, sql):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


def survives(capfd, commands=COMMANDS):
    """Run commands that show a journal; none takes its damage for a defect."""
    for command in commands:
        code = run_command_line(command)
        told = capfd.readouterr().err
        assert code == 0 or (code == 2 and any(each in told for each in REFUSALS)), (command, told)


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_reply_is_asked_for_again_once_with_one_notice(what, stored, path, capfd):
    _, result, sent = stored
    change(path, DAMAGE[what])
    survives(capfd)
    assert Kit(PIPELINE, reply, path.parent).plan(TEXT).calls[0] == sent
    again = fold(path.parent)
    assert again[:2] == (result, sent)
    (notice,) = again[2]
    assert notice == (
        f"something in the journal {path} is damaged: what cannot be read counts as missing and is"
        " asked for again"
    )
    assert fold(path.parent) == (result, 0, [])  # the new replies took their places
    survives(capfd)


def test_what_is_no_reply_may_be_damaged_too(stored, path, capfd):
    for sql in (
        "UPDATE texts SET data = CAST(substr(data, 1, 9) || x'ff' || substr(data, 11) AS BLOB)",
        "DELETE FROM texts",
        "UPDATE prompts SET body = x'5b5b'",
        "UPDATE tables SET data = x'00'",
        "UPDATE counts SET tokens = 'many'",
        "UPDATE contacts SET capabilities = '{'",
        "UPDATE contacts SET capabilities = CAST(x'ff' AS TEXT)",
        "UPDATE sites SET source = CAST(x'ff' AS TEXT), step = x'01'",
        "UPDATE ledger SET node = x'ff', outcome = CAST(x'ff' AS TEXT), attempts = 'no'",
        "UPDATE runs SET pipeline = x'ff', model = CAST(x'ff' AS TEXT), status = 1",
        "UPDATE runs SET started = 1e300, ended = -1e300",
        "UPDATE runs SET started = 'then', ended = 'now'",
        "UPDATE runs SET command = '{', summary = '[1]'",
        "UPDATE runs SET summary = '{\"prompt_tokens\": 1}'",
        "UPDATE runs SET command = x'ff', summary = CAST(x'ff' AS TEXT)",
    ):
        change(path, sql)
        survives(capfd)
        assert fold(path.parent)[:2] == (stored[1], 0), sql
        survives(capfd)
        shutil.copy(stored[0], path)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_no_flipped_bit_makes_a_wrong_reply_or_a_defect(stored, path, capfd, seed):
    """Replies as long as these lie with a checksum; the file is refused or gives what it gave."""
    source, result, _ = stored
    content, chance = bytearray(source.read_bytes()), random.Random(seed)
    used = [place for place, byte in enumerate(content) if byte]  # most of a small one is empty
    for place in chance.choices(used, k=chance.randint(1, 4)):
        content[place] ^= 1 << chance.randrange(8)
    for each in path.parent.glob("j*"):
        each.unlink()
    path.write_bytes(content)
    survives(capfd, COMMANDS[2:6:2])
    with suppress(JournalError):
        assert fold(path.parent)[0] == result
    survives(capfd, COMMANDS[:1])
