"""Borders that a model proposes: a reply of no use costs the proposal, never the text."""

from __future__ import annotations

from octavo.errors import ReplyError
from octavo.protocols import Answer, Asked
from octavo.protocols.steps import Work

__all__ = ["await_proposal"]


async def await_proposal(asked: Asked, work: Work, *, instead: str) -> Answer | None:
    """Return the answer, or None where the reply is cut, refused or no record.

    What failed and what is done `instead` is told. Other errors, such as a server that is not
    there, are raised.
    """
    try:
        return await asked.reply
    except ReplyError as error:
        work.notice(f"{error}; {instead}")
        return None
