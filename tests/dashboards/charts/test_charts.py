"""The charts that order or place things: what is drawn, and that Vega's schema knows it."""

import numpy as np
import pytest
from lazy import Library, pd

from dashboards.views.job import CurvePoint

charts = Library("dashboards.charts.board")
metric_charts = Library("dashboards.charts.metric")
model_charts = Library("dashboards.charts.model")
embedding_view = Library("dashboards.views.embedding")
METHODS = ("t-SNE", "PCA")


def test_a_bar_joins_neighbours_that_are_not_apart_and_the_best_is_on_top():
    names = ["c", "a", "b"]  # by skill, not by name
    spec = charts.ties(names, [(0, 1)]).to_dict()
    for layer in spec["layer"]:
        assert layer["encoding"]["y"]["scale"]["domain"] == names
    rows = [row for table in spec["datasets"].values() for row in table]
    assert {row["system"] for row in rows if "bar" in row and "system" in row} == {"c", "a"}
    assert {"bar": 0, "first": "c", "last": "a"} in rows
    charts.ties(names, []).to_dict()


@pytest.mark.parametrize(
    ("label", "key"),
    [("C4", 60), ("A0-C4", 21), ("E♭3-G3", 51), ("C4 off +2", 60), ("silence", None), ("", None)],
)
def test_the_lowest_note_of_a_label(label, key):
    assert embedding_view.lowest(label) == key


def test_every_method_of_the_map_is_tested():
    assert embedding_view.METHODS == METHODS


@pytest.mark.parametrize("method", METHODS)
def test_two_heaps_of_vectors_stay_two_heaps_on_the_map(method):
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(side, 0.1, (20, 8)) for side in (-5, 5)])
    labels = tuple(f"{'CDEFGAB'[i % 7]}{2 + i // 20}" for i in range(40))
    table = embedding_view.flattened(embedding_view.Learnt(labels, vectors), method)
    flat = table[["x", "y"]].to_numpy()
    own = np.linalg.norm(flat - np.repeat([flat[:20].mean(0), flat[20:].mean(0)], 20, 0), axis=1)
    other = np.linalg.norm(flat - np.repeat([flat[20:].mean(0), flat[:20].mean(0)], 20, 0), axis=1)
    assert (own < other).all()
    again = embedding_view.flattened(embedding_view.Learnt(labels, vectors), method)
    pd.testing.assert_frame_equal(table, again)
    model_charts.embedding(table, embedding_view.NAMED).to_dict()


def test_the_other_charts_are_ones_that_vega_knows():
    way = pd.DataFrame({"seed": ["0", "0"], "update": [1, 2], "value": [0.5, 0.4]})
    model_charts.trajectory(way, "loss").to_dict()
    points = [CurvePoint("0", 1, "valid_loss", 2.0)]
    assert model_charts.curves(points, "loss").to_dict()["mark"]["point"]  # one point is seen
    found = pd.DataFrame(
        {"metric": ["a"], "tau": [0.5], "low": [0.1], "high": [0.9]}
        | {"sure": ["beyond doubt"], "verdict": ["agrees"]}
    )
    metric_charts.agreement(found).to_dict()
    rated = {"system": ["a"], "value": [1.0], "rating": [5.0], "low": [4.0], "high": [6.0]}
    metric_charts.rated(pd.DataFrame(rated), "ISL").to_dict()


def test_keys_that_go_down_and_up_have_shapes_of_their_own():
    labels = tuple(
        f"{name}{octave} {state}" for name in "CD" for octave in "2345" for state in ("on", "off")
    )
    assert [embedding_view.state(label) for label in labels] == ["on", "off"] * 8
    assert embedding_view.state("C4-E4") == embedding_view.state("silence") == ""
    vectors = np.random.default_rng(0).normal(size=(16, 4))
    table = embedding_view.flattened(embedding_view.Learnt(labels, vectors), "PCA")
    layer = model_charts.embedding(table, 24).to_dict()["layer"][0]
    assert layer["encoding"]["shape"]["scale"]["range"] == ["circle", "cross"]
    plain = embedding_view.flattened(embedding_view.Learnt(("C4",) * 16, vectors), "PCA")
    assert "shape" not in model_charts.embedding(plain, 24).to_dict()["layer"][0]["encoding"]
