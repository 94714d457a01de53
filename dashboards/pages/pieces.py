"""The data sets: where they come from, what is in them, and every piece to look at and hear."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from bench import data
from bench.data import SPLITS, Info
from bench.errors import BenchError
from dashboards import parts, play
from dashboards.charts import data as data_charts
from dashboards.views import sources
from dashboards.views import tokens as tokens_view
from dashboards.views.board import counted
from dashboards.views.music import Clip

SPLIT_NAMES = {"train": "Training", "valid": "Validation", "test": "Test"}
OBJECTS = {
    "score": "notes with onsets and durations",
    "frames": "which keys sound at each step; repeated notes cannot be told from held ones",
}


def infos() -> list[Info]:
    """Every data set that can be described; what is wrong with the others is said."""
    listed = []
    for name in data.names():
        try:
            listed.append(data.describe(name))
        except BenchError as error:
            st.warning(f"{name}: {error}")
    return listed


def overview(listed: list[Info]) -> None:
    """All data sets in one table."""
    st.dataframe(
        pd.DataFrame(
            {
                "name": [info.name for info in listed],
                **{
                    SPLIT_NAMES[split].lower(): [info.counts[split] for info in listed]
                    for split in SPLITS
                },
                "holds": [info.object for info in listed],
                "on this machine": ["yes" if info.where else "no" for info in listed],
                "title": [info.title for info in listed],
            }
        ),
        hide_index=True,
        placeholder="",
        height="content",
        alt="The data sets",
    )


def card(info: Info) -> None:
    """What is known of one data set."""
    with st.container(horizontal=True):
        for split in SPLITS:
            st.metric(SPLIT_NAMES[split], f"{info.counts[split]} pieces")
        st.metric("Steps per quarter", info.grid)
        st.metric("Steps per bar", info.bar)
    parts.facts(
        {
            "Holds": OBJECTS.get(info.object, info.object),
            "Licence": info.licence or "not stated",
            "Citation": info.citation or "not stated",
            "SHA-256 over all pieces and splits": info.fingerprint,
            "Version": str(info.version),
        }
    )
    if info.where is None:
        st.info(f"It is not on this machine. {info.obtain}")


def duplicates(info: Info) -> None:
    """Which held-out pieces occur in the training split."""
    st.subheader("Near-duplicates across splits")
    st.caption("How much of a held-out piece a system may have heard in training, in whatever key.")
    shown = st.toggle("Compare the splits", key="audit", bind="query-params")
    if not shown:
        return
    with st.spinner("Comparing every held-out piece with the training split …"):
        found = sources.audit(info.name, info.fingerprint)
    if found is None:
        st.info("The pieces cannot be read on this machine.")
        return
    for split, mean in found.mean.items():
        st.markdown(f"{SPLIT_NAMES[split]}: on average {mean:.1%} of a piece occurs in training.")
    if found.equal:
        st.markdown(f"{counted(len(found.equal), 'pair')} of pieces equal note for note:")
        st.dataframe(pd.DataFrame(found.equal, columns=["piece", "the same"]), hide_index=True)
    if not found.leaks:
        st.markdown("No held-out piece shares a fifth or more with training.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "piece": [leak.piece for leak in found.leaks],
                "split": [SPLIT_NAMES[leak.split].lower() for leak in found.leaks],
                "occurs in training": [leak.share for leak in found.leaks],
                "most of it in": [leak.nearest for leak in found.leaks],
                "that much": [leak.nearest_share for leak in found.leaks],
            }
        ),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="percent")
            for name in ("occurs in training", "that much")
        },
        alt="Held-out pieces that occur in training",
    )


def vocabularies(info: Info) -> None:
    """How often the tokens of the training pieces occur."""
    st.subheader("Tokens")
    st.caption("What systems of tokens have to learn: many tokens occur only a few times.")
    if not st.toggle("Count the tokens", key="tokens", bind="query-params"):
        return
    with st.spinner("Counting the tokens of the training pieces …"):
        kinds = sources.tokens(info.name, info.fingerprint)
    if not kinds:
        st.info("The pieces cannot be read on this machine.")
        return
    parts.draw(
        ("tokens", info.fingerprint),
        lambda: data_charts.rank_frequency(tokens_view.by_rank(kinds)),
        "How often tokens occur, by rank",
    )
    for kind in kinds:
        st.markdown(kind.sentence)


def browse(info: Info) -> None:
    """Any piece, to look at and hear."""
    st.subheader("Browse the pieces")
    found = sources.dataset(info.name, info.fingerprint)
    if found is None:
        st.info("The pieces cannot be read on this machine.")
        return
    left, right = st.columns([1, 2])
    splits = {SPLIT_NAMES[s]: s for s in SPLITS if info.counts[s]}
    split = left.segmented_control(
        "Split",
        list(splits),
        default=next(iter(splits)),
        key="split",
        bind="query-params",
        required=True,
    )
    ids = list(getattr(found, splits[split]))
    if st.session_state.get("piece", ids[0]) not in ids:
        st.session_state.pop("piece")
    piece = right.selectbox("Piece", ids, key="piece", bind="query-params")
    score = found.pieces[piece]
    with st.spinner("Rendering the audio …"):
        play.player(Clip(piece, score), key=f"piece-{info.name}-{split}")
    bars = score.length / info.bar
    st.caption(f"{counted(len(score), 'note')}, {bars:.0f} bars, {score.length} steps.")


st.title("Data")
st.caption("Every piece of every split is pinned by a hash; a run stops if one differs.")
data_sets = infos()
if not data_sets:
    st.info("No data set is installed.")
    st.stop()
overview(data_sets)
names = [info.name for info in data_sets]
if st.session_state.get("data", names[0]) not in names:
    st.session_state.pop("data")
used = [row.dataset for row in sources.board().rows]  # these have been read before
first = next((names.index(name) for name in used if name in names), 0)
name = st.selectbox("Data set", names, first, key="data", bind="query-params")
info = next(info for info in data_sets if info.name == name)
st.header(info.title, divider="gray")
card(info)
if info.where is not None:
    browse(info)
    vocabularies(info)
    duplicates(info)
