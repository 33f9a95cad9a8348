"""`--events FILE`: everything that happens in a run, one JSON object a line.

Every line has `v` (the version of this format, 1), `event` and `time` (UTC, ISO 8601). Fields may
be added within a version; what a line has is not changed or taken away.

| event | fields |
| --- | --- |
| `run_started` | `run`, `octavo` (version), `pipeline`, `pipeline_sha256`, `model` |
| `document_started` | `source` |
| `call_sent` | `source`, `step`, `node` (the place inside the step), `key`; once an attempt |
| `call_done` | the same, `outcome` (as in the ledger), `attempts` (0: from the journal) |
| `note` | `source`, `step`, `spans`, `note`: what a step has found out, while it reads |
| `notice` | `message`: a line that the user sees |
| `fetching` | `name`, `done`, `total` (bytes): at the start and the end |
| `document_done` | `source`, `sha256`, `coverage`, `usage`, `error` (null when all is well) |
| `run_ended` | `run`, `exit_code`, `documents`, `failed`, `usage`, `seconds`, `error` |

A file without `run_ended` is of a run that goes on or was killed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from octavo.commands._cli.output.result_format import as_usage
from octavo.commands._cli.terminal import print_stderr, redact
from octavo.engine.report import CallEnded, Report, Result, Silence
from octavo.errors import UsageError
from octavo.inputs.discovery import STDIN
from octavo.text.note import Note

__all__ = ["EventLog"]


_VERSION = 1


class EventLog(Silence):
    """Writes events as they happen; a line is in the file before the next thing happens.

    `about` is told with the run's start, `report` with its end. When the file cannot be
    written any more, that is said once, and the run goes on.
    """

    def __init__(self, target: str) -> None:
        self.run_facts: Mapping[str, str] = {}
        self.report: Report | None = None
        if target == STDIN:
            raise UsageError(
                "--events - would mix events with the result", hint="name a file, or /dev/stderr"
            )
        try:
            # Line by line, so that `tail -f` and a crash see all that happened.
            # Half a surrogate pair becomes the escape that JSON has for it.
            self._file = Path(target).open(  # noqa: SIM115 - closed at the end of the run
                "w", buffering=1, encoding="utf-8", errors="backslashreplace"
            )
        except OSError as error:
            raise UsageError(
                f"--events {target} cannot be written: {error.strerror}", hint="name another file"
            ) from error
        self._target = target
        self._run = ""

    def run_started(self, run: str) -> None:
        """Write that the run has started."""
        self._run = run
        self._write_event("run_started", run=run, **self.run_facts)

    def document_started(self, source: str) -> None:
        """Write that a document is being read."""
        self._write_event("document_started", source=source)

    def document_done(self, result: Result) -> None:
        """Write what became of a document."""
        self._write_event(
            "document_done",
            source=result.source,
            sha256=result.hash,
            coverage=round(result.coverage, 6),
            usage=as_usage(result.totals),
            error=result.error.message if result.error else None,
        )

    def call_sent(self, source: str, step: str, node: str, key: bytes) -> None:
        """Write that a call is sent."""
        self._write_event("call_sent", source=source, step=step, node=node, key=key.hex())

    def call_ended(self, ended: CallEnded) -> None:
        """Write what became of a call."""
        self._write_event(
            "call_done",
            source=ended.source,
            step=ended.step,
            node=ended.node,
            key=ended.key.hex(),
            outcome=str(ended.outcome),
            attempts=ended.sent,
        )

    def note(self, source: str, step: str, note: Note) -> None:
        """Write a note."""
        spans = [[span.start, span.end] for span in note.spans]
        self._write_event("note", source=source, step=step, spans=spans, note=note.value)

    def notice(self, message: str) -> None:
        """Write what the user is told."""
        self._write_event("notice", message=message)

    def fetching(self, name: str, done: int, total: int) -> None:
        """Write the start and the end of fetching a file, not each piece."""
        if done in {0, total}:
            self._write_event("fetching", name=name, done=done, total=total)

    def write_end(self, code: int, error: BaseException | None = None) -> None:
        """Write how the run ended, and close the file."""
        report = self.report
        self._write_event(
            "run_ended",
            run=self._run,
            exit_code=code,
            documents=report.documents if report else None,
            failed=report.failed if report else None,
            usage=as_usage(report.totals) if report else None,
            seconds=round(report.seconds, 3) if report else None,
            error=(str(error) or type(error).__name__) if error else None,
        )
        self._file.close()

    def _write_event(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - what JSON can hold
        if self._file.closed:
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"v": _VERSION, "event": event, "time": time, **fields}
        try:
            self._file.write(redact(json.dumps(line, ensure_ascii=False, default=str)) + "\n")
        except OSError as error:
            print_stderr(f"--events {self._target} cannot be written any more: {error.strerror}")
            self._file = Path("/dev/null").open("w", encoding="utf-8")  # noqa: SIM115 - the same
