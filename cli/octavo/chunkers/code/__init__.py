"""Split source code by its syntax: the chunker, and where the syntax tree allows a cut."""
