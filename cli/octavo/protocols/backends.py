"""What answers calls, and what a backend may offer beside that: samples, embeddings, a check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from octavo.protocols.calls import Embedded, RateLimit, Reply, Request

__all__ = [
    "Backend",
    "BackendType",
    "Capabilities",
    "Checking",
    "Embedding",
    "Fetching",
    "Profile",
    "Sampling",
    "Serve",
    "Served",
    "Starting",
    "Transient",
]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do; None where it is not known yet."""

    window: int | None = None
    tokenizer: str | None = None
    structured: bool = False
    logprobs: bool = False
    prompt_logprobs: bool = False
    embeddings: bool = False
    tokenize: bool = False
    samples: bool = False
    cached_usage: bool = False
    priority: bool = False
    parallel: int | None = None


class Serve(BaseModel):
    """How Octavo starts a server of its own, as `[profiles.NAME.serve]` says.

    Only `vllm:` models have one. What is not said is the server's own default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    command: Sequence[str] = ()
    """What starts the server, for a vLLM that is not on the path: `["/opt/vllm/bin/vllm",
    "serve"]`."""
    port: int | None = None
    """Unsaid, a free one."""
    revision: str | None = None
    dtype: str | None = None
    quantization: str | None = None
    load_format: str | None = None
    tensor_parallel_size: int | None = None
    max_model_len: int | None = None
    """Tokens of prompt and reply together."""
    max_num_seqs: int | None = None
    """How many calls the server computes at once."""
    gpu_memory_utilization: float | None = None
    """The share of the GPU's memory that the server takes, 0 to 1."""
    arguments: Sequence[str] = ()
    """Further arguments, as on the server's command line."""


class Profile(BaseModel):
    """How to reach a model, as `octavo.toml` says under `[profiles.NAME]`."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    model: str
    """`BACKEND:NAME`, for example `openai:gpt-5-mini`."""
    base_url: str | None = None
    api_key_env: str | None = None
    api_key_cmd: str | None = None
    identity: str | None = None
    """What stands for the server in keys; by default the host without its port."""
    client: Literal["aiohttp", "openai"] = "aiohttp"
    window: int | None = None
    tokenizer: str | None = None
    timeout: float = 600.0
    """Seconds without an answer after which a call counts as lost."""
    stream: bool = False
    max_tokens_field: Literal["auto", "max_tokens", "max_completion_tokens"] = "auto"
    system_role: Literal["auto", "system", "developer"] = "auto"
    structured: bool | None = None
    """Whether the server takes a JSON Schema; unsaid, only OpenAI's own is trusted to."""
    logprobs: bool | None = None
    """Whether the server gives log probabilities; unsaid, it is not trusted to."""
    prompt_logprobs: bool | None = None
    """Whether it gives those of a text that it is sent, by echoing plain completions."""
    embeddings: str | Profile | None = None
    """The model that embeds: its name on the same server, or a profile of its own."""
    priority: bool = False
    """Whether the server computes first what a run needs first, as vLLM does when told to."""
    parallel: int | None = None
    """How many calls the server is known to take at once."""
    price_in: float | None = Field(default=None, ge=0)
    """US dollars for a million tokens of prompts; needs `price_out`."""
    price_out: float | None = Field(default=None, ge=0)
    """US dollars for a million tokens of replies."""
    requests_per_minute: float | None = None
    """A rate limit to keep under, beside those that the server tells."""
    tokens_per_minute: float | None = None
    """The same for tokens of prompts and replies together."""
    hedge: float | None = None
    """How many times as long as usual a call may take before a second copy of it is sent."""
    serve: Serve = Serve.model_construct()
    headers: Mapping[str, str] = Field(default_factory=dict[str, str])
    options: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """Passed through in every request body."""


class Backend(Protocol):
    """Something that answers calls.

    `identity` and `model` enter keys, so they say what answers and nothing of where it runs.
    """

    @property
    def identity(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def known(self) -> Capabilities:
        """What can be said without any contact: the profile's word and the backend's nature."""
        ...

    async def contact(self) -> Capabilities:
        """Return the capabilities, asking the server for them once and never by a paid call."""
        ...

    async def send(self, request: Request, started: Callable[[], None]) -> Reply:
        """Answer one request.

        Calls `started` at the first token when it streams. Raises Transient for what may be
        tried again, CallError or BackendError for what may not.
        """
        ...

    async def close(self) -> None:
        """Release connections, processes and memory; safe to call twice."""
        ...


@runtime_checkable
class Sampling(Protocol):
    """A backend that answers several samples of one prompt by one request.

    One whose capabilities say `samples` must be such.
    """

    async def sample(
        self, requests: Sequence[Request], started: Callable[[], None]
    ) -> Sequence[Reply]:
        """Answer requests that differ in their sample numbers alone, in their order.

        A server that gives fewer answers than asked for leaves the last ones out; there is at least
        one. The usage of all replies together is that of the request. Raises what `send` raises.
        """
        ...


@runtime_checkable
class Fetching(Protocol):
    """A backend that may have to fetch its model before its first call.

    `progress`, when set, is told what is fetched and how many of how many bytes are there; it is
    called on the event loop's thread, at least once at the start and once at the end.
    """

    progress: Callable[[str, int, int], None] | None


@runtime_checkable
class Served(Protocol):
    """A backend that is a server; `place` is its base URL, by which its prices are looked up."""

    @property
    def place(self) -> str: ...


@runtime_checkable
class Checking(Protocol):
    """A backend that can tell, for nothing, whether it would answer."""

    async def check(self) -> str:
        """Return a few words on how it is; raises as `contact` and `send` do.

        Sends no paid call, loads no model and fetches nothing.
        """
        ...


@runtime_checkable
class Starting(Protocol):
    """A backend that may have to start a server before its first call.

    Both hooks, when set, are called on the event loop's thread. `stage` is told in a few words
    what is being waited for, and the empty text when the server answers; `capacity`, then, how
    many calls it is known to take at once.
    """

    stage: Callable[[str], None] | None
    capacity: Callable[[int], None] | None

    def give_up(self) -> None:
        """Start nothing any more: calls that wait for the server fail with a BackendError."""
        ...


@dataclass(frozen=True, slots=True)
class BackendType:
    """One kind of backend; `open(name, profile)` does no work that a cached run would not need."""

    name: str
    about: str
    open: Callable[[str, Profile], Backend]


class Transient(Exception):  # noqa: N818 - a state of the server, not an error of the run
    """An attempt that may be tried again.

    `kind` is `rate`, `server`, `timeout` or `connection`; `retry_after` is in seconds;
    `limits` is what the server said of its rate limits.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        retry_after: float | None = None,
        limits: tuple[RateLimit, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.retry_after = retry_after
        self.limits = limits


@runtime_checkable
class Embedding(Protocol):
    """A backend that can embed texts; whether this one does say its capabilities."""

    @property
    def embedder(self) -> str:
        """What embeds, for keys: the server and the model, and nothing of where it runs."""
        ...

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a vector for each text, by one request.

        Raises Transient for what may be tried again, CallError or BackendError for what may not.
        """
        ...
