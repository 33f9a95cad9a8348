"""The backend `lead:N`: answers with the first N sentences of what it is asked about.

A backend of your own has `identity`, `model`, `known`, `contact`, `send` and `close`; see
`octavo.protocols.Backend`. This one borrows them from the scripted backend.
"""

from __future__ import annotations

from octavo.backends.scripted import ScriptedBackend, sentences
from octavo.errors import UsageError
from octavo.protocols import Backend, BackendType, Profile


def open_backend(name: str, profile: Profile) -> Backend:
    """Open `lead:NAME`; connect to nothing yet, since the journal may answer everything."""
    del profile
    if not name.isdecimal() or name == "0":
        raise UsageError(f"`lead:{name}` names no number of sentences", hint="write -m lead:2")
    return ScriptedBackend(sentences(int(name)), version="1", keep_requests=False)


BACKEND = BackendType(
    name="lead", about="the first sentences of the text, without a model", open=open_backend
)
