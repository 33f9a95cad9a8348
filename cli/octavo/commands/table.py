"""Columns of plain text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

__all__ = ["align_columns"]


def align_columns(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> Iterator[str]:
    """Yield a line for each row, its cells as wide as their column; `right` names right-set ones.

    The last column is not filled up, so that no line ends with blanks.
    """
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
