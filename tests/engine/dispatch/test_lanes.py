"""Each server and model has limits and outages of its own; what ends a run ends it for all."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from tests.support.clock import run_virtually
from tests.support.mock.behaviour import RateLimit

from octavo.backends.openai.rate_limit_headers import read_rate_limits
from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.report import Silence
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.engine.splitting import open_scorer
from octavo.errors import AuthError, UnreachableError
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import Capabilities, Profile, Transient
from octavo.text.document import Document

PIPELINE = """
octavo: 1
steps:
  - split: {by: semantic, tokens: 60}
  - map: {prompt: "Sum up: {{ text | fence }}", tokens: 60}
"""
BATCH = 64
"""Texts of one request."""


class Server(ScriptedBackend):
    """Notes how many requests were in flight at once, to each model, and waits for a reply."""

    def __init__(self, *, chat=1.0, embedding=1.0, on_chat=None, on_embedding=None):
        known = Capabilities(window=4000, embeddings=True, prompt_logprobs=True)
        super().__init__(lambda _: "Fine.", identity="scripted:lanes", known=known)
        self.seconds = {"chat": chat, "embedding": embedding}
        self.hooks = {"chat": on_chat, "embedding": on_embedding}
        self.flying = {"chat": 0, "embedding": 0}
        self.asked = {"chat": 0, "embedding": 0}
        self.most = {"chat": 0, "embedding": 0, "both": 0}
        self.chats = []
        """How many calls were in flight whenever one was sent."""

    async def send(self, request, started):
        await self._answer("chat")
        return await super().send(request, started)

    async def embed(self, texts):
        await self._answer("embedding")
        return await super().embed(texts)

    async def _answer(self, model):
        self.asked[model] += 1
        self.flying[model] += 1
        self.most[model] = max(self.most[model], self.flying[model])
        self.most["both"] = max(self.most["both"], sum(self.flying.values()))
        if model == "chat":
            self.chats.append(self.flying[model])
        try:
            if self.hooks[model] is not None:
                self.hooks[model]()
            await asyncio.sleep(self.seconds[model])
        finally:
            self.flying[model] -= 1


def each_time(*faults):
    """Raise the faults one after the other; None stands for a request that is answered."""
    left = list(faults)

    def hook():
        fault = left.pop(0) if left else None
        if fault is not None:
            raise fault

    return hook


def sentences(count, name="S"):
    return " ".join(f"{name}{n} is a sentence of several words." for n in range(count))


def run(tmp_path, server, *texts, profile=None, registry=None, **options):
    """Run the pipeline over texts; return the report and the virtual seconds."""
    (tmp_path / "p.yaml").write_text(PIPELINE)
    job = Job(
        pipeline=load_pipeline(str(tmp_path / "p.yaml"), Registry()),
        params={},
        inputs=[Document(text, f"{n}.txt") for n, text in enumerate(texts)],
        profile=profile or Profile(model="scripted:lanes"),
        private=True,
        backend=server,
        **({} if registry is None else {"registry": registry}),
        **options,
    )
    return run_virtually(execute(job, watch=Silence(), sink=lambda _: None))


@pytest.mark.parametrize(
    "faults",
    [
        [Transient("slow down", kind="rate")],
        [Transient("no answer", kind="timeout")],
        [],  # many batches are embedded, which would let an adaptive limit grow
    ],
)
def test_the_embedding_model_leaves_the_limit_of_the_chat_model_alone(tmp_path, faults):
    server = Server(chat=10.0, on_embedding=each_time(*faults))
    run(tmp_path, server, sentences(25 * BATCH))
    assert server.chats[:8] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert server.chats[8] <= 8


def test_the_limit_of_a_run_is_one_for_all_models(tmp_path):
    server = Server(chat=1.3)
    run(tmp_path, server, *(sentences(4 * BATCH, name) for name in "ABCD"), jobs=5)
    assert min(server.most["chat"], server.most["embedding"]) > 1
    assert server.most["both"] == 5


def test_a_chat_model_that_is_down_ends_the_run_while_texts_are_embedded(tmp_path):
    def refuse():
        raise Transient("connection refused", kind="connection")

    server = Server(embedding=6.0, on_chat=refuse)
    report, seconds = run(tmp_path, server, sentences(9), sentences(24 * BATCH, "T"), jobs=4)
    assert isinstance(report.error, UnreachableError)
    assert report.error.message.startswith("nothing but failures for 2")
    assert seconds < 45


def test_the_rate_limits_that_an_embedding_model_tells_are_kept(tmp_path):
    limit, refused = RateLimit(300), 0

    def take():
        nonlocal refused
        now = asyncio.get_running_loop().time()
        if wait := limit.wait(now, 1):
            refused += 1
            told = read_rate_limits(limit.headers())
            raise Transient("slow down", kind="rate", retry_after=wait, limits=told)
        limit.take(1)

    server = Server(embedding=0.1, on_embedding=take)
    run(tmp_path, server, sentences(60 * BATCH), jobs=32)
    assert len(server.embedded) == 60
    assert refused < 40


def test_the_rate_limits_that_the_profile_of_an_embedding_model_states_are_kept(tmp_path):
    server, embedding = Server(), Server(embedding=0.1)

    class Opening(Registry):
        def get_backend(self, name):
            return SimpleNamespace(open=lambda *_: embedding) if name == "stand-in" else None

    stated = Profile(model="stand-in:e", requests_per_minute=60)
    _, seconds = run(
        tmp_path,
        server,
        sentences(20 * BATCH),
        profile=Profile(model="scripted:lanes", embeddings=stated),
        registry=Opening(),
    )
    assert len(embedding.embedded) == 20
    assert seconds > 19


def test_what_ends_the_run_at_the_embedding_model_is_met_once(tmp_path):
    def refuse():
        raise AuthError("the key is not accepted")

    server = Server(on_embedding=refuse)
    report, _ = run(tmp_path, server, sentences(20 * BATCH), jobs=1)
    assert isinstance(report.error, AuthError)
    assert server.asked["embedding"] == 1


def test_a_score_that_is_answered_ends_an_outage():
    refused = Transient("connection refused", kind="connection")
    server = Server(chat=15.0, on_chat=each_time(refused, None, None, refused))

    async def scenario():
        async with open_scorer(server, private=True) as scorer:
            return [await scorer.compute_surprise("It pours.", str(n)) for n in range(4)]

    assert len(run_virtually(scenario())[0]) == 4
