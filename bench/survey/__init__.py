"""The blind listening survey: making one, taking one, keeping what people said."""
