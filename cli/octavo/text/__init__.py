"""Documents and what lies in them: pure values, no input or output."""
