"""The tokenizer inside a GGUF file, rebuilt from the file's metadata."""
