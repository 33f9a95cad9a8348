"""The `tally` step: count, add, sort or join notes by code, without asking the model."""
