"""Every test runs with one thread, and with caches and homes of its own where it writes any."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
