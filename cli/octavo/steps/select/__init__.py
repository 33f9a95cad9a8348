"""The `select` step: choose the chunks or notes that speak most to a question."""
