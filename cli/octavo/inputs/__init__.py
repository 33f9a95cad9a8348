"""From the arguments of a command line to documents: find the inputs, then read them."""
