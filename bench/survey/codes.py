"""Invitation codes, of which only keyed hashes are kept, and codes that prove who finished."""

from __future__ import annotations

import re
import secrets

from bench.survey.database.store import SurveyStore

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: none looks like another


def new_code() -> str:
    """A random code of sixty bits, in groups that can be read out."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(12))
    return "-".join(letters[at : at + 4] for at in (0, 4, 8))


def code_hash(store: SurveyStore, code: str) -> str:
    """What the database knows a code by. Case, spaces, dashes and look-alikes do not matter."""
    if len(code) > 100:
        return ""
    plain = re.sub(r"[\s-]", "", code.upper()).translate(str.maketrans("OIL", "011"))
    known = plain and set(plain) <= set(LETTERS)
    return store.keyed("code", plain) if known else ""


def completion_code(store: SurveyStore, listener: str) -> str:
    """What a listener who finished can show for it."""
    number = int(store.keyed("completion", listener), 16)
    letters = (LETTERS[number >> 5 * place & 31] for place in range(8))
    return "".join(letters)
