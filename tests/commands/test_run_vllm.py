"""The command with a profile that starts a server, from its first line to its last process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from tests.backends.vllm.test_backend import alive, gone, listed
from tests.support import vllm_standin

PIPELINE = """
octavo: 1
steps:
  - split: {by: structure, tokens: 300}
  - margins: {read: read, answer: answer, tokens: 40, answer_tokens: 60, classify: none}
"""
READ = """
{% block user %}
{% for segment in segments %}{{ segment | fence }}
{% endfor %}
What does the last one say?
{% endblock %}
"""
ANSWER = """
{% block user %}
{% for segment in segments %}{{ segment | fence }}
{% endfor %}
{% for margin in margins %}{{ margin | fence }}
{% endfor %}
What do they say?
{% endblock %}
"""


@pytest.fixture
def place(tmp_path):
    """A directory with a pipeline, a text and a profile whose server is the stand-in."""
    (tmp_path / "p.yaml").write_text(PIPELINE)
    (tmp_path / "read.j2").write_text(READ)
    (tmp_path / "answer.j2").write_text(ANSWER)
    sentences = [f"The keeper of light {number} saw {number} ships." for number in range(200)]
    (tmp_path / "text.txt").write_text("\n\n".join(sentences))
    configure(tmp_path)
    return tmp_path


def configure(place, *arguments, model="some/model"):
    command = [sys.executable, vllm_standin.__file__, "serve"]
    words = ["--standin-processes", str(place / "processes"), *arguments]
    (place / "octavo.toml").write_text(
        f'[profiles.gpu]\nmodel = "vllm:{model}"\n[profiles.gpu.serve]\n'
        f"command = {json.dumps(command)}\narguments = {json.dumps(words)}\n"
    )


def test_a_run_starts_the_server_reuses_prompts_and_stops_it(octavo, place):
    ended = octavo("run", "p.yaml", "text.txt", "-m", "gpu", "--json", "-v")
    assert ended.code == 0, ended.err
    assert "starting vLLM for some/model" in ended.err
    usage = json.loads(ended.out)["usage"]
    assert 0.5 < usage["hit_rate"] <= usage["ideal_hit_rate"] + 0.02 < 1
    assert usage["cached_tokens"] / usage["prompt_tokens"] == pytest.approx(usage["hit_rate"], 1e-3)
    line = next(line for line in ended.err.splitlines() if "prompts:" in line)
    assert f"{usage['cached_tokens']:,} cached ({usage['hit_rate']:.1%}, at best" in line
    assert gone(listed(place / "processes"))
    shown = octavo("runs", "show").out
    assert f"cached    {usage['cached_tokens']:,} of {usage['prompt_tokens']:,} tokens in" in shown
    told = json.loads(octavo("runs", "show", "--json").out)
    assert told["ideal_hit_rate"] == usage["ideal_hit_rate"]


def test_a_run_that_was_answered_starts_no_server(octavo, place):
    first = octavo("run", "p.yaml", "text.txt", "-m", "gpu")
    (place / "processes").unlink()
    second = octavo("run", "p.yaml", "text.txt", "-m", "gpu")
    assert (first.code, second.code) == (0, 0)
    assert second.stdout == first.stdout
    assert not (place / "processes").exists()


def test_what_vllm_says_is_one_line_and_the_backend_is_unusable(octavo, place):
    configure(place, model="no/memory")
    ended = octavo("run", "p.yaml", "text.txt", "-m", "gpu", "--progress", "none")
    assert ended.code == 3
    first, second = ended.err.splitlines()[:2]
    assert first.startswith("error: the GPU's memory is too small for the model 'no/memory': ")
    assert "max_model_len" in second


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_while_the_server_answers_leaves_no_process(place, number):
    configure(place, "--standin-latency=0.3")
    command = [sys.executable, "-m", "octavo", "run", "p.yaml", "text.txt", "-m", "gpu"]
    os.mkfifo(place / "events")
    process = subprocess.Popen(
        [*command, "--events", "events"], cwd=place, stderr=subprocess.DEVNULL, env=os.environ
    )
    with (place / "events").open() as events:
        assert any(json.loads(line)["event"] == "call_done" for line in events)
        assert all(map(alive, listed(place / "processes")))
        process.send_signal(number)
        assert process.wait(30) == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert gone(listed(place / "processes"))


def test_an_interrupt_while_the_server_starts_does_not_wait_for_it(place):
    configure(place, "--standin-start=60")
    command = [sys.executable, "-m", "octavo", "run", "p.yaml", "text.txt", "-m", "gpu"]
    process = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "100 %" in line:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    process.stderr.close()
    assert gone(listed(place / "processes"))
