"""PDF, EPUB, office files and mail."""
