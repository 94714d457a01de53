from __future__ import annotations

import numpy as np
import pytest

import bench.data
from bench.data.audit import audit
from bench.data.similarity import QUARTERS, alike, groups, shares, windows
from bench.music import KEYS, Score, concatenate

# Share of the windows that occur in train, counted by another program; number of equal pieces.
KNOWN = {
    "jsb": ({"valid-033": 1.0, "valid-051": 0.67, "test-043": 0.28}, 0),
    "nottingham": (
        {
            "valid-003": 1.0,
            "valid-131": 1.0,
            "valid-048": 0.54,
            "test-099": 1.0,
            "test-087": 0.76,
            "test-144": 0.57,
        },
        3,
    ),
    "musedata": ({"test-011": 0.22}, 1),
    "piano-midi": ({}, 0),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_leaks_of_the_standard_splits_are_found(name, real_data):
    result = audit(bench.data.load(name))
    leaks = {leak.piece: leak.share for leak in result.leaks}
    known, equal = KNOWN[name]
    assert {piece: round(leaks[piece], 2) for piece in known} == known
    assert len(result.equal) == equal
    assert [leak.share for leak in result.leaks] == sorted(leaks.values(), reverse=True)
    if name == "piano-midi":
        assert not leaks


def test_a_leak_names_the_piece_of_train_it_comes_from(real_data):
    (leak,) = [x for x in audit(bench.data.load("nottingham")).leaks if x.piece == "test-099"]
    assert (leak.nearest, leak.nearest_share) == ("train-267", 1.0)


def random_piece(seed: int, length: int = 60, grid: int = 1) -> Score:
    rng = np.random.default_rng(seed)
    roll = rng.random((length, KEYS)) < 0.03
    roll[:, :12] = roll[:, -12:] = False  # room to transpose
    roll[20:24] = False
    return Score.from_rolls(roll, grid=grid)


def slow_windows(score: Score) -> list[tuple[tuple[int, ...], ...]]:
    """The same by definition: the chords of a window, its lowest key subtracted."""
    roll, size = score.sounding(), QUARTERS * score.grid
    roll = np.concatenate([roll, np.zeros((max(0, size - len(roll)), KEYS), dtype=bool)])
    chords = []
    for start in range(len(roll) - size + 1):
        window = roll[start : start + size]
        keys = np.flatnonzero(window.any(axis=0))
        if len(keys):
            chords.append(tuple(tuple(np.flatnonzero(step) - keys[0]) for step in window))
    return chords


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_windows_are_equal_exactly_where_they_are_by_definition(grid):
    pieces = [random_piece(seed, grid=grid) for seed in range(3)]
    pieces += [pieces[0].transpose(5), pieces[1].slice(7, 55), random_piece(9, 5, grid)]
    fast = np.concatenate([windows(piece) for piece in pieces])
    slow = [window for piece in pieces for window in slow_windows(piece)]
    assert len(fast) == len(slow)
    _, numbered = np.unique(fast, return_inverse=True)
    names = {window: i for i, window in enumerate(dict.fromkeys(slow))}
    assert len(set(numbered)) == len(names)
    assert len(set(zip(numbered.tolist(), (names[w] for w in slow), strict=True))) == len(names)


def test_sharing_is_the_same_in_every_key():
    piece, other = random_piece(1), concatenate([random_piece(1).slice(0, 30), random_piece(2)])
    before = shares([windows(piece)], [windows(other)])
    assert 0.3 < before[0, 0] < 0.6
    assert np.array_equal(before, shares([windows(piece.transpose(-3))], [windows(other)]))
    assert np.array_equal(before, shares([windows(piece)], [windows(other.transpose(7))]))


def test_a_melody_is_the_highest_sounding_key():
    tune = Score.from_notes(np.arange(16), np.ones(16), 70 + np.arange(16) % 5, grid=1)
    notes = [np.concatenate([getattr(tune, n)] * 2) for n in ("onset", "duration", "pitch")]
    notes[2][16:] = 40 + np.arange(16) * 7 % 13
    set_to_chords = Score.from_notes(*notes, grid=1)
    assert np.array_equal(windows(tune), windows(set_to_chords, melody=True))
    assert not np.isin(windows(set_to_chords), windows(tune)).any()


def test_silence_is_no_window_and_a_short_piece_is_one():
    assert len(windows(Score.silence(100))) == 0
    assert len(windows(Score.silence(0))) == 0
    assert len(windows(Score.from_notes([0], [1], [60]))) == 1


def test_pieces_are_compared_alike_however_many_there_are(monkeypatch):
    pieces = [random_piece(seed) for seed in (1, 2, 1, 3, 2)]
    hashes = [windows(piece) for piece in pieces]
    at_once = alike(hashes, 0.9)
    monkeypatch.setattr("bench.data.similarity.BLOCK", 2)
    assert np.array_equal(at_once, alike(hashes, 0.9))
    assert at_once.tolist() == [[0, 2], [1, 4], [2, 0], [4, 1]]


def test_pieces_that_share_much_are_one_group():
    pieces = {str(seed): random_piece(seed) for seed in range(4)}
    pieces["0 again"] = pieces["0"].transpose(4)
    pieces["0 and 1"] = concatenate([pieces["0"].slice(0, 40), pieces["1"].slice(0, 40)])
    labels = dict(zip(pieces, groups(pieces), strict=True))
    assert labels["0"] == labels["0 again"] == labels["0 and 1"] == labels["1"]
    assert len({labels["0"], labels["2"], labels["3"]}) == 3
