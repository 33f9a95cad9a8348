"""Octavo folds documents of any length through a language model."""
