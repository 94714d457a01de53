from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.data import folk
from bench.data.grades import GRADES, difficulty, grade
from bench.data.manifest import read_manifest
from bench.data.splits import distinct, seeded
from bench.music import Score

MANIFEST = read_manifest(folk.FOLK.manifest)


@pytest.fixture(scope="module")
def few():
    return folk.read(
        Path(), ["ryansMammoth/AcaciaReel", "ryansMammoth/AnnieHughesJig", "ryansMammoth/AaronsJig"]
    )


def test_notes_are_those_of_the_edition(few):
    # M:2/4, L:1/16, K:G: an upbeat of a triplet of sixteenths, then G2 GA BcdB.
    tune = few["ryansMammoth/AcaciaReel"].slice(8, 16)
    assert list(tune.onset) == [0, 2, 3, 4, 5, 6, 7]
    assert list(tune.pitch) == [67, 67, 69, 71, 72, 74, 71]
    # The triplet has three notes in two steps: the first and the nearer of the others stay.
    upbeat = few["ryansMammoth/AcaciaReel"].slice(0, 8)
    assert list(zip(upbeat.onset, upbeat.pitch, strict=True)) == [(6, 62), (7, 64)]


def test_a_tune_the_grid_has_no_room_for_is_left_out_of_the_pinned_set(few):
    # Annie Hughes' Jig is in dotted sixteenths and thirty-seconds throughout.
    assert "ryansMammoth/AnnieHughesJig" not in MANIFEST.ids
    assert "ryansMammoth/AcaciaReel" in MANIFEST.ids


def test_one_voice_is_the_highest_note_of_every_onset():
    score = Score.from_notes([0, 0, 2, 3, 3], [4, 4, 9, 1, 3], [60, 67, 62, 65, 50], length=12)
    voice = folk.one_voice(score)
    assert list(voice.onset) == [0, 2, 3]
    assert list(voice.pitch) == [67, 62, 65]
    assert list(voice.duration) == [2, 1, 1]
    assert voice.length == 12
    assert folk.one_voice(voice) == voice
    assert folk.one_voice(Score.silence(8)) == Score.silence(8)


@pytest.mark.slow
def test_all_tunes_make_the_pinned_data_set():
    pieces = distinct(folk.read(Path(), None))
    assert MANIFEST.wrong(pieces) is None
    assert sorted(MANIFEST.ids) == sorted(pieces)
    splits = seeded(pieces)
    assert all(sorted(splits[split]) == list(MANIFEST.splits[split]) for split in splits)
    for score in pieces.values():
        assert (score.onset[1:] >= score.end[:-1]).all()
    train = [grade(pieces[piece]) for piece in splits["train"]]
    counts = np.bincount(train, minlength=5)[1:] / len(train)
    assert (abs(counts - 0.25) < 0.02).all()


def steady(durations: list[int], pitches: list[int]) -> Score:
    onset = np.concatenate([[0], np.cumsum(durations)[:-1]])
    return Score.from_notes(onset, durations, pitches)


def test_a_denser_wider_or_more_varied_tune_is_harder():
    plain = steady([4] * 8, [60, 62, 64, 65] * 2)
    denser = steady([2] * 16, [60, 62, 64, 65] * 4)
    wider = steady([4] * 8, [60, 62, 64, 77] * 2)
    varied = steady([6, 2, 4, 4, 6, 2, 4, 4], [60, 62, 64, 65] * 2)
    assert all(difficulty(tune) > difficulty(plain) for tune in (denser, wider, varied))
    assert grade(plain) == 1
    assert grade(steady([1, 1, 2, 3, 1] * 8, [55, 86, 60, 75, 70] * 8)) == 4
    assert grade(Score.silence(16)) == 1


def test_difficulty_is_the_same_in_every_key_and_on_every_grid():
    tune = steady([4, 2, 2, 4], [60, 64, 62, 72])
    finer = Score.from_notes(tune.onset * 3, tune.duration * 3, tune.pitch, grid=12)
    assert difficulty(tune) == difficulty(tune.transpose(5)) == pytest.approx(difficulty(finer))
    assert {grade(tune)} <= set(GRADES)
