from finished_run import finished  # noqa: F401 - a fixture
from tiny_data import own_cache, tiny  # noqa: F401 - fixtures
