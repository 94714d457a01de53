"""Waits until another process has done something."""

import time


def wait_for(condition, seconds=90.0):
    """The value of the condition, as soon as it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("waited in vain")
