"""`octavo schema` prints what editors read."""

from __future__ import annotations

import json


def test_the_schema_is_json(octavo):
    ended = octavo("schema")
    assert (ended.code, ended.err) == (0, "")
    schema = json.loads(ended.out)
    assert schema["required"] == ["octavo", "steps"]
    assert any("merge" in step["properties"] for step in schema["$defs"]["Step"]["anyOf"])
