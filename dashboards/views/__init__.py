"""What the pages show, computed by plain functions that need no browser."""
