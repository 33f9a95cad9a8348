"""Tells a model's reasoning from its text, by the marks that models put around it.

A server that knows its model's marks sends reasoning in a field of its own; others leave it in the
text, with the marks or with only the closing one, where the prompt's template opened the block. A
mark that a text merely mentions, in prose or in code, is none.
"""

from __future__ import annotations

import re

__all__ = ["split_reasoning"]


_MARKS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|think|>": "<|/think|>",
    "<|channel>thought": "<channel|>",
}
"""Opening and closing marks: of DeepSeek, Qwen and many, then Gemma, Seed, Mistral, Kimi, Cohere
and Gemma's further ones."""

_OPENING = re.compile(rf"\s*({'|'.join(map(re.escape, _MARKS))})")
_CLOSING = re.compile("|".join(map(re.escape, _MARKS.values())))
_OPENING_OF = {close: opening for opening, close in _MARKS.items()}
_MENTION = re.compile(r"[ \t]+(?:and|or|is|are|tags?|marks?|tokens?|blocks?|opens|starts|begins)\b")
"""What follows a mark in a sentence about it."""

_QUOTES = "`'\"\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
_SENTENCE_ENDS = ".!?…。！？:"  # noqa: RUF001 - the CJK forms

_HARMONY_START = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>\w+")
_HARMONY_MESSAGE = re.compile(
    r"(?:<\|start\|>[^<]*)?<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
    r"(.*?)(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)
_HARMONY_FINAL = re.compile(
    r"(?:<\|end\|>)?<\|start\|>assistant<\|channel\|>final[^<]*<\|message\|>"
)
_HARMONY_BARE = re.compile(r"\s*analysis(?=[A-Z'\"])(.*?)(?:assistantfinal(.*)|\Z)", re.DOTALL)
"""Harmony's channels where the server left out its special tokens."""


def split_reasoning(text: str) -> tuple[str, str]:
    """Return a reply's text and its reasoning, which is empty where there is none."""
    if "<|channel|>" in text and (harmony := _split_harmony(text)):
        return harmony
    if (bare := _HARMONY_BARE.match(text)) and bare[2] is not None:
        return bare[2].strip(), bare[1].strip()
    reasoning: list[str] = []
    while opening := _OPENING.match(text):
        start = opening.end()
        if _MENTION.match(text, start):
            break
        close = _MARKS[opening[1]]
        end = text.find(close, start)
        if end < 0:
            reasoning.append(text[start:])
            text = ""
            break
        reasoning.append(text[start:end])
        text = text[end + len(close) :].lstrip()
    if not reasoning and (closing := _find_lone_closing(text)):
        reasoning.append(text[: closing.start()])
        text = text[closing.end() :].lstrip()
    return text, "\n\n".join(filter(None, (each.strip() for each in reasoning)))


def _split_harmony(text: str) -> tuple[str, str] | None:
    """Return the final channel's text and the others', or None where there are no channels."""
    if not _HARMONY_START.match(text):
        # The prompt's template opened the channel of the analysis.
        final = _HARMONY_FINAL.search(text)
        if final is None or _is_in_code(text, final.start()):
            return None
        text = f"<|channel|>analysis<|message|>{text}"
    parts: dict[bool, list[str]] = {True: [], False: []}
    for message in _HARMONY_MESSAGE.finditer(text):
        parts[message[1] == "final"].append(message[2].strip())
    return "\n\n".join(parts[True]), "\n\n".join(parts[False])


def _find_lone_closing(text: str) -> re.Match[str] | None:
    """Return the mark that closes reasoning which a template opened, and no mention of one."""
    if text.lstrip()[:2] in {'["', "[{"} or text.lstrip()[:1] == "{":
        return None  # JSON
    for match in _CLOSING.finditer(text):
        before, after = text[: match.start()], text[match.end() :]
        if _OPENING_OF[match[0]] in before or _is_in_code(text, match.start()):
            continue
        line = before.rpartition("\n")[2]
        is_line_over = not after.strip(" \t") or after.lstrip(" \t")[0] in "\r\n"
        is_glued = bool(before[-1:].strip()) and before[-1] not in _QUOTES
        if not line.strip() and (is_line_over or after[0] not in " \t"):
            return match
        if is_glued and is_line_over:
            return match
        if line.rstrip()[-1:] in _SENTENCE_ENDS and after[:1] not in {" ", "\t", *_QUOTES}:
            return match
    return None


def _is_in_code(text: str, position: int) -> bool:
    """Return whether a place is in a fenced block, or between backticks of its line."""
    before = text[:position]
    line = before.rpartition("\n")[2]
    return before.count("```") % 2 == 1 or line.count("`") % 2 == 1
