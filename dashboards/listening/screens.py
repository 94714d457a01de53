"""The screens of the survey, one for each stage. They do not know which clip they play."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from bench.survey import listening
from bench.survey.listening import Refused, Stage, Standing, Texts, Trial
from bench.survey.terms import LONGEST_COMMENT
from dashboards.listening.player import PlayerReport, player

if TYPE_CHECKING:
    from bench.survey.database.store import SurveyStore

STYLE = Path(__file__).parent / "page.css"
ANSWERS = ("Yes", "No")


def consent(store: SurveyStore, listener: str, standing: Standing) -> None:
    """The consent text, and the box to agree to it."""
    texts = standing.survey
    st.markdown(texts.introduction)
    time = f"{texts.minutes} minute{'s' if texts.minutes > 1 else ''}"
    st.markdown(
        f"It takes about **{time}**, in a quiet place and best with headphones. Every answer is"
        " saved at once: you may stop and continue later, on any device, with the same link."
    )
    st.subheader("Before you begin", anchor=False)
    st.markdown(texts.consent)
    lines = [f"Contact: {texts.contact}"]
    lines += [f"Ethics approval: {texts.ethics}"] if texts.ethics else []
    st.caption("  \n".join([*lines, f"Version {texts.consent_version} of this text"]))
    with st.form("consent", border=False):
        agreed = st.checkbox(
            "I am at least 18 years old, I have read this, and I agree to take part."
        )
        if st.form_submit_button("Begin", type="primary"):
            if not agreed:
                st.warning("To take part, tick the box above. Otherwise just close this page.")
                return
            listening.consent(store, listener, texts.consent_version)
            st.rerun()


def volume(store: SurveyStore, listener: str, standing: Standing) -> None:
    """A clip to set the volume with, which must be played to continue."""
    st.subheader("Set your volume", anchor=False)
    st.markdown("Play this, set a comfortable volume, and then leave it as it is.")
    sound = listening.volume_audio(store, listener)
    report = player(sound, "Volume check", 0.0, "volume")
    if st.button("I hear it well", type="primary", disabled=not report.plays):
        listening.volume_set(store, listener)
        st.rerun()
    if not report.plays:
        st.caption("Play it first.")


def background(store: SurveyStore, listener: str, standing: Standing) -> None:
    """The questions about the listener."""
    st.subheader("About you", anchor=False)
    with st.form("background", border=False):
        answers = {
            question.key: st.radio(
                question.text, question.options, index=None, key=f"about-{question.key}"
            )
            for question in standing.survey.background
        }
        if st.form_submit_button("Continue", type="primary"):
            chosen = {key: answer for key, answer in answers.items() if answer}
            if len(chosen) < len(answers):
                st.warning("Please answer each question.")
                return
            listening.background(store, listener, chosen)
            st.rerun()


def trial(store: SurveyStore, listener: str, standing: Standing) -> None:
    """One clip: the listener hears it to its end, scores it, and then judges its origin."""
    if standing.trial is None:
        return
    current, texts = standing.trial, standing.survey
    if current.practice:
        st.markdown("**Practice.** This clip does not count.")
        label = "Practice clip"
    else:
        number, total = standing.done + 1, standing.total
        st.progress(standing.done / max(total, 1), f"Clip {number} of {total}")
        label = f"Clip {number}"
    sound = listening.audio(store, listener, current.token)
    report = player(sound, label, current.seconds, f"clip-{key_of(current.token)}")
    heard = current.heard or record_report(store, listener, current, report)
    if current.question == "score":
        ask_score(store, listener, current, texts, heard)
    else:
        ask_belief(store, listener, current, texts)


def key_of(token: str) -> str:
    """The token in hexadecimal: a component's key may not contain two underscores in a row."""
    return token.encode().hex()


def record_report(store: SurveyStore, listener: str, current: Trial, report: PlayerReport) -> bool:
    """Record what the browser reports; whether the clip counts as heard."""
    if not report.plays:
        return False
    listening.started(store, listener, current.token)
    if not report.coverage:
        return False
    try:
        listening.heard(store, listener, current.token, report.coverage, report.plays)
    except Refused as refusal:
        if refusal.kind != "not-now":
            raise
        # If the connection was lost when the clip began, its end is reported too early.
        wait()
        return False
    return True


