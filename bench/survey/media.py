"""Gives an MP3 other bytes without changing its sound."""

from __future__ import annotations

_TAG_BYTES = 256  # of salt, whatever the length of the given one


def salted(mp3: bytes, salt: str) -> bytes:
    """The MP3 behind an ID3 tag that holds the salt. Players skip the tag; file hashes differ.

    The tag has the same size for every salt, so that file sizes stay equal.
    """
    # ASCII only: bytes above 0x7f could be mistaken for the start of an audio frame.
    content = b"salt\0" + (salt.encode("ascii") * _TAG_BYTES)[:_TAG_BYTES]
    frame = b"PRIV" + len(content).to_bytes(4, "big") + b"\0\0" + content
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + frame + mp3
