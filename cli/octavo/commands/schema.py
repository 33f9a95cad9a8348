"""`octavo schema`."""

from __future__ import annotations

import json
import sys

from octavo.commands._cli.terminal import encode
from octavo.pipeline.editor_schema import build_pipeline_schema
from octavo.pipeline.registry import Registry

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of pipeline files, for editors.

    An editor that speaks the YAML language server's protocol uses it where a pipeline starts with
    a line `# yaml-language-server: $schema=FILE`.
    """
    text = json.dumps(build_pipeline_schema(Registry()), ensure_ascii=False, indent=2)
    sys.stdout.buffer.write(encode(f"{text}\n"))
