"""What a run has written and from what, for the lock beside its results."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from octavo.commands.lock import LOCK, Locked, write_lock
from octavo.commands.order import Order
from octavo.commands.render import encode
from octavo.engine.execute import Job
from octavo.engine.report import Member, Result
from octavo.loaders.inputs import STDIN
from octavo.pipeline.lookup import BUILT_IN

__all__ = ["Inventory"]


class Inventory:
    """The files that a run wrote into a directory."""

    def __init__(self, order: Order, job: Job, folder: Path) -> None:
        self._order = order
        self._job = job
        self._folder = folder
        self._entries: dict[str, Locked] = {}

    def enter(self, path: Path, text: str, result: Result) -> None:
        """Note that a result was written to a file; a pipe or a device is none.

        What was read otherwise than a file by its name alone could not be looked at again, so it
        is not noted: a table's row with its own column, a pipe with a name.
        """
        if result.error is not None or not path.is_file():
            return
        named = self._order.text_column or self._order.stdin_filename
        if named and not result.members and not Path(result.source).is_file():
            return
        pipeline = self._order.pipeline
        params = {name: value for name, value in self._job.params.items() if value is not None}
        self._entries[self._relative(str(path))] = Locked(
            sources=dict(self._sources(result)),
            pipeline=(
                pipeline.path
                if pipeline.path.startswith(BUILT_IN)
                else self._relative(pipeline.path)
            ),
            pipeline_hash=pipeline.digest,
            model=self._job.profile.model,
            params=dict(sorted(params.items())),
            result_hash=hashlib.sha256(encode(text)).hexdigest(),
            encoding=self._order.encoding,
        )

    def _sources(self, result: Result) -> Iterator[tuple[str, str]]:
        for each in result.members or (Member(result.source, result.hash),):
            yield each.source if each.source == STDIN else self._relative(each.source), each.hash

    def save(self) -> None:
        """Write the lock, if there is anything to tell.

        Raises RunFailed when it cannot be written, UsageError when what is there is no lock.
        """
        if self._entries:
            write_lock(self._folder / LOCK, self._entries)

    def _relative(self, path: str) -> str:
        return Path(os.path.relpath(path, self._folder)).as_posix()
