"""The address of a server, and which API key may be sent to it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from octavo.config.api_key import KeySource, Secret
from octavo.errors import UsageError
from octavo.protocols.backends import Profile

__all__ = [
    "OPENAI_BASE_URL",
    "Endpoint",
    "build_clear_text_warning",
    "require_allowed_options",
    "resolve_endpoint",
]


OPENAI_BASE_URL = "https://api.openai.com/v1"
_KEY_VARIABLE = "OPENAI_API_KEY"
_BASE_URL_VARIABLE = "OPENAI_BASE_URL"
_RESERVED_OPTIONS = {
    "model": 'write the model as model = "openai:NAME"',
    "messages": "they come from the pipeline",
    "n": "samples are asked one by one",
    "stream": "write stream = true in the profile, beside options",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's base URL without a trailing slash, and what every request to it carries.

    `timeout` is in seconds. `from_environment` tells that the address is the environment's own,
    so that what else the environment says of OpenAI's client (organization, headers) belongs to it.
    """

    base_url: str
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    key_source: KeySource = field(default_factory=KeySource)
    key: Secret | None = None
    from_environment: bool = False

    @property
    def host(self) -> str:
        """The host without its port: what stands for the server in keys."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def netloc(self) -> str:
        """The host with its port, for messages."""
        return urlsplit(self.base_url).netloc

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI's own server."""
        return self.host == "api.openai.com"

    def scrub(self, raw: bytes) -> bytes:
        """Return what the server sent without the key."""
        return self.key.scrub(raw) if self.key is not None else raw


def require_allowed_options(profile: Profile) -> None:
    """Raise UsageError for options of a profile that would replace what Octavo sends itself."""
    for name, hint in _RESERVED_OPTIONS.items():
        if name in profile.options:
            raise UsageError(f"options of a profile cannot set {name!r}", hint=hint)


def resolve_endpoint(profile: Profile, environ: Mapping[str, str]) -> Endpoint:
    """Return where a profile's server is, with the key not read yet.

    A key goes only where it was meant to: a variable or command that the profile names, to the
    profile's address; OPENAI_API_KEY, to OPENAI_BASE_URL or else to OpenAI. Raises UsageError when
    the address is no plain http or https URL.
    """
    default_url = _normalize_url(
        environ.get(_BASE_URL_VARIABLE) or OPENAI_BASE_URL,
        f"the environment variable {_BASE_URL_VARIABLE}",
    )
    base_url = _normalize_url(profile.base_url, "base_url") if profile.base_url else default_url
    from_environment = _parse_origin(base_url) == _parse_origin(default_url)
    if profile.api_key_env or profile.api_key_cmd:
        source = KeySource(profile.api_key_env, profile.api_key_cmd, required=True)
    elif from_environment:
        source = KeySource(_KEY_VARIABLE, required=urlsplit(base_url).hostname == "api.openai.com")
    else:
        source = KeySource()
    return Endpoint(
        base_url, profile.timeout, profile.headers, source, from_environment=from_environment
    )


def build_clear_text_warning(profile: Profile, environ: Mapping[str, str]) -> str | None:
    """Return a warning when a key would be sent unencrypted to another machine."""
    endpoint = resolve_endpoint(profile, environ)
    source = endpoint.key_source
    has_key = source.command or (source.env and environ.get(source.env))
    if not has_key or endpoint.base_url.startswith("https:") or _is_loopback(endpoint.host):
        return None
    return f"the key from {source.description} goes to {endpoint.base_url} unencrypted"


def _normalize_url(url: str, what: str) -> str:
    """Return an address without a trailing slash; it is not quoted when it carries a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UsageError(f"{what} is no URL: {url!r}", hint=_URL_HINT) from None
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"{what} has a user name or password in it",
            hint="name the variable that holds the key with api_key_env in the profile",
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"{what} is no http or https URL: {url!r}", hint=_URL_HINT)
    if parts.query or parts.fragment:
        raise UsageError(f"{what} has a query, which cannot be passed on", hint=_URL_HINT)
    return url.rstrip("/")


_URL_HINT = "write it like http://localhost:8000/v1"


def _parse_origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname, parts.port or default


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
