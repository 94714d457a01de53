"""The player: a piano-roll with its sound. Its code is in the folder beside; nothing comes from outside."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from dashboards import parts
from dashboards.views.music import LONGEST, Clip, payload, pitch_range, seconds_per_step

HERE = Path(__file__).parent / "player"


@cache
def _component() -> Any:
    html, css, js = (
        (HERE / f"player.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    return st.components.v2.component("musicbench.player", html=html, css=css, js=js)


@st.cache_resource(max_entries=64, show_spinner="Rendering the audio …")
def _payload(content: str, label: str, prompt: int, low: int, high: int, _clip: Clip) -> bytes:
    return payload(_clip, (low, high))


def player(clip: Clip, key: str, keys: tuple[int, int] | None = None) -> None:
    """Show a piece with its sound; of a long one the first minute."""
    steps = int(LONGEST / seconds_per_step(clip.score))
    if clip.score.length > steps:
        clip = Clip(
            f"{clip.label}, first {LONGEST:.0f} seconds", clip.score.slice(0, steps), clip.prompt
        )
    low, high = keys or pitch_range([clip.score])
    packed = _payload(clip.score.content_hash, clip.label, clip.prompt, low, high, clip)
    _component()(data=packed, key=key, height="content")
    if not len(clip.score):
        st.caption("Silence: this piece has no note.")


def side_by_side(clips: Sequence[tuple[Clip | None, str]], key: str) -> None:
    """Several pieces over the same keys; for one that is gone, why."""
    keys = pitch_range([clip.score for clip, _ in clips if clip])
    places = parts.in_pairs(len(clips)) if len(clips) > 1 else [st.container()]
    for number, (place, (clip, why)) in enumerate(zip(places, clips, strict=True)):
        with place:
            if clip is None:
                st.info(why)
            else:
                player(clip, f"{key}-{number}", keys)
