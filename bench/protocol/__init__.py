"""The protocol every system is measured by: prompts, likelihood, metrics' validity, statistics."""
