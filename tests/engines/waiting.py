"""Waits for what another process does."""

import time


def wait_for(condition, seconds=90.0):
    """What the condition finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")
