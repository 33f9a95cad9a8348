"""Going on with what failed, and with nothing else."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from tests.support.serving import Answer, serving

PIPELINE = """\
octavo: 1
steps:
  - split: {by: structure, tokens: 60}
  - map: {prompt: "Again: {{ text }}", tokens: 60}
"""
REFUSAL = {"role": "assistant", "content": None, "refusal": "I would rather not."}


class Server:
    """Refuses texts that hold `wrong`, as long as there is such a word."""

    def __init__(self, mock):
        self.mock = mock
        self.wrong = None

    def answer(self, call):
        if call.method == "POST" and self.wrong and self.wrong in str(call.body):
            choice = {"index": 0, "message": REFUSAL, "finish_reason": "stop"}
            return Answer(200, {"choices": [choice], "usage": {}})
        return None

    @property
    def asked(self):
        return Counter(call.digest for call in self.mock.calls if call.method == "POST")


@pytest.fixture
def server(tmp_path, monkeypatch):
    (tmp_path / "again.yaml").write_text(PIPELINE)
    (tmp_path / "a.txt").write_text("\n\n".join(f"Sentence {n} of words. " * 9 for n in range(8)))
    hook = Server(None)
    with serving(answer=hook.answer) as mock:
        hook.mock = mock
        monkeypatch.setenv("OPENAI_BASE_URL", mock.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
        yield hook


COMMAND = ("run", "again.yaml", "a.txt", "-m", "openai:mock", "--progress", "none")


def last(octavo):
    [line] = octavo("runs", "list", "-n", "1", "--json").out.splitlines()
    return json.loads(line)


def test_a_document_that_failed_is_asked_again_for_what_failed_only(octavo, server):
    server.wrong = "Sentence 3"
    done = octavo(*COMMAND)
    assert done.code == 1
    assert "error: a.txt: the model refused to answer" in done.err
    assert "`octavo runs retry 1` asks again for what failed, and nothing else\n" in done.err
    server.wrong = None
    # The refusal is in the journal: the same command finds it.
    assert octavo("runs", "resume").code == 1
    before = server.asked
    done = octavo("runs", "retry")
    assert done.code == 0
    again = server.asked - before
    assert len(again.keys() & before.keys()) <= 2  # a chunk with the words, and its neighbour
    assert max(again.values()) == 1
    assert last(octavo)["status"] == "complete"
    # Whoever runs it now finds the new replies.
    assert octavo(*COMMAND).out == done.out
    assert server.asked == before + again
    assert octavo("runs", "retry").err == f"nothing failed in run {last(octavo)['run']}\n"


def test_an_accepted_partial_result_is_complete_and_says_what_it_covers(octavo, server):
    server.wrong = "Sentence 3"
    done = octavo(*COMMAND, "--allow-partial", "0.5", "--json")
    assert done.code == 0
    line = json.loads(done.out)
    assert 0.5 < line["coverage"] < 1
    assert line["usage"]["outcomes"]["refused"] > 0
    share = f"{int(line['coverage'] * 1000) / 10:.1f} %"
    assert (
        f"a.txt: the result covers {share} of the text, enough for --allow-partial 0.5" in done.err
    )
    done = octavo(*COMMAND, "--allow-partial", "0.99")
    assert done.code == 1
    assert done.out.count("\n") > 1  # what there is, is written
    assert "less than --allow-partial 0.99\n" in done.err
    assert last(octavo)["status"] == "partial"
    server.wrong = None
    done = octavo("runs", "retry")
    assert (done.code, "covers" in done.err) == (0, False)


def test_a_share_is_a_share(octavo, server):
    done = octavo(*COMMAND, "--allow-partial", "98")
    assert done.code == 2
    assert done.err.startswith("error: --allow-partial 98 is not between 0 and 1\n")


def test_a_fresh_run_is_retried_in_its_own_generation(octavo, server):
    octavo(*COMMAND)
    server.wrong = "Sentence 5"
    assert octavo(*COMMAND, "--fresh").code == 1
    server.wrong = None
    before = server.asked
    assert octavo("runs", "retry").code == 0
    assert max((server.asked - before).values()) == 1
    after = server.asked
    assert octavo(*COMMAND).code == 0
    assert server.asked == after
