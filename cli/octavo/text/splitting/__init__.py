"""What splitting costs: boundary hashes, blocks, groups, and the inner loops in C and Python."""
