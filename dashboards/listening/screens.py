"""What a listener sees, one screen for each stage. Nothing here knows which clip it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from bench.survey import listening
from bench.survey.listening import Refused, Standing, Texts, Trial
from dashboards.listening.player import PlayerReport, player

if TYPE_CHECKING:
    from bench.survey.database.store import SurveyStore

STYLE = Path(__file__).parent / "page.css"
ANSWERS = ("Yes", "No")
LONGEST_COMMENT = 500


def consent(store: SurveyStore, listener: str, now: Standing) -> None:
    """What the survey is about, and whether to take part."""
    texts = now.survey
    st.markdown(texts.introduction)
    time = f"{texts.minutes} minute{'s' if texts.minutes > 1 else ''}"
    st.markdown(
        f"It takes about **{time}**, in a quiet place and best with headphones. Every answer is"
        " kept at once: you may stop and go on later, on any device, with the same link."
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


def volume(store: SurveyStore, listener: str, now: Standing) -> None:
    """A clip to set the volume with; going on takes having played it."""
    st.subheader("Set your volume", anchor=False)
    st.markdown("Play this, set a comfortable volume, and then leave it as it is.")
    sound = listening.volume_audio(store, listener)
    told = player(sound, "Volume check", 0.0, "volume")
    if st.button("I hear it well", type="primary", disabled=not told.plays):
        listening.volume_set(store, listener)
        st.rerun()
    if not told.plays:
        st.caption("Play it first.")


def background(store: SurveyStore, listener: str, now: Standing) -> None:
    """A few questions about the listener."""
    st.subheader("About you", anchor=False)
    with st.form("background", border=False):
        answers = {
            question.key: st.radio(
                question.text, question.options, index=None, key=f"about-{question.key}"
            )
            for question in now.survey.background
        }
        if st.form_submit_button("Continue", type="primary"):
            given = {key: answer for key, answer in answers.items() if answer}
            if len(given) < len(answers):
                st.warning("Please answer each question.")
                return
            listening.background(store, listener, given)
            st.rerun()


def trial(store: SurveyStore, listener: str, now: Standing) -> None:
    """One clip: heard to its end, then scored, then judged."""
    if now.trial is None:
        return
    current, texts = now.trial, now.survey
    if current.practice:
        st.markdown("**Practice.** This clip does not count.")
        label = "Practice clip"
    else:
        st.progress(now.done / max(now.total, 1), f"Clip {now.done + 1} of {now.total}")
        label = f"Clip {now.done + 1}"
    sound = listening.audio(store, listener, current.token)
    told = player(sound, label, current.seconds, f"clip-{plain(current.token)}")
    heard = current.heard or take(store, listener, current, told)
    if current.question == "score":
        ask_score(store, listener, current, texts, heard)
    else:
        ask_belief(store, listener, current, texts)


def plain(token: str) -> str:
    """The token as part of a component's key, which may not hold two underscores in a row."""
    return token.encode().hex()


def take(store: SurveyStore, listener: str, current: Trial, told: PlayerReport) -> bool:
    """Pass on what the browser reports; whether the service took the clip as heard."""
    if not told.plays:
        return False
    listening.started(store, listener, current.token)
    if not told.coverage:
        return False
    try:
        listening.heard(store, listener, current.token, told.coverage, told.plays)
    except Refused as no:
        if no.kind != "not-now":
            raise
        # Where the connection was gone when the clip began, its end can come too early.
        wait()
        return False
    return True


@st.fragment(run_every=2.0)
def wait() -> None:
    """Ask again in a moment, by running the page anew."""
    if st.session_state.pop("waited", False):
        st.rerun()
    st.session_state["waited"] = True
    st.caption("One moment: your connection was interrupted.")


def ask_score(store: SurveyStore, listener: str, current: Trial, texts: Texts, heard: bool) -> None:
    """The scale. It opens once the clip was heard."""
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
    """Whether a human could have composed it; the score is locked by now."""
    st.caption("Your score is kept.")
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


def finished(store: SurveyStore, listener: str, now: Standing) -> None:
    """Thanks, and the code that proves it."""
    st.subheader("Thank you!", anchor=False)
    st.markdown("You have rated every clip. All your answers are kept.")
    if now.completion_code:
        st.markdown("Your completion code, should you be asked for one:")
        st.code(now.completion_code, language=None)
    st.markdown(
        "The clips come from several computer programs, and some were composed by people. Which is"
        " which is told with the results, once the survey is closed."
    )


def withdrawn(store: SurveyStore, listener: str, now: Standing) -> None:
    """Nothing is kept any more."""
    st.info("You have withdrawn. All your answers are deleted, and this code is used up.")


def closed(store: SurveyStore, listener: str, now: Standing) -> None:
    """The survey ended before the listener did."""
    st.info(
        "This survey is closed and takes no more answers. What you answered before is kept."
        " Thank you!"
    )


SCREENS = {
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
    """Ask once more before everything is deleted."""
    st.markdown(
        "All your answers are **deleted** and your code stops working. This cannot be undone."
    )
    with st.container(horizontal=True):
        sure = st.button("Delete my answers", type="primary")
        if st.button("Go on with the survey"):
            st.rerun()
    if sure:
        try:
            listening.withdraw(store, listener)
        except Refused as no:
            st.error(str(no))
        else:
            st.rerun()


def foot(store: SurveyStore, listener: str, now: Standing) -> None:
    """What stands below every screen once the listener agreed to take part."""
    if now.stage in ("consent", "withdrawn"):
        return
    st.divider()
    st.caption(
        f"Questions? {now.survey.contact}  \nYou may withdraw, here and with your code, until the"
        " results are published."
    )
    if st.button("Withdraw from the survey", type="tertiary", key="withdraw"):
        confirm_withdrawal(store, listener)
