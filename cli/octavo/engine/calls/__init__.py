"""One call of a step: its prompt, its attempts, and the answer that a reply becomes."""
