import pytest
from made_up_rows import row as made_up_row

from bench import registry
from bench.board import reproduce
from bench.errors import BenchError


def row(system, preset, nats):
    return made_up_row(
        system, preset=preset, dataset="jsb", budget_share=0.25, nats_per_step=nats, parameters=1000
    )


@pytest.fixture
def paper(monkeypatch):
    text = """
[paper]
short = "Somebody 2020"
[systems.x]
title = "X"
kind = "paper"
class = "somewhere:X"
[systems.x.published]
nats_per_step = { jsb = 5.5, nottingham = 2.0 }
human_rating = 7.0
parameters_counted = 900
"""
    specs = registry.read_catalogue(text, "here")
    monkeypatch.setattr(registry, "systems", lambda: specs)


def test_a_published_figure_stands_beside_ours_of_the_dearest_preset(paper):
    figures = {
        (figure.figure, figure.dataset): figure
        for figure in reproduce.figures([row("x", "standard", 6.0), row("x", "quick", 8.0)], "some")
    }
    jsb = figures["nats_per_step", "jsb"]
    assert (jsb.ours, jsb.gap, jsb.preset, jsb.budget_share) == (6.0, 0.5, "standard", 0.25)
    assert figures["nats_per_step", "nottingham"].note == "not run on nottingham"
    assert figures["human_rating", ""].note == "needs listeners"
    assert figures["parameters_counted", ""].gap == 100  # from the sizes that the paper states


def test_a_vocabulary_is_counted_in_the_training_pieces_whatever_the_networks_size(monkeypatch):
    text = """
[paper]
short = "Somebody 2020"
[systems.x]
title = "X"
kind = "paper"
class = "somewhere:X"
[systems.x.published]
vocabulary = { jsb = 300, elsewhere = 500 }
tokens = { jsb = 4000 }
frame_accuracy = { jsb = 0.4, nottingham = 0.7 }
parameters = 900
"""
    specs = registry.read_catalogue(text, "here")
    monkeypatch.setattr(registry, "systems", lambda: specs)
    ours = {"vocabulary": 310, "tokens": 4000, "frame_accuracy": 0.3, "likelihood_note": "none"}
    made = made_up_row("x", preset="quick", dataset="jsb", size="reduced", parameters=7, **ours)
    figures = {(f.figure, f.dataset): f for f in reproduce.figures([made])}
    assert (figures["vocabulary", "jsb"].ours, figures["vocabulary", "jsb"].gap) == (310, 10)
    assert figures["tokens", "jsb"].gap == 0
    assert figures["vocabulary elsewhere", ""].note == "on other data"
    assert figures["frame_accuracy", "jsb"].gap == pytest.approx(-0.1)
    assert figures["frame_accuracy", "nottingham"].note == "not run on nottingham"
    assert figures["parameters", ""].ours is None


def test_a_figure_from_memory_is_compared_and_says_so(monkeypatch):
    text = """
[paper]
short = "Somebody 2020"
[systems.x]
title = "X"
kind = "paper"
class = "somewhere:X"
[systems.x.published]
nats_per_step_from_memory = { jsb = 5.5, nottingham = 2.0 }
"""
    specs = registry.read_catalogue(text, "here")
    monkeypatch.setattr(registry, "systems", lambda: specs)
    jsb, nottingham = reproduce.figures([row("x", "standard", 6.0)], "some")
    assert (jsb.figure, jsb.gap, jsb.note) == (
        "nats_per_step",
        0.5,
        "published from memory, not verified",
    )
    assert nottingham.note == "published from memory, not verified, not run on nottingham"


def test_where_a_paper_gives_no_figure_the_reason_stands_in_its_place(monkeypatch):
    text = """
[systems.x]
title = "X"
kind = "paper"
class = "somewhere:X"
published = { none = "proposed, never run" }
"""
    specs = registry.read_catalogue('[paper]\nshort = "Somebody 2020"\n' + text, "here")
    monkeypatch.setattr(registry, "systems", lambda: specs)
    (figure,) = reproduce.figures([row("x", "quick", 6.0)])
    assert (figure.figure, figure.published) == ("no figure", "proposed, never run")
    assert (figure.ours, figure.note) == (None, "nothing to compare")


def test_a_paper_nobody_wrote_is_answered_with_those_there_are(paper):
    with pytest.raises(BenchError, match="Somebody 2020"):
        reproduce.figures([], "nobody")


def test_what_belongs_to_no_data_set_is_a_part_of_the_figure():
    published = {"nats_per_step": {"jsb": 5.5}, "human_rating": {"mean": 6.2, "sd": 2.4}, "n": 3}
    assert list(reproduce.flatten(published)) == [
        ("nats_per_step", "jsb", 5.5),
        ("human_rating mean", "", 6.2),
        ("human_rating sd", "", 2.4),
        ("n", "", 3),
    ]


def test_every_published_figure_is_measured_or_the_page_says_why_it_cannot_stand_beside_ours():
    notes = {figure.figure: figure.note for figure in reproduce.figures([])}
    assert "not measured here" not in notes.values()
    by_ear = {name.split()[0] for name, note in notes.items() if note == "needs listeners"}
    assert by_ear == {"human_rating", "believability_percent", "judgement"}


def test_no_published_figure_has_the_name_of_a_metric_that_measures_something_else():
    """What a paper calls by a metric's name is compared with that metric."""
    metrics = set(registry.metrics())
    shared = {
        (spec.id, figure)
        for spec in registry.systems().values()
        for figure, _, _ in reproduce.flatten(spec.published)
        if figure in metrics
    }
    # Sokolov et al. sum over frames what we average: the page says "on other data".
    assert {figure for _, figure in shared} <= {"isl"}
