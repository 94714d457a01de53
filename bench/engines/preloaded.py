"""Imported once by the server that jobs are forked off: what every job needs, loaded before it."""

import gc
from contextlib import suppress

import muspy  # noqa: F401
import scipy.stats  # noqa: F401
import torch  # noqa: F401

import bench.engines.local
import bench.jobs.worker  # noqa: F401
from bench import registry

# Whatever somebody's metric does on import is for the jobs to report.
with suppress(Exception):
    registry.metrics()

# What is loaded stays: jobs need not walk through it, and so share its memory.
gc.collect()
gc.freeze()
