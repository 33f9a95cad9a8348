"""What answers calls, one file each."""
