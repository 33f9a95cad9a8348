"""What a run shows on standard error while it goes on."""
