"""Encodings: from a Score to what a network reads, and back."""
