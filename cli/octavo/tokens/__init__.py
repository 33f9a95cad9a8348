"""Token counters, one file each; `gguf/` rebuilds the tokenizers inside GGUF files."""
