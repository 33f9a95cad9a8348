"""The process that holds an embedded model; run as a script, it imports nothing of Octavo.

llama.cpp lives in a process of its own for three reasons: it writes to standard output and error
at will, it ends its process when it meets a defect, and how its threads wait for each other is
decided by the environment before it is loaded.

Standard input brings one JSON object a line, `{"id", "body"}` or `{"cancel": id}`; standard output
gives `{"ready"}` or `{"failed"}` once, then for each id `{"id", "began"}` at the first token,
`{"id", "said"}` with each piece of text, `{"id"}` as a sign of life, and last `{"id", "reply"}` or
`{"id", "error"}`. A body with `texts` is answered by `{"id", "vectors", "tokens"}`. The process
ends with its input, however its parent ended.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

_MAX_SOCKET_PATH = 100
"""Longest path of a Unix socket that every system takes."""

_MIN_BATCH = 4
"""Tokens that a batch has at least where all batches shall be computed alike."""

_LOG_DELAY = 0.1
"""Seconds after which the library's own thread has written its log."""


class _Server(Protocol):
    def handle_chat_completions(
        self, request: dict[str, Any], callback: Callable[[dict[str, Any]], bool]
    ) -> object: ...
    def handle_completions(
        self, request: dict[str, Any], callback: Callable[[dict[str, Any]], bool]
    ) -> object: ...

    def handle_embeddings(self, request: dict[str, Any]) -> object: ...


def main() -> None:
    """Load a model as the first argument says, then answer until the input ends.

    The second argument names a directory for the socket, which goes with the process.
    """
    settings: dict[str, Any] = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the library prints goes to the log
    directory = sys.argv[2]
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    cancelled: set[int] = set()
    threading.Thread(
        target=_read_requests, args=(requests, cancelled, directory), daemon=True
    ).start()
    try:
        server = _load_server(settings, directory)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent tells the user
        time.sleep(_LOG_DELAY)
        _write_message(answers, {"failed": str(error)})
        os._exit(1)
    _write_message(answers, {"ready": True})
    seat = _RequestHandler(server, answers, cancelled, settings["batch"])
    while True:
        seat.answer_request(requests.get())


def _read_requests(
    requests: queue.SimpleQueue[dict[str, Any]], cancelled: set[int], directory: str
) -> None:
    """Take requests in until the input ends, and the process with it."""
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "cancel" in message:
            cancelled.add(message["cancel"])
        else:
            requests.put(message)
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)  # the library's own end waits for calls under way


