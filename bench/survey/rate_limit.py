"""Limits how often a call may be repeated. The counts are in this process's memory."""

from __future__ import annotations

import threading
from collections.abc import Hashable


class RateLimiter:
    """A token bucket for each key: it refills over time, a call takes one token, and an empty
    bucket refuses the call."""

    def __init__(self, most_keys: int = 100_000) -> None:
        self.most_keys = most_keys  # beyond which every bucket is forgotten
        self._buckets: dict[
            Hashable, tuple[float, float]
        ] = {}  # (tokens, seconds of the last call)
        self._lock = threading.Lock()

    def allow(self, key: Hashable, at: float, burst: float, per_second: float) -> bool:
        """Whether the key may make a call at that time, in seconds."""
        with self._lock:
            tokens, last = self._buckets.get(key, (burst, at))
            tokens = min(burst, tokens + max(0.0, at - last) * per_second)
            if len(self._buckets) >= self.most_keys and key not in self._buckets:
                self._buckets.clear()  # a few calls too many are better than running out of memory
            self._buckets[key] = (max(0.0, tokens - 1), at) if tokens >= 1 else (tokens, at)
            return tokens >= 1

    def forget(self, key: Hashable) -> None:
        """Refill the key's bucket."""
        with self._lock:
            self._buckets.pop(key, None)
