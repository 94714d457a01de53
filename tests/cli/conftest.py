from tiny_data import own_cache, tiny  # noqa: F401 - fixtures