@st.fragment(run_every=2.0)
def wait() -> None:
    """Run the page again in two seconds."""
    if st.session_state.pop("waited", False):
        st.rerun()
    st.session_state["waited"] = True
    st.caption("One moment: your connection was interrupted.")


def ask_score(store: SurveyStore, listener: str, current: Trial, texts: Texts, heard: bool) -> None:
    """The rating scale, which is disabled until the clip was heard."""
    labels = {value: f"{value} – {label}" if label else str(value) for value, label in texts.scale}
    with st.form(f"score-{current.token}", border=False, enter_to_submit=False):
        value = st.radio(
            texts.score_question,
            list(labels),
            index=None,
            format_func=labels.__getitem__,
            disabled=not heard,
            key=f"value-{current.token}",
        )
        if not heard:
            st.caption("Listen to the end to unlock the scale.")
        if st.form_submit_button("Keep this score", type="primary", disabled=not heard):
            if value is None:
                st.warning("Choose a score first.")
                return
            listening.score(store, listener, current.token, value)
            st.rerun()


def ask_belief(store: SurveyStore, listener: str, current: Trial, texts: Texts) -> None:
    """Whether a human could have composed the clip; its score cannot change any more."""
    st.caption("Your score is saved.")
    with st.form(f"belief-{current.token}", border=False, enter_to_submit=False):
        belief = st.radio(
            texts.believable_question, ANSWERS, index=None, key=f"belief-{current.token}"
        )
        known, comment = False, ""
        if texts.known_question:
            known = st.checkbox(texts.known_question, key=f"known-{current.token}")
        if texts.comment_question:
            comment = st.text_area(
                texts.comment_question,
                max_chars=LONGEST_COMMENT,
                height=80,
                key=f"comment-{current.token}",
            )
        if st.form_submit_button("Next", type="primary"):
            if belief is None:
                st.warning("Choose yes or no first.")
                return
            listening.believe(store, listener, current.token, belief == "Yes", known, comment or "")
            st.rerun()


def finished(store: SurveyStore, listener: str, standing: Standing) -> None:
    """Thanks, and the completion code."""
    st.subheader("Thank you!", anchor=False)
    st.markdown("You have rated every clip. All your answers are saved.")
    if standing.completion_code:
        st.markdown("Your completion code, in case you are asked for one:")
        st.code(standing.completion_code, language=None)
    st.markdown(
        "Some of the clips were composed by people, the others by computer programs. The results"
        " will say which is which, once the survey is closed."
    )


def withdrawn(store: SurveyStore, listener: str, standing: Standing) -> None:
    """The listener has withdrawn."""
    st.info("You have withdrawn. All your answers are deleted, and this code no longer works.")


def closed(store: SurveyStore, listener: str, standing: Standing) -> None:
    """The survey was closed before the listener finished."""
    st.info(
        "This survey is closed and takes no more answers. Your earlier answers are saved. Thank"
        " you!"
    )


SCREENS: dict[Stage, Callable[[SurveyStore, str, Standing], None]] = {
    "consent": consent,
    "volume": volume,
    "background": background,
    "practice": trial,
    "trials": trial,
    "finished": finished,
    "withdrawn": withdrawn,
    "closed": closed,
}


@st.dialog("Withdraw from the survey?")
def confirm_withdrawal(store: SurveyStore, listener: str) -> None:
    """Ask again before everything is deleted."""
    st.markdown(
        "All your answers are **deleted** and your code stops working. This cannot be undone."
    )
    with st.container(horizontal=True):
        confirmed = st.button("Delete my answers", type="primary")
        if st.button("Go on with the survey"):
            st.rerun()
    if confirmed:
        try:
            listening.withdraw(store, listener)
        except Refused as refusal:
            st.error(str(refusal))
        else:
            st.rerun()


def footer(store: SurveyStore, listener: str, standing: Standing) -> None:
    """The contact and the button to withdraw, below every screen after the consent."""
    if standing.stage in ("consent", "withdrawn"):
        return
    st.divider()
    st.caption(
        f"Questions? {standing.survey.contact}  \nYou may withdraw, here and with your code, until"
        " the results are published."
    )
    if st.button("Withdraw from the survey", type="tertiary", key="withdraw"):
        confirm_withdrawal(store, listener)
