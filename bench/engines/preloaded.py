"""Imported once by the server from which jobs are forked: it loads what every job needs."""

import gc
from contextlib import suppress

import muspy  # noqa: F401
import scipy.stats  # noqa: F401
import torch  # noqa: F401

import bench.engines.local
import bench.jobs.worker  # noqa: F401
from bench import registry

# A user's metric that fails on import is reported by the jobs.
with suppress(Exception):
    registry.metrics()

# The garbage collector of a job leaves what is loaded alone, so that the jobs share its memory.
gc.collect()
gc.freeze()
