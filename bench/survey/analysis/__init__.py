"""The analysis of a survey's ratings: estimates, checks, agreement with metrics, report."""
