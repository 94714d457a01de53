"""What the answers of a survey say: estimates, checks, agreement with metrics, a report."""
