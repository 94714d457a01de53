"""How often something may be asked for, counted in this process's memory."""

from __future__ import annotations

import threading
from collections.abc import Hashable


class RateLimiter:
    """Buckets that fill with time: each call takes one drop, and an empty bucket refuses."""

    def __init__(self, most: int = 100_000) -> None:
        self.most = most  # buckets, after which all are forgotten
        self._buckets: dict[Hashable, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def allow(self, key: Hashable, at: float, burst: float, per_second: float) -> bool:
        """Whether the key may go on at that time, in seconds."""
        with self._lock:
            drops, before = self._buckets.get(key, (burst, at))
            drops = min(burst, drops + max(0.0, at - before) * per_second)
            if len(self._buckets) >= self.most and key not in self._buckets:
                self._buckets.clear()  # memory matters more than a few calls too many
            self._buckets[key] = (max(0.0, drops - 1), at) if drops >= 1 else (drops, at)
            return drops >= 1

    def forget(self, key: Hashable) -> None:
        """Fill the key's bucket."""
        with self._lock:
            self._buckets.pop(key, None)
