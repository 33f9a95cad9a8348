"""The lanes of a run, which are opened when something is sent for the first time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from octavo.engine.dispatch.budget import Budget
from octavo.engine.dispatch.circuit_breaker import CircuitBreaker
from octavo.engine.dispatch.concurrency import ConcurrencyLimiter
from octavo.engine.dispatch.lane import Lane
from octavo.engine.dispatch.pricing import Price
from octavo.engine.dispatch.rate_limit import RateLimiter
from octavo.engine.dispatch.retry import RetryPolicy
from octavo.engine.dispatch.run_limiter import DEFAULT_PARALLEL, RunLimiter
from octavo.engine.run.job import JobSession
from octavo.engine.run.prices import find_embedding_price
from octavo.protocols import Profile, Request, Starting

__all__ = ["Lanes", "open_lanes"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Lanes:
    """Where a run sends chats and where it sends texts to embed; the same when nothing embeds."""

    chat: Lane
    embedding: Lane


def open_lanes(
    session: JobSession,
    run: RunLimiter,
    count_prompt: Callable[[Request], int],
    price: Price | None,
) -> Lanes:
    """Return the lanes below the limit of a run; `price` is that of the model that replies.

    What the profile says of rate limits is said of the model that replies.
    """
    job = session.job
    budget = Budget(job.allowance, count_prompt)
    policy = RetryPolicy(sleep=lambda seconds: run.pause(min(seconds, budget.seconds_left)))
    chat = Lane(
        _build_limiter(run, session.parallel, job.profile),
        session.journal,
        policy,
        budget if job.allowance else None,
        price,
    )
    if isinstance(session.backend, Starting) and not (job.jobs or job.profile.parallel):
        session.backend.capacity = chat.limiter.raise_to
    if session.embedding is None:
        return Lanes(chat, chat)
    named = job.profile.embeddings
    profile = named if isinstance(named, Profile) else None
    size = job.jobs or (profile.parallel if profile else session.known.parallel)
    limits_cost = job.allowance.cost is not None
    embedding = replace(
        chat,
        limiter=_build_limiter(run, size, profile),
        price=find_embedding_price(job, session.embedding) if limits_cost else None,
        breaker=CircuitBreaker(),
    )
    return Lanes(chat, embedding)


def _build_limiter(
    run: RunLimiter, size: int | None, profile: Profile | None
) -> ConcurrencyLimiter:
    """Return the limiter of a model; `profile` states its rate limits."""
    stated: dict[str, float] = {}
    if profile is not None:
        limits = {"requests": profile.requests_per_minute, "tokens": profile.tokens_per_minute}
        stated = {kind: limit for kind, limit in limits.items() if limit is not None}
    return ConcurrencyLimiter(
        size or DEFAULT_PARALLEL,
        adaptive=size is None,
        rate_limiter=RateLimiter(stated),
        run=run,
    )
