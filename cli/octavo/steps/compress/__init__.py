"""The `compress` step: shorten a document part by part until it fits a budget."""
