import numpy as np
import pytest

from bench.contract import Likelihood
from bench.errors import BenchError
from bench.music import Score
from bench.protocol import likelihood


class Fake:
    def __init__(self, nats, kind="exact"):
        self.nats, self.likelihood = nats, Likelihood(kind, reason="it has no density")

    def log_likelihood(self, scores):
        return np.array(self.nats)


PIECES = [Score.from_notes([0, 2], [2, 2], [60, 62]), Score.silence(12)]


def test_nats_per_step_averages_over_steps_and_not_over_pieces():
    evaluated = likelihood.evaluate(Fake([-8.0, -24.0]), PIECES)
    assert evaluated.steps.tolist() == [4, 12]
    assert evaluated.notes.tolist() == [2, 0]
    assert evaluated.nats_per_step == pytest.approx(32 / 16)


@pytest.mark.parametrize(
    ("nats", "message"),
    [
        ([-1.0], "one number per piece"),
        ([-1.0, np.nan], "NaN for test piece 1"),
        ([0.5, -1.0], "> 0 for test piece 0"),
    ],
)
def test_what_is_no_log_probability_is_refused(nats, message):
    with pytest.raises(BenchError, match=message):
        likelihood.evaluate(Fake(nats), PIECES)


def test_probability_zero_is_an_outcome_with_a_reason():
    evaluated = likelihood.evaluate(Fake([-np.inf, -1.0]), PIECES)
    assert evaluated.reason == "gives 1 of 2 test pieces probability 0"


def test_a_system_without_likelihood_is_not_asked():
    evaluated = likelihood.evaluate(Fake([np.nan], kind="none"), PIECES)
    assert evaluated.reason == "it has no density"
    assert len(evaluated.nats) == 0


@pytest.mark.parametrize(
    ("declared", "data", "expected"),
    [
        (Likelihood("exact", "score"), "score", ("exact", "score")),
        (Likelihood("exact", "frames"), "score", ("coarse", "frames")),
        (Likelihood("exact", "frames"), "frames", ("exact", "frames")),
        (Likelihood("exact", "score"), "frames", ("upper", "frames")),
        (Likelihood("upper", "score"), "score", ("upper", "score")),
        (Likelihood("estimate", "frames"), "frames", ("estimate", "frames")),
        (Likelihood("none", reason="x"), "frames", ("none", "")),
    ],
)
def test_the_tag_says_what_a_likelihood_is_worth_on_such_data(declared, data, expected):
    assert likelihood.tag(declared, data) == expected
