"""What listeners rate can be neither heard nor seen elsewhere while they do."""

import pytest

pytest.importorskip("streamlit")
from streamlit.testing.v1 import AppTest

from dashboards.serve import APP
from dashboards.views import surveys

HIDDEN = "in an open survey, hidden until it closes"


@pytest.fixture
def jobs(finished, looking_at):
    looking_at(finished)
    return {path.name for path in (finished / "runs" / "jobs").iterdir()}


def opened(page, **address):
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.run()
    app.switch_page(page)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, [e.value for e in app.exception]
    return app


def players(app):
    return len(app.get("bidi_component"))


def said(app):
    return "\n".join(one.value for one in app.info)


def test_the_model_page_hides_samples_of_an_open_survey(jobs, monkeypatch):
    assert players(opened("model.py", system="markov-chain"))
    monkeypatch.setattr(
        surveys, "embargoed", lambda: {job for job in jobs if job.startswith("markov-chain")}
    )
    app = opened("model.py", system="markov-chain")
    assert HIDDEN in said(app)
    assert not players(app)
    assert players(opened("model.py", system="random-chords"))


def test_compare_hides_the_one_and_plays_the_other(jobs, monkeypatch):
    both = opened("compare.py", systems=["markov-chain", "random-chords"])
    assert players(both) == 2
    monkeypatch.setattr(
        surveys, "embargoed", lambda: {job for job in jobs if job.startswith("markov-chain")}
    )
    one = opened("compare.py", systems=["markov-chain", "random-chords"])
    assert players(one) == 1
    assert f"Markov chain: {HIDDEN}" in said(one) or f"markov-chain: {HIDDEN}" in said(one)
