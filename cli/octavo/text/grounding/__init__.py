"""Find in a text what a model says that it contains, and verify it."""
