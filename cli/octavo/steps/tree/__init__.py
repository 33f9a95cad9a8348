"""The `tree` step: read a document section by section, and join the notes up its headings."""
