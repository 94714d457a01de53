import numpy as np
import pytest

from baselines.chords import RandomChords
from bench.architectures.chord_lstm import ChordLSTM
from bench.contract import Budget
from bench.encodings.frames import stack
from bench.music import Score

ALL = (np.arange(2**8)[:, None] >> np.arange(8) & 1).astype(bool)  # every frame of 8 keys


def test_probabilities_sum_to_one_over_all_frames_of_a_tiny_keyboard() -> None:
    rng = np.random.default_rng(0)
    train = [ALL[rng.integers(40, size=30)] for _ in range(3)]
    chords = RandomChords()
    for valid in (ALL[rng.integers(60, size=30)], ALL[:0]):
        chords.learn(train, valid)
        assert np.isclose(np.exp(chords.log_probability(ALL)).sum(), 1, atol=1e-12)


def test_the_escape_grows_with_the_share_of_unseen_chords() -> None:
    chords, seen = RandomChords(), ALL[np.arange(100) % 10]
    shares = []
    for unseen in (0, 5, 50):
        chords.learn([seen], np.concatenate([seen[: 100 - unseen], ALL[100 : 100 + unseen]]))
        shares.append(1 / (1 + np.exp(-chords.escape)))
    assert shares[0] < 0.05 < shares[1] < 0.5 < shares[2]


def test_chords_are_drawn_as_often_as_they_occur(quiet) -> None:
    train = [Score.from_notes([0, 1, 1], [1, 4, 2], [60, 64, 67], length=10)]
    chords, n = RandomChords(), 100_000
    chords.fit(train, [], Budget(0), 0, quiet)
    (sample,) = chords.sample([Score.silence(0)], n, seed=0)
    tokens = chords.vocabulary.encode(sample.sounding())
    assert (tokens < chords.vocabulary.unknown).all()
    drawn = np.bincount(tokens, minlength=len(chords.vocabulary)) / n
    rates = chords.vocabulary.counts / 10
    assert (np.abs(drawn - rates) < 4 * np.sqrt(rates * (1 - rates) / n)).all()


def test_musedata_has_the_entropy_known_of_its_chords(icml2012) -> None:
    chords = RandomChords()
    train = icml2012("MuseData")["train"]
    chords.learn([score.sounding() for score in train], np.zeros((0, 88), dtype=bool))
    share = chords.vocabulary.counts / chords.vocabulary.counts.sum()
    assert round(float(-(share * np.log(share)).sum()), 4) == 8.7375


def test_musedata_has_the_rare_and_the_unknown_chords_that_were_counted(icml2012) -> None:
    splits, chords = icml2012("MuseData"), RandomChords()
    train = [score.sounding() for score in splits["train"]]
    chords.learn(train, np.zeros((0, 88), dtype=bool))
    counts = chords.vocabulary.counts
    assert (counts == 1).sum() == 17_404
    assert round(float((counts < 10).mean()), 3) == 0.905
    for split, share in (("test", 0.200), ("valid", 0.220)):
        tokens = chords.vocabulary.encode(stack(splits[split]))
        assert round(float((tokens == chords.vocabulary.unknown).mean()), 3) == share


def test_every_frame_of_every_test_piece_is_paid_for(icml2012, quiet) -> None:
    splits = icml2012("JSB_Chorales")
    chords = RandomChords()
    chords.fit(splits["train"], splits["valid"], Budget(0), 0, quiet)
    unseen = chords.vocabulary.encode(stack(splits["test"])) == chords.vocabulary.unknown
    assert round(float(unseen.mean()), 2) == 0.10
    assert np.isfinite(chords.log_likelihood(splits["test"])).all()


@pytest.mark.slow
def test_a_network_that_hears_the_past_beats_them(icml2012, quiet) -> None:
    splits = icml2012("JSB_Chorales")
    losses = {}
    for system in (RandomChords(), ChordLSTM(rate=0.005)):
        system.fit(splits["train"], splits["valid"], Budget(100), 0, quiet)
        steps = sum(score.length for score in splits["test"])
        losses[type(system)] = -system.log_likelihood(splits["test"]).sum() / steps
    assert losses[ChordLSTM] < losses[RandomChords] - 0.5
