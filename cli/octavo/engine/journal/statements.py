"""The statements by which a run writes rows, each under the name that the overflow file has for it.

What is written later, or by another process, is a name and values and never SQL. The texts stay as
they are: overflow files of earlier versions hold them, letter for letter.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["STATEMENTS"]


STATEMENTS: Mapping[str, str] = {
    "call": (
        "INSERT OR IGNORE INTO calls (id, generation, key, prompt, text, finish, usage, model,"
        " reasoning, logprobs, seconds, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ),
    "call-used": "UPDATE calls SET used = ? WHERE id = ? AND generation = ?",
    "prompt": "INSERT OR IGNORE INTO prompts VALUES (?, ?)",
    "text": "INSERT OR IGNORE INTO texts VALUES (?, ?)",
    "table": "INSERT OR IGNORE INTO tables VALUES (?, ?)",
    "table-anew": "INSERT OR REPLACE INTO tables VALUES (?, ?)",
    "count": "INSERT OR IGNORE INTO counts VALUES (?, ?)",
    "contact": "INSERT OR REPLACE INTO contacts VALUES (?, ?)",
    "vector": "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?, ?)",
    "vector-anew": "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?)",
    "vector-used": "UPDATE vectors SET used = ? WHERE id = ? AND generation = ?",
    "site": "INSERT INTO sites VALUES (?, ?, ?, ?, ?, ?, ?)",
    "ledger": "INSERT INTO ledger VALUES (?, ?, ?, ?, ?)",
}
