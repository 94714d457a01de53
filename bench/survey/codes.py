"""Invitation codes, of which only keyed hashes are stored, and codes that prove completion."""

from __future__ import annotations

import re
import secrets

from bench.survey.database.store import SurveyStore

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no two look alike


def new_code() -> str:
    """A random code of sixty bits, in groups of four that can be read aloud."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(12))
    return "-".join(letters[at : at + 4] for at in (0, 4, 8))


def code_hash(store: SurveyStore, code: str) -> str:
    """The keyed hash of a code; empty for what cannot be a code.

    Case, spaces, dashes and letters that look like digits do not matter.
    """
    if len(code) > 100:
        return ""
    plain = re.sub(r"[\s-]", "", code.upper()).translate(str.maketrans("OIL", "011"))
    possible = plain and set(plain) <= set(LETTERS)
    return store.keyed("code", plain) if possible else ""


def completion_code(store: SurveyStore, listener: str) -> str:
    """The code with which a listener proves to have finished."""
    number = int(store.keyed("completion", listener), 16)
    letters = (LETTERS[number >> 5 * place & 31] for place in range(8))
    return "".join(letters)
