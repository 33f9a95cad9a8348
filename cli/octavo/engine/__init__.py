"""Asking, remembering, scheduling and accounting for calls."""
