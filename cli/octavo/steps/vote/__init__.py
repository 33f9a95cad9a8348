"""The `vote` step: ask a question several times and take the answer that leads by enough votes."""
