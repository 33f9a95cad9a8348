"""`octavo runs show --state`: the memory of a run, as it was before each call."""

from __future__ import annotations

import json

PIPELINE = """\
octavo: 1
steps:
  - split: {tokens: 60}
  - memory:
      prompt: "{{ memory }} {{ text | fence }}"
      schema: note
"""
RULES = """\
rules:
  - contains: "<log>\\n</log>"
    record: {revisions: [{path: [seen], op: add, value: 1}]}
  - contains: "</log>"
    record: {revisions: []}
"""


def test_the_memory_is_printed_as_json_lines(tmp_path, octavo):
    (tmp_path / "remember.yaml").write_text(PIPELINE)
    schema = {"type": "object", "properties": {"seen": {"type": "integer"}}}
    (tmp_path / "note.json").write_text(json.dumps(schema))
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "a.txt").write_text("\n\n".join(["A paragraph of some length. " * 6] * 3))
    done = octavo("run", "remember.yaml", "a.txt", "-m", "scripted:rules.yaml")
    assert json.loads(done.out) == {"seen": 1}, done.err
    lines = octavo("runs", "show", "--state").out.splitlines()
    states = [json.loads(line) for line in lines]
    assert [each["state"] for each in states] == [{}, *[{"seen": 1}] * (len(states) - 1)]
    assert len(states) > 1
    assert states[0]["node"].startswith("characters 0 to ")
