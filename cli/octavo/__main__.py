"""The program: `octavo`, and `python -m octavo`."""

from __future__ import annotations

import gc

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script; ends the process."""
    # Collecting garbage while modules are imported took an eighth of a run that is all cached, so
    # the thresholds are raised before the first import.
    gc.set_threshold(100_000, 50, 50)
    from octavo.commands._cli.main import main as run  # noqa: PLC0415 - see above

    run()


if __name__ == "__main__":
    main()
