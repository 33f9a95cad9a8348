"""The `memory` step: read the notes in order and keep a structured memory."""
