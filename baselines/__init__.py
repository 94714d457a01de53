"""Trivial contestants: floors, ceilings and baselines."""
