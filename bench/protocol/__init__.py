"""What is asked of every system, and the statistics of the answers."""
