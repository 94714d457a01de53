"""The survey's player: plays a clip and reports how much of it was heard."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeGuard

import streamlit as st

from bench.survey.terms import MOST_PLAYS

HERE = Path(__file__).parent  # holds player.html, player.css and player.js


@dataclass(frozen=True)
class PlayerReport:
    """What the browser reports of one clip. It can claim anything: the server's clock decides."""

    plays: int = 0
    coverage: float = 0.0  # share of the clip; 0 until all of it was heard


@cache
def _component() -> Callable[..., object]:
    html, css, js = (
        (HERE / f"player.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    return st.components.v2.component("musicbench.clip", html=html, css=css, js=js)


def packed(sound: bytes, label: str, seconds: float) -> bytes:
    """The data of the player: the length of a JSON description, the description, the audio."""
    description = json.dumps({"label": label, "seconds": seconds}).encode()
    return len(description).to_bytes(4, "big") + description + sound


def report_of(state: object) -> PlayerReport:
    """The report in a component's state, whatever the state is."""
    report = state.get("report") if hasattr(state, "get") else None
    report = report if isinstance(report, dict) else {}
    plays, coverage = report.get("plays"), report.get("coverage")
    return PlayerReport(
        plays=min(max(int(plays), 0), MOST_PLAYS) if _is_number(plays) else 0,
        coverage=min(max(float(coverage), 0.0), 1.0) if _is_number(coverage) else 0.0,
    )


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def player(sound: bytes, label: str, seconds: float, key: str) -> PlayerReport:
    """Show the player of one clip; its latest report."""
    state = _component()(data=packed(sound, label, seconds), key=key, on_report_change=lambda: None)
    return report_of(state)
