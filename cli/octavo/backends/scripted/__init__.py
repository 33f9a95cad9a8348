"""The backend `scripted:`, whose replies a function or a file of rules decides.

Its public names are here: `from octavo.backends.scripted import ScriptedBackend, sentences`.
"""

from octavo.backends.scripted.backend import BACKEND, ScriptedBackend
from octavo.backends.scripted.handlers import Handler, Scripted, echo, sentences

__all__ = ["BACKEND", "Handler", "Scripted", "ScriptedBackend", "echo", "sentences"]
