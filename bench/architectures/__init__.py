"""One network per file, readable from top to bottom."""
