"""What tokens cost: by the profile, else by the price list of genai-prices, else unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from octavo.protocols import Profile

__all__ = ["Price", "find_price"]


_LOCAL_BACKENDS = frozenset({"llama", "vllm", "scripted"})
"""Backends that run on this machine: nobody bills their tokens."""

_ONE_RATE_TOKENS = 100_000
"""Tokens of a prompt up to which every price list has one rate."""


class Price(Protocol):
    """US dollars for a call's tokens. `origin` says where the price is from."""

    @property
    def origin(self) -> str: ...
    def cost(self, prompt: int, completion: int, cached: int = 0) -> float:
        """Return the dollars for one call; `cached` tokens are part of `prompt`."""
        ...


@dataclass(frozen=True, slots=True)
class _FixedRates:
    """Dollars a million tokens; cached ones cost as much as others where no rate says less."""

    origin: str
    prompt: float
    completion: float

    def cost(self, prompt: int, completion: int, cached: int = 0) -> float:
        del cached
        return (prompt * self.prompt + completion * self.completion) / 1e6


class _ListedRates:
    """A model of the price list. Rates that depend on a prompt's length are looked up for it."""

    def __init__(self, model: str, url: str) -> None:
        self._model = model
        self._url = url
        self.origin = "genai-prices"
        million = 1_000_000 / _ONE_RATE_TOKENS
        self._prompt = self._look_up(_ONE_RATE_TOKENS, 0, 0) * million
        self._completion = self._look_up(0, _ONE_RATE_TOKENS, 0) * million
        self._cached = self._look_up(_ONE_RATE_TOKENS, 0, _ONE_RATE_TOKENS) * million

    def cost(self, prompt: int, completion: int, cached: int = 0) -> float:
        if prompt > _ONE_RATE_TOKENS:
            return self._look_up(prompt, completion, cached)
        fresh = prompt - cached
        spent = fresh * self._prompt + cached * self._cached + completion * self._completion
        return spent / 1e6

    def _look_up(self, prompt: int, completion: int, cached: int) -> float:
        from genai_prices import Usage, calc_price  # noqa: PLC0415 - takes 0.3 s, seldom needed

        usage = Usage(input_tokens=prompt, output_tokens=completion, cache_read_tokens=cached)
        return float(calc_price(usage, self._model, provider_api_url=self._url).total_price)


def find_price(profile: Profile, place: str | None) -> Price | None:
    """Return what the profile's model costs, or None when that is unknown.

    `place` is the base URL of the server that answers, or None for a backend that has none.
    """
    if profile.price_in is not None and profile.price_out is not None:
        return _FixedRates("the profile", profile.price_in, profile.price_out)
    kind, _, name = profile.model.partition(":")
    if kind in _LOCAL_BACKENDS:
        return _FixedRates("it runs on this machine", 0.0, 0.0)
    if place is None:
        return None
    try:
        return _ListedRates(name, place)
    except LookupError:
        return None
