"""What the papers do to a model: systems that wrap a system."""