def _load_server(settings: dict[str, Any], directory: str) -> _Server:
    """Load the model and return its server, which nobody else can reach."""
    xllamacpp: Any = importlib.import_module("xllamacpp")  # after standard output was put aside
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.n_ctx = settings["window"]
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = settings["batch"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    # Flash attention sums in an order that depends on the number of threads.
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.fit_params = False
    params.warmup = False
    params.embedding = settings["embeds"]
    if settings["pools"]:
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.verbosity = 2
    # The library cannot be kept from listening: where it can be a socket in a directory of ours,
    # no port is opened, and in any case nobody knows the key.
    socket = os.path.join(directory, "llama.sock")  # noqa: PTH118 - a string is asked for
    if sys.platform != "win32" and len(socket) <= _MAX_SOCKET_PATH:
        params.hostnames = [socket]
    params.port = 0
    params.api_keys = [secrets.token_urlsafe(32)]
    params.cors_origins = ""
    params.cors_credentials = False
    params.ui = False
    params.endpoint_slots = False
    return xllamacpp.Server(params)


class _PrefixCache:
    """How much of the last prompt can be reused without changing a reply.

    A prompt is computed in batches, and a batch of one token by another routine than larger ones,
    which rounds otherwise. So what is kept is used only where no such remainder is left, with it
    or without: then the same request has the same reply to the last bit, whatever came before.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._reusable = 0

    def is_reusable(self, total: int, cached: int) -> bool:
        """Tell whether `cached` of the `total` tokens of a prompt may be taken as they are."""
        return cached <= self._reusable and not (
            self._compute_small_remainder(total) or self._compute_small_remainder(total - cached)
        )

    def invalidate(self) -> None:
        """Mark everything as not reusable while a prompt is computed."""
        self._reusable = 0

    def mark_computed(self, total: int) -> None:
        """Take note of a prompt that was computed to its end; replies are not kept."""
        self._reusable = total - self._compute_small_remainder(total)

    def _compute_small_remainder(self, tokens: int) -> int:
        left = tokens % self._batch
        return left if left < _MIN_BATCH else 0


class _RequestHandler:
    """Answers one request after the other."""

    def __init__(self, server: _Server, answers: BinaryIO, cancelled: set[int], batch: int) -> None:
        self._server = server
        self._answers = answers
        self._cancelled = cancelled
        self._prefix_cache = _PrefixCache(batch)

    def answer_request(self, message: dict[str, Any]) -> None:
        """Answer one request; the last line is the whole answer, also when it fails."""
        number: int = message["id"]
        if "texts" in message["body"]:
            self._embed(number, message["body"]["texts"])
            return
        # A prompt without a chat is scored: what is kept is not used, and lost by it.
        gathered = self._ask(number, message["body"], reuse="prompt" not in message["body"])
        if gathered is None:
            gathered = self._ask(number, message["body"], reuse=False)
        self._cancelled.discard(number)
        _write_message(
            self._answers, {"id": number, **(gathered or _StreamedReply()).build_message()}
        )

    def _embed(self, number: int, texts: list[str]) -> None:
        """Give the vector of each text, one after the other: so none depends on its neighbours."""
        vectors: list[list[float]] = []
        tokens = 0
        for text in texts:
            if number in self._cancelled:
                break
            answer: Any
            try:
                answer = self._server.handle_embeddings({"input": [text]})
            except Exception as error:  # noqa: BLE001 - told to the parent, which knows what to do
                answer = {"error": {"message": str(error), "type": "exception"}}
            if "error" in answer:
                _write_message(self._answers, {"id": number, "error": answer["error"]})
                return
            vectors.append(answer["data"][0]["embedding"])
            tokens += answer["usage"]["prompt_tokens"]
            _write_message(self._answers, {"id": number})
        self._cancelled.discard(number)
        _write_message(self._answers, {"id": number, "vectors": vectors, "tokens": tokens})

    def _ask(self, number: int, body: dict[str, Any], *, reuse: bool) -> _StreamedReply | None:
        """Return a reply, or None when what is kept of the last prompt must not be used."""
        gathered = _StreamedReply()
        total = 0
        unusable = False

        def on_chunk(chunk: dict[str, Any]) -> bool:
            nonlocal total, unusable
            if number in self._cancelled:
                return True
            progress = chunk.get("prompt_progress")
            if progress and not total:
                total = progress["total"]
                unusable = progress["cache"] > 0 and not kept.is_reusable(total, progress["cache"])
                kept.invalidate()
            if unusable:
                return True
            began = gathered.add_chunk(chunk)
            message: dict[str, Any] = {"id": number, "began": True} if began else {"id": number}
            if text := gathered.new_text:
                message["said"] = text
            _write_message(self._answers, message)
            return False

        kept = self._prefix_cache
        if number in self._cancelled:
            return gathered
        try:
            server = self._server
            handle = (
                server.handle_completions if "prompt" in body else server.handle_chat_completions
            )
            handle({**body, "cache_prompt": reuse}, on_chunk)
        except Exception as error:  # noqa: BLE001 - told to the parent, which knows what to do
            gathered.error = {"message": str(error), "type": "exception"}
        if unusable:
            return None
        if gathered.finished:
            kept.mark_computed(total)
        return gathered


class _StreamedReply:
    """A reply that arrives in pieces."""

    def __init__(self) -> None:
        self.error: Any = None
        self.new_text = ""
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._logprobs: list[Any] = []
        self._finish: str | None = None
        self._usage: Any = None

    @property
    def finished(self) -> bool:
        """Whether the reply came to its end."""
        return self._finish is not None

    def add_chunk(self, chunk: dict[str, Any]) -> bool:
        """Take a piece in; tell whether it is the first with any text."""
        if "error" in chunk:
            self.error = chunk["error"]
            return False
        self._usage = chunk.get("usage") or self._usage
        first = not self._text and not self._reasoning
        self.new_text = ""
        for choice in chunk.get("choices", ()):
            delta = choice.get("delta", {})
            if text := delta.get("content") or choice.get("text"):
                self._text.append(text)
                self.new_text += text
            if text := delta.get("reasoning_content"):
                self._reasoning.append(text)
            logprobs: dict[str, Any] = choice.get("logprobs") or {}
            self._logprobs += logprobs.get("content") or ()
            self._finish = choice.get("finish_reason") or self._finish
        return first and bool(self._text or self._reasoning)

    def build_message(self) -> dict[str, Any]:
        """Return the last line about a request."""
        if self.error is not None:
            return {"error": self.error}
        return {
            "reply": {
                "text": "".join(self._text),
                "reasoning": "".join(self._reasoning) or None,
                "logprobs": self._logprobs,
                "finish": self._finish,
                "usage": self._usage,
            }
        }


def _write_message(answers: BinaryIO, message: dict[str, Any]) -> None:
    try:
        answers.write(json.dumps(message).encode() + b"\n")
        answers.flush()
    except OSError:
        os._exit(0)  # the parent is gone


if __name__ == "__main__":
    main()
