from finished_run import finished  # noqa: F401 - a fixture
