"""The player: a piano-roll with its sound. It loads nothing from other servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import streamlit as st

from dashboards import parts
from dashboards.views.music import LONGEST, Clip, payload, pitch_range, seconds_per_step

FOLDER = Path(__file__).parent / "player"  # holds player.html, player.css and player.js


@cache
def _component() -> Callable[..., object]:
    html, css, js = (
        (FOLDER / f"player.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    return st.components.v2.component("musicbench.player", html=html, css=css, js=js)


@st.cache_resource(max_entries=64, show_spinner="Rendering the audio …")
def _payload(content: str, label: str, prompt: int, low: int, high: int, _clip: Clip) -> bytes:
    return payload(_clip, (low, high))


def player(clip: Clip, key: str, keys: tuple[int, int] | None = None) -> None:
    """Show a piece with its sound; only the first minute of a longer one."""
    steps = int(LONGEST / seconds_per_step(clip.score))
    if clip.score.length > steps:
        given = clip.prompt if clip.prompt > 0 else min(0, clip.prompt + clip.score.length - steps)
        clip = Clip(f"{clip.label}, first {LONGEST:.0f} seconds", clip.score.slice(0, steps), given)
    low, high = keys or pitch_range([clip.score])
    packed = _payload(clip.score.content_hash, clip.label, clip.prompt, low, high, clip)
    _component()(data=packed, key=key, height="content")
    if not len(clip.score):
        st.caption("This piece is silent: it has no notes.")


def side_by_side(clips: Sequence[tuple[Clip | None, str]], key: str) -> None:
    """Show several pieces over the same range of keys; for a missing piece, the reason."""
    keys = pitch_range([clip.score for clip, _ in clips if clip])
    places = parts.in_pairs(len(clips)) if len(clips) > 1 else [st.container()]
    for number, (place, (clip, reason)) in enumerate(zip(places, clips, strict=True)):
        with place:
            if clip is None:
                st.info(reason)
            else:
                player(clip, f"{key}-{number}", keys)
