"""An MP3 that is the same to the ear and another file to everything else."""

from __future__ import annotations

_SALT = 256  # bytes


def salted(mp3: bytes, salt: str) -> bytes:
    """The MP3 behind an ID3 tag that holds the salt: players skip it, hashes do not.

    The tag has the same size whatever the salt, so that sizes stay equal.
    """
    # Letters only: bytes above 0x7f could be taken for the beginning of a frame of sound.
    content = b"salt\0" + (salt.encode("ascii") * _SALT)[:_SALT]
    frame = b"PRIV" + len(content).to_bytes(4, "big") + b"\0\0" + content
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + frame + mp3
