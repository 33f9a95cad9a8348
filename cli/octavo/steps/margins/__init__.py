"""The `margins` step: note in the margins what helps, and answer with document and margins."""
