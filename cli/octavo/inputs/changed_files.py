"""The files that have changed according to git."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

from octavo.errors import UsageError

__all__ = ["ChangedFiles"]


class ChangedFiles:
    """The files that differ from their state at a revision, new ones included.

    It is the revision where the present branch left that of `ref`, so that what others changed
    there meanwhile does not count. Each repository that the inputs lie in is asked once.
    """

    def __init__(self, ref: str) -> None:
        self.ref = ref
        self._files = cache(self._list_changed)

    def contains(self, path: Path) -> bool:
        """Tell whether a file has changed; raises UsageError when git cannot tell."""
        top = self.find_repository(path.parent)
        return Path(os.path.realpath(path)) in self._files(top)

    def find_repository(self, folder: Path) -> Path:
        """Return the repository's directory; raises UsageError outside one."""
        inside = Path(os.path.realpath(folder))
        for each in (inside, *inside.parents):
            if (each / ".git").exists():
                return each
        raise UsageError(
            f"--changed-since: {folder} is in no git repository",
            hint="leave --changed-since out, or name files of a repository",
        )

    def _list_changed(self, top: Path) -> frozenset[Path]:
        start = self._run_git(top, "merge-base", "--", self.ref, "HEAD").strip()
        listed = self._run_git(top, "diff", "--name-only", "--diff-filter=d", "-z", start, "--")
        listed += self._run_git(top, "ls-files", "--others", "--exclude-standard", "-z")
        return frozenset(top / name for name in listed.split("\0") if name)

    def _run_git(self, top: Path, *arguments: str) -> str:
        # Paths are read as this process reads file names, whatever git is configured to quote.
        command = ["git", "-c", "core.quotePath=false", "-C", str(top), *arguments]
        try:
            result = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - git, by arguments
        except FileNotFoundError:
            raise UsageError("--changed-since needs git", hint="install git") from None
        if result.returncode == 0:
            return os.fsdecode(result.stdout)
        lines = os.fsdecode(result.stderr).strip().splitlines()
        hint = "name a branch, tag or commit, and fetch it first where it is not"
        if arguments[0] == "merge-base" and not lines:
            lines = [f"{self.ref!r} and HEAD have no commit in common here"]
            hint = "fetch the history first: `git fetch --unshallow`"
        raise UsageError(
            f"--changed-since {self.ref}: {lines[0] if lines else 'failed'}", hint=hint
        )
