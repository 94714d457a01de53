from tiny_data import tiny  # noqa: F401 - a fixture
