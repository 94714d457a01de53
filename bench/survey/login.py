"""The administrator's password: kept as a scrypt hash; there is none until one is set."""

from __future__ import annotations


def admin_password_set() -> bool:
    """Whether there is a password. Without one there is no admin page."""
    raise NotImplementedError


def check_password(text: str) -> bool:
    """Whether it is the password. BenchError after five wrong ones in fifteen minutes."""
    raise NotImplementedError
