"""Reasoning in every public notation is kept apart from the text; a mention of a mark stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.openai_calls import REQUEST, chat, saying, send
from tests.support.serving import Answer, serving

HM = "The user asks when. I look at the agenda.\n\nIt says noon."
HARMONY = "<|channel|>analysis<|message|>%s<|end|><|start|>assistant<|channel|>final<|message|>%s"

NOTATIONS = [
    ("llama.cpp#11861", "<think>\n%s\n</think>\n\n%s"),
    ("vllm#12999", "%s\n</think>\n\n%s"),
    ("vllm#12999", "%s</think>\n\n%s"),
    ("vllm#12999", "%s</think>%s"),
    ("llama.cpp#11861", "\n%s\n</think>\n%s"),
    ("llama.cpp#11861", "%s, surely</think>\n\n%s"),
    ("gpt-oss in harmony", HARMONY),
    ("gpt-oss in harmony", HARMONY + "<|return|>"),
    ("gpt-oss in harmony", "<|start|>assistant" + HARMONY),
    ("gpt-oss in harmony", HARMONY.removeprefix("<|channel|>analysis<|message|>")),
    ("gpt-oss in harmony", "analysis%sassistantfinal%s"),
    ("Mistral's Magistral", "[THINK]%s[/THINK]%s"),
    ("Mistral's Magistral", "%s[/THINK]%s"),
    ("lmstudio-bug-tracker#2013", "<|channel>thought\n%s<channel|>%s"),
    ("OpenTranscribe#439", "%s\n<channel|>%s"),
    ("hermes-agent#43950", "<thought>%s</thought>\n%s"),
    ("hermes-agent#43950", "<thinking>%s</thinking>\n%s"),
    ("Kimi-VL", "◁think▷%s◁/think▷%s"),
    ("Seed-OSS", "<seed:think>%s</seed:think>%s"),
    ("Cohere's Command A", "<|START_THINKING|>%s<|END_THINKING|>%s"),
]
MENTIONS = [
    "Qwen writes a closing </think> before its answer.",
    "The block ends with `</think>`\n\nThen the answer follows.",
    'It ends with "</think>"\nand goes on.',
    "```\nthinking\n</think>\n\nanswer\n```\nThat is what vLLM sends.",
    "The marks are [THINK] and [/THINK], says Mistral.",
    "The answer begins after <|channel|>final<|message|> in harmony.",
    "`<|channel|>analysis<|message|>` opens the analysis.",
    "The template is `<|start|>assistant<|channel|>final<|message|>`.",
    "<think> and </think> are the marks.",
    "A pair <think>like\n</think>\nthis one stays.",
    "analysis of the assistantfinal token",
    '{"said": "The end.</think>Noon"}',
    "Gemma closes with <channel|> what it opened.",
]  # fmt: skip


@pytest.fixture(params=[1, 7, 1000])
def in_pieces(request):
    """Return a stream of a text in pieces of some length."""

    def answer(text):
        size = request.param
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        events = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
        events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        return chat(lambda _: Answer(events=events))

    return answer


@pytest.mark.parametrize(("source", "notation"), NOTATIONS)
def test_reasoning_is_kept_apart_whole_or_streamed(source, notation, in_pieces):
    text = notation % (HM, "At noon.")
    thought = f"{HM}, surely" if "surely" in notation else HM
    for answer, stream in ((saying(text), False), (in_pieces(text), True)):
        with serving(answer=answer) as server:
            reply = send(server.url, stream=stream)
        assert (reply.text, reply.reasoning) == ("At noon.", thought), source


@pytest.mark.parametrize("text", MENTIONS)
def test_a_mention_of_a_mark_stays(text, in_pieces):
    for answer, stream in ((saying(text), False), (in_pieces(text), True)):
        with serving(answer=answer) as server:
            reply = send(server.url, stream=stream)
        assert (reply.text, reply.reasoning) == (text, None)


def test_a_draft_shows_no_marked_reasoning(in_pieces):
    seen = []
    with serving(answer=in_pieces(f"[THINK]{HM}[/THINK]At noon.")) as server:
        send(server.url, replace(REQUEST, draft=seen.append))
    assert not any("user" in each for each in seen)
    assert seen[-1] == "At noon."


def test_streamed_parts_of_thinking_are_no_text():
    """Mistral's streams have parts, as its whole replies do."""
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]
    deltas = [{"content": thinking}, {"content": "At "}, {"content": "noon."}]
    events = [{"choices": [{"delta": delta}]} for delta in deltas]
    events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    with serving(answer=chat(lambda _: Answer(events=events))) as server:
        reply = send(server.url, stream=True)
    assert (reply.text, reply.reasoning) == ("At noon.", "Hm.")
