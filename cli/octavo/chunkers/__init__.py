"""Ways to split a document, one file each."""
