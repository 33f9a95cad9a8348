"""What the tests of the openai backend share: a request, a way to send it, answers by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.serving import Answer, Call

from octavo.backends.openai.backend import OpenAIBackend
from octavo.protocols import Message, Profile, Reply, Request

CLIENTS = ("aiohttp", "openai")
REQUEST = Request((Message("system", "Be brief."), Message("user", "When is it?")), max_tokens=60)


def backend(url: str, name: str = "mock", **fields) -> OpenAIBackend:
    return OpenAIBackend(name, Profile(model=f"openai:{name}", base_url=url, **fields))


def send(url: str, request: Request = REQUEST, name: str = "mock", started=None, **fields) -> Reply:
    """Send one request by a backend of its own."""

    async def run() -> Reply:
        opened = backend(url, name, **fields)
        try:
            return await opened.send(request, started or (lambda: None))
        finally:
            await opened.close()
            await opened.close()

    return asyncio.run(run())


def saying(message, finish="stop", **body) -> Callable[[Call], Answer | None]:
    """Answer every chat with this message."""
    message = {"content": message} if isinstance(message, str) else message
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return chat(lambda _: Answer(body={"choices": [choice], **body}))


def chat(answer: Callable[[Call], Answer | None]) -> Callable[[Call], Answer | None]:
    """Leave everything but chats to the mock."""
    return lambda call: answer(call) if call.method == "POST" else None


def refusing(words: str, when: Callable[[dict], bool], *, status=400, **error):
    """Answer chats like the mock unless the body is one that this server refuses."""

    def answer(call: Call) -> Answer | None:
        if not when(call.body):
            return None
        return Answer(status, {"error": {"message": words, "type": "invalid", **error}})

    return chat(answer)


async def becomes(condition: Callable[[], bool]) -> None:
    """Let things go on until the server, which runs in another thread, is so far."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - an asyncio.Event belongs to one thread
            await asyncio.sleep(0)
