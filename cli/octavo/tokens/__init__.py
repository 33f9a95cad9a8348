"""Counters of tokens, one file each."""
