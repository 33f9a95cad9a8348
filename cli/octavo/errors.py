"""Everything Octavo raises on purpose.

The tree is split by what the user can do about it; each class knows its exit code:

* OctavoError                 70  a defect of ours, when nothing below fits
    * UsageError               2  the command line, a parameter or the configuration is wrong
        * MissingKeyError      2  the backend needs a key and none is set
        * FitError             2  a prompt of the plan cannot fit the model's window
    * SpecError                2  a pipeline, prompt or schema is wrong at a line and column
    * SpecErrors               2  several of them, found in one reading
    * InputError               2  a document cannot be read (1 beside documents that can)
    * JournalError             2  the journal cannot be opened or written
    * BackendError             3  the backend is unusable
        * AuthError            3  it rejected the key
        * QuotaError           3  the account has no quota or credit left
        * UnreachableError     3  it did not answer, or kept failing
        * ModelError           3  it does not have the model
    * CallError                1  one call cannot be answered; its document fails
        * RequestError         1  the backend rejected this request
        * ContextError         1  the backend found the prompt too long
        * ReplyError           1  the reply is refused, empty, cut or invalid
            * CutError         1  the record is longer than the tokens that it may have
    * BudgetReached            4  a limit given with --max-... was reached; resumable
    * RunFailed                1  the run finished, but a document failed or a check did not hold
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "AuthError",
    "BackendError",
    "BudgetReached",
    "CallError",
    "ContextError",
    "CutError",
    "FitError",
    "InputError",
    "JournalError",
    "MissingKeyError",
    "ModelError",
    "OctavoError",
    "Outcome",
    "Position",
    "QuotaError",
    "ReplyError",
    "RequestError",
    "RunFailed",
    "SpecError",
    "SpecErrors",
    "UnreachableError",
    "UsageError",
]


class Outcome(StrEnum):
    """The ledger's words for how a call ended."""

    OK = "ok"
    CACHED = "cached"
    REPAIRED = "repaired"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    INVALID = "invalid"
    FAILED = "failed"
    DISCARDED = "discarded"
    SKIPPED = "skipped"


class OctavoError(Exception):
    """Base of all errors raised on purpose.

    `message` is one sentence without a final stop; `hint`, when there is one, is a single thing
    the user can do.
    """

    exit_code: int = 70

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # An exception is copied by calling its class with `args`, which keyword arguments are not.
        return _rebuild_error, (type(self), self.args), vars(self)


def _rebuild_error(kind: type[OctavoError], args: tuple[object, ...]) -> OctavoError:
    return kind.__new__(kind, *args)


class UsageError(OctavoError):
    """The command line, a parameter or the configuration is wrong; nothing ran."""

    exit_code = 2


class MissingKeyError(UsageError):
    """The backend needs a key and none is set."""


class FitError(UsageError):
    """A prompt of the plan cannot fit the model's window, known before any paid call."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a source file: 1-based line and column, and the text of that line."""

    path: str
    line: int
    column: int
    source: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class SpecError(OctavoError):
    """One problem in a pipeline, prompt or schema, at a place in its file.

    `code` is a short stable word for the kind of problem, such as `unknown-key`.
    """

    exit_code = 2

    def __init__(
        self, message: str, *, code: str, position: Position, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.position = position

    def __str__(self) -> str:
        return f"{self.position}: error[{self.code}]: {self.message}"


class SpecErrors(OctavoError):  # noqa: N818 - a plural of SpecError
    """All problems found in one reading, in the order of the file."""

    exit_code = 2

    def __init__(self, errors: tuple[SpecError, ...]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors


class InputError(OctavoError):
    """A document cannot be read; `source` is its path, or `-`."""

    exit_code = 2

    def __init__(self, message: str, *, source: str, hint: str | None = None) -> None:
        super().__init__(f"{source}: {message}", hint=hint)
        self.source = source


class JournalError(OctavoError):
    """The journal cannot be opened, read or written."""

    exit_code = 2


class BackendError(OctavoError):
    """The backend is unusable for this run."""

    exit_code = 3


class AuthError(BackendError):
    """The backend rejected the key."""


class QuotaError(BackendError):
    """The account has no quota or credit left; waiting does not help."""


class UnreachableError(BackendError):
    """The backend did not answer, or kept failing, until the retries were spent."""


class ModelError(BackendError):
    """The backend does not have the model."""


class CallError(OctavoError):
    """One call cannot be answered; its document fails, others go on."""

    exit_code = 1


class RequestError(CallError):
    """The backend rejected this request as malformed or not allowed."""


class ContextError(CallError):
    """The backend found the prompt longer than its window."""


class ReplyError(CallError):
    """The reply is refused, empty, cut or invalid after its re-asks.

    `outcome` is the ledger's word for it.
    """

    def __init__(self, message: str, *, outcome: Outcome, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.outcome = outcome


class CutError(ReplyError):
    """A record was cut off by its bound of tokens each time it was asked for."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, outcome=Outcome.INVALID, hint=hint)


class BudgetReached(OctavoError):  # noqa: N818 - it is the end of a run, not a defect
    """A limit given with --max-... was reached; the run can be resumed."""

    exit_code = 4


class RunFailed(OctavoError):  # noqa: N818 - the same
    """The run finished, but a document failed or a check did not hold."""

    exit_code = 1
