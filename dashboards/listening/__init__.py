"""The blind survey as its listeners see it."""
