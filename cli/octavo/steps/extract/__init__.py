"""The `extract` step: extract records that fit a schema, each field with its place in the text."""
