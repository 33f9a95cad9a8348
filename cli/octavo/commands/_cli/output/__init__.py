"""What a run writes: results, findings, events and the lock beside the results."""
