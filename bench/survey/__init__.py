"""The blind listening survey: creating it, taking part in it, storing and analysing the answers."""
