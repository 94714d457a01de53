"""The administrator's password, of which a scrypt hash is stored; at first there is none."""

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

HASH = "BENCH_SURVEY_ADMIN"  # holds a hash as `password_hash` returns it, never a password
SHORTEST, LONGEST = 10, 1000  # characters
TRIES, MINUTES = 5, 15  # wrong passwords in so many minutes

_N, _R, _P = 2**15, 8, 1  # of scrypt: 32 MB, about a tenth of a second
_rate_limiter = RateLimiter()


def _file() -> Path:
    return survey_folder() / "admin-password"


def _stored_hash() -> str:
    if from_environment := os.environ.get(HASH):
        return from_environment
    try:
        return _file().read_text().strip()
    except OSError:
        return ""


def admin_password_set() -> bool:
    """Whether a password is set. Without one there is no admin page."""
    return bool(_stored_hash())


def check_password(text: str) -> bool:
    """Whether the text is the password. BenchError after five wrong ones in fifteen minutes."""
    stored = _stored_hash()
    if not stored:
        return False
    if not _rate_limiter.allow("password", time.monotonic(), TRIES, TRIES / (60 * MINUTES)):
        raise BenchError(
            f"Too many wrong passwords. Try again in {MINUTES // TRIES} minutes, or use the command"
            " line on the machine itself."
        )
    if len(text) > LONGEST:
        return False
    try:
        method, n, r, p, salt, expected = stored.split("$")
        if method != "scrypt":
            raise ValueError(method)
        hashed = _scrypt(text, bytes.fromhex(salt), int(n), int(r), int(p))
    except ValueError:
        raise BenchError(
            f"The stored hash of the password is not valid. Run `bench survey password` again, or"
            f" set ${HASH} to what `bench survey password --print` prints."
        ) from None
    right = hmac.compare_digest(hashed.hex(), expected)
    if right:
        _rate_limiter.forget("password")
    return right


def password_hash(text: str) -> str:
    """The hash to store of a password. BenchError where the password is too short."""
    if len(text) < SHORTEST:
        raise BenchError(f"A password needs at least {SHORTEST} characters.")
    salt = secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${_scrypt(text, salt, _N, _R, _P).hex()}"


def set_password(text: str) -> Path:
    """Store the password's hash in a file that only its owner can read; the file."""
    hashed, path = password_hash(text), _file()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.touch(mode=0o600)
    temporary.write_text(hashed + "\n")
    temporary.replace(path)
    return path


def _scrypt(text: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    # A lone surrogate cannot be in a password, but must not raise an error either.
    secret = text.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=2**26, dklen=32)
