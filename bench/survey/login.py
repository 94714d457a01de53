"""The administrator's password: kept as a scrypt hash; there is none until one is set."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path

from bench.errors import BenchError
from bench.survey.database.store import survey_folder
from bench.survey.rate_limit import RateLimiter

HASH = "BENCH_SURVEY_ADMIN"  # holds a hash as `password_hash` makes it, never a password
SHORTEST = 10
TRIES, MINUTES = 5, 15

_N, _R, _P = 2**15, 8, 1  # of scrypt: 32 MB, about a tenth of a second
_limits = RateLimiter()


def _file() -> Path:
    return survey_folder() / "admin-password"


def _kept() -> str:
    if given := os.environ.get(HASH):
        return given
    try:
        return _file().read_text().strip()
    except OSError:
        return ""


def admin_password_set() -> bool:
    """Whether there is a password. Without one there is no admin page."""
    return bool(_kept())


def check_password(text: str) -> bool:
    """Whether it is the password. BenchError after five wrong ones in fifteen minutes."""
    kept = _kept()
    if not kept:
        return False
    if not _limits.allow("password", time.monotonic(), TRIES, TRIES / (60 * MINUTES)):
        raise BenchError(
            f"Too many wrong passwords. Try again in {MINUTES // TRIES} minutes, or use the command"
            " line on the machine itself."
        )
    try:
        name, n, r, p, salt, expected = kept.split("$")
        if name != "scrypt" or len(text) > 1000:
            raise ValueError(name)
        found = _scrypt(text, bytes.fromhex(salt), int(n), int(r), int(p))
    except ValueError:
        if len(text) > 1000:
            return False
        raise BenchError(
            f"What is kept as the password's hash is none. Set it anew: `bench survey password`, and"
            f" give ${HASH} what that prints."
        ) from None
    right = hmac.compare_digest(found.hex(), expected)
    if right:
        _limits.forget("password")
    return right


def password_hash(text: str) -> str:
    """The hash to keep of a password. BenchError where it is too short."""
    if len(text) < SHORTEST:
        raise BenchError(f"A password needs at least {SHORTEST} characters.")
    salt = secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${_scrypt(text, salt, _N, _R, _P).hex()}"


def set_password(text: str) -> Path:
    """Keep the password's hash in a file that only its owner can read; which file."""
    kept, path = password_hash(text), _file()
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    half.touch(mode=0o600)
    half.write_text(kept + "\n")
    half.replace(path)
    return path


def _scrypt(text: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    # A lone surrogate is no password, but must not be an error either.
    secret = text.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=2**26, dklen=32)
