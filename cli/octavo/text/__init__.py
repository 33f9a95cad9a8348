"""Documents and the values that describe them, shared by several layers: pure values, no I/O."""
