"""The commands, one file each, and `_cli`, which they share: all that knows the terminal."""
