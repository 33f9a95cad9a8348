"""What the models of a job cost, before anything is sent to them."""

from __future__ import annotations

from octavo.engine.dispatch.pricing import Price, find_price
from octavo.engine.run.job import Job
from octavo.errors import UsageError
from octavo.protocols import Backend, Embedding, Profile, Served

__all__ = ["find_chat_price", "find_embedding_price", "require_chat_price"]


def find_chat_price(job: Job, backend: Backend) -> Price | None:
    """Return the price of the model that replies, or None when it is not known."""
    return find_price(job.profile, backend.place if isinstance(backend, Served) else None)


def require_chat_price(job: Job, backend: Backend) -> Price:
    """Return the same price; raises UsageError when it is not known."""
    price = find_chat_price(job, backend)
    if price is None:
        raise UsageError(
            f"--max-cost: the price of {job.profile.model} is not known",
            hint="set price_in and price_out, in dollars per million tokens, in its profile",
        )
    return price


def find_embedding_price(job: Job, embedding: Embedding | None) -> Price | None:
    """Return the price of the model that embeds, or None when it is not known."""
    profile, named = job.profile, job.profile.embeddings
    if isinstance(named, Profile):
        profile = named
    elif named is not None:
        kind, _, _ = profile.model.partition(":")
        # What the profile says of prices is said of the model that replies.
        changes = {"model": f"{kind}:{named}", "price_in": None, "price_out": None}
        profile = profile.model_copy(update=changes)
    return find_price(profile, embedding.place if isinstance(embedding, Served) else None)
