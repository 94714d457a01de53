"""The samples of an open survey can be neither heard nor seen on other pages."""

import pytest
from lazy import apps

from dashboards.serve import APP

HIDDEN = "in an open survey, hidden until it closes"


@pytest.fixture
def jobs(finished, looking_at):
    looking_at(finished)
    return {path.name for path in (finished / "runs" / "jobs").iterdir()}


def opened(page, **address):
    app = apps.AppTest.from_file(str(APP), default_timeout=60)
    app.run()
    app.switch_page(page)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, [e.value for e in app.exception]
    return app


def players(app):
    return len(app.get("bidi_component"))


def infos(app):
    return "\n".join(info.value for info in app.info)


def test_the_model_page_hides_samples_of_an_open_survey(jobs, monkeypatch):
    assert players(opened("model.py", system="markov-chain"))
    monkeypatch.setattr(
        "dashboards.views.surveys.embargoed",
        lambda: {job for job in jobs if job.startswith("markov-chain")},
    )
    app = opened("model.py", system="markov-chain")
    assert HIDDEN in infos(app)
    assert not players(app)
    assert players(opened("model.py", system="random-chords"))


def test_compare_hides_samples_of_an_open_survey_and_plays_the_others(jobs, monkeypatch):
    both = opened("compare.py", systems=["markov-chain", "random-chords"])
    assert players(both) == 2
    monkeypatch.setattr(
        "dashboards.views.surveys.embargoed",
        lambda: {job for job in jobs if job.startswith("markov-chain")},
    )
    app = opened("compare.py", systems=["markov-chain", "random-chords"])
    assert players(app) == 1
    assert f"markov chain: {HIDDEN}" in infos(app).lower().replace("-", " ")
