"""What the verbs print on: people's words on one stream, errors on the other."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

# Where there is no terminal, lines are as long as they are.
console = Console(width=None if sys.stdout.isatty() else 160)
errors = Console(stderr=True, width=None if sys.stderr.isatty() else 160)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=1, default=str) + "\n")
