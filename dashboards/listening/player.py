"""The survey's player: it reports how much of the clip was heard. Its code lies beside."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent


@dataclass(frozen=True)
class PlayerReport:
    """What the browser says of one clip. It can say anything: the server's clock decides."""

    plays: int = 0
    coverage: float = 0.0  # of the clip, once all of it was heard


@cache
def _component() -> Any:
    html, css, js = (
        (HERE / f"player.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    return st.components.v2.component("musicbench.clip", html=html, css=css, js=js)


def packed(sound: bytes, label: str, seconds: float) -> bytes:
    """What the player gets: the length of a description, the description, the audio."""
    about = json.dumps({"label": label, "seconds": seconds}).encode()
    return len(about).to_bytes(4, "big") + about + sound


def report_of(state: object) -> PlayerReport:
    """The report in a component's state, whatever that holds."""
    told = state.get("report") if hasattr(state, "get") else None
    told = told if isinstance(told, dict) else {}
    plays, coverage = told.get("plays"), told.get("coverage")
    return PlayerReport(
        plays=min(max(int(plays), 0), 1000) if _is_number(plays) else 0,
        coverage=min(max(float(coverage), 0.0), 1.0) if _is_number(coverage) else 0.0,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def player(sound: bytes, label: str, seconds: float, key: str) -> PlayerReport:
    """Show the player of one clip; what it has reported so far."""
    state = _component()(data=packed(sound, label, seconds), key=key, on_report_change=lambda: None)
    return report_of(state)
