"""What placements explain: against the definition, and whatever key and time it is in."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from songs import BAR, song

from bench.music import HIGHEST, LOWEST, Score, concatenate
from bench.protocol import passages
from bench.protocol.passages import (
    SHIFT,
    STRETCH_NAMES,
    Library,
    bars_of,
    melody,
    notes_per_stretch,
    repetitions,
    struck,
)

WHOLE = STRETCH_NAMES.index("whole")
FEW = st.lists(st.tuples(st.integers(0, 15), st.integers(60, 64)), max_size=12)


@pytest.fixture(scope="module")
def library():
    return Library([song(number) for number in range(12)], BAR)


def tune(notes, length=16):
    onset, pitch = np.array(notes, dtype=np.int64).reshape(-1, 2).T
    return Score.from_notes(onset, np.ones_like(onset), pitch, length=length)


def test_an_excerpt_is_explained_whole_at_every_length_and_named(library):
    excerpt = song(3).slice(2 * BAR, 10 * BAR)
    matches = library.match([excerpt])
    assert (matches.share == 1).all()
    step = matches.bar[0, WHOLE] * BAR + matches.shift[0, WHOLE]
    assert library.piece_at(step) == 3
    assert step - library.start[3] == 2 * BAR
    assert matches.semitones[0, WHOLE] == 0
    assert matches.matched[0, WHOLE] == matches.notes[0, WHOLE] == len(struck(excerpt)[0])


def test_other_music_is_explained_less_the_longer_the_stretch(library):
    share = library.match([song(number).slice(BAR, 9 * BAR) for number in range(50, 66)]).share
    assert (np.diff(share.mean(axis=0)) < 0).all()
    assert share[:, WHOLE].max() < 0.6


@given(st.integers(-12, 12), st.integers(0, 11), st.integers(0, 160))
@settings(deadline=None, max_examples=20)
def test_the_key_and_the_place_do_not_matter(library, semitones, number, start):
    excerpt = song(number).slice(start, start + 8 * BAR)
    lowest, highest = excerpt.pitch.min() + semitones, excerpt.pitch.max() + semitones
    assume(lowest >= LOWEST and highest <= HIGHEST)  # the keyboard ends there
    matches = library.match([excerpt.transpose(semitones)])
    assert matches.share == pytest.approx(1)
    assert matches.semitones[0, WHOLE] == semitones
    assert library.piece_at(start + matches.shift[0, WHOLE] - start + BAR) == number


@given(st.integers(1, 40))
@settings(deadline=None, max_examples=10)
def test_silence_before_the_source_changes_nothing(steps):
    piece, sample = song(1), song(70).slice(0, 8 * BAR)
    later = concatenate([Score.silence(steps), piece])
    shares = [Library([source], BAR).match([sample]).share for source in (piece, later)]
    assert np.array_equal(*shares)


def test_octaves_beyond_the_reach_are_no_placement(library):
    low_enough = (song(n).slice(0, 8 * BAR) for n in range(12))
    high = next(part for part in low_enough if part.pitch.max() <= 108 - SHIFT)
    assert library.match([high.transpose(SHIFT)]).share == pytest.approx(1)
    low = Library([Score.from_notes(high.onset, high.duration, high.pitch - 8, length=128)], BAR)
    assert low.match([high.transpose(SHIFT)]).share.max() < 0.5


@pytest.mark.parametrize("column", range(4))
def test_the_share_falls_with_the_share_that_was_changed(library, column):
    rng, excerpts = np.random.default_rng(0), [song(n).slice(0, 8 * BAR) for n in range(12)]
    order = [rng.random(len(excerpt)) for excerpt in excerpts]
    means = []
    for share in (0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5):
        # To keys that the songs do not have, so that no changed note is found by chance.
        changed = [
            Score.from_notes(
                excerpt.onset,
                excerpt.duration,
                np.where(chance < share, 21 + np.arange(len(excerpt)) % 5, excerpt.pitch),
                length=excerpt.length,
            )
            for excerpt, chance in zip(excerpts, order, strict=True)
        ]
        means.append(library.match(changed).share[:, column].mean())
    assert (np.diff(means) < 0).all()
    assert means[0] == 1
    assert means[3] > 0.8


def test_what_was_spliced_is_explained_up_to_the_length_of_its_parts(library):
    rng = np.random.default_rng(3)

    def spliced(bars):
        places = [(int(rng.integers(12)), BAR * int(rng.integers(12))) for _ in range(8 // bars)]
        return concatenate([song(n).slice(at, at + BAR * bars) for n, at in places])

    for column, bars in enumerate((1, 2, 4)):
        share = library.match([spliced(bars) for _ in range(12)]).share.mean(axis=0)
        assert share[column] > 0.99
        assert share[column + 1] < 0.85


def test_splitting_repeating_and_shortening_notes_hides_nothing(library):
    excerpt = song(5).slice(0, 8 * BAR)
    assert excerpt.duration.min() >= 2
    halves = Score.from_notes(
        np.append(excerpt.onset, excerpt.onset + 1),
        np.append(np.ones_like(excerpt.onset), excerpt.duration - 1),
        np.append(excerpt.pitch, excerpt.pitch),
        length=excerpt.length,
    )
    short = Score.from_notes(
        excerpt.onset, np.ones_like(excerpt.onset), excerpt.pitch, length=excerpt.length
    )
    assert library.match([halves, short]).share == pytest.approx(1)


def test_a_melody_alone_is_found_in_its_piece(library):
    matches = library.match([melody(song(6)).slice(BAR, 9 * BAR)])
    assert matches.share[0, WHOLE] > 0.95
    assert library.piece_at(matches.shift[0, WHOLE] + BAR) == 6


def test_what_is_forbidden_is_not_compared(library):
    excerpt = song(7).slice(0, 8 * BAR)
    forbidden = np.zeros((1, 12), dtype=bool)
    forbidden[0, 7] = True
    assert library.match([excerpt], forbidden=forbidden).share[0, WHOLE] < 0.6


def test_a_stretch_of_few_notes_counts_for_more(library):
    two = Score.from_notes([0, 4, 8, 12], [4] * 4, song(0).pitch[:4], length=8 * BAR)
    plain, few = (library.match([two], np.full(4, n)).share[0, 0] for n in (0.0, 8.0))
    assert few <= plain / 2


@given(st.lists(FEW, min_size=1, max_size=3), FEW)
@settings(deadline=None, max_examples=60)
def test_no_share_is_more_than_the_best_of_all_placements(sources, notes):
    piece, library = tune(notes), Library([tune(n) for n in sources], 4)
    matches = library.match([piece])
    onset, pitch = struck(piece)
    best = 0
    for source in (tune(n) for n in sources):
        there, sounds = source.onsets(), source.sounding()
        for shift in range(-16, 17):
            for higher in range(-5, 6):
                hits = 0
                for at, key in zip(onset + shift, pitch + higher - 21, strict=True):
                    if 0 <= at < 16:
                        first = at == shift
                        hits += bool(there[at, key] or (first and sounds[at, key]))
                best = max(best, hits)
    # A placement may also reach into the next piece.
    assert matches.matched[0, WHOLE] <= best * min(2, len(sources))
    assert matches.share[0, WHOLE] <= 1


@given(FEW, FEW)
@settings(deadline=None, max_examples=60)
def test_repetitions_are_those_of_the_definition(before, notes):
    prompt, piece = tune([(at % 4, key) for at, key in before], 4), tune(notes)
    matches = repetitions([prompt], [piece], 4)
    past = {(at - 4, key) for at, key in zip(prompt.onset, prompt.pitch, strict=True)}
    past |= set(zip(piece.onset, piece.pitch, strict=True))
    for column, size in enumerate((1, 2, 4)):
        shares, weights = [], []
        for bar in range(4):
            weight = sum(bar * 4 <= at < bar * 4 + 4 for at in piece.onset)
            if not weight or (bar + 1) < size:
                continue
            best = 0.0
            for first in range(max(0, bar - size + 1), min(bar, 4 - size) + 1):
                inside = [
                    (at, key)
                    for at, key in zip(piece.onset, piece.pitch, strict=True)
                    if first * 4 <= at < (first + size) * 4
                ]
                for back in range(size * 4, 21):
                    for up in range(-4, 5):
                        hits = sum((at - back, key - up) in past for at, key in inside)
                        best = max(best, hits / len(inside))
            shares.append(best)
            weights.append(weight)
        expected = np.average(shares, weights=weights) if weights else 0.0
        assert matches.share[0, column] == pytest.approx(expected)
    assert matches.share[0, WHOLE] == 0


def test_a_loop_repeats_its_prompt_and_goes_on_with_it_in_any_key():
    bar = song(2).slice(0, BAR)
    loop = concatenate([bar] * 8)
    rising = concatenate([bar.transpose(number) for number in range(1, 9)])
    matches = repetitions([bar, bar], [loop, rising], BAR)
    assert matches.share[:, :WHOLE] == pytest.approx(1)
    own = repetitions([Score.silence(BAR)], [loop], BAR).share[0, 0]
    assert own == pytest.approx(7 / 8)


def test_empty_pieces_single_notes_and_thousands_of_notes_are_looked_at(library):
    rng = np.random.default_rng(0)
    many = Score.from_notes(
        rng.integers(0, 128, 2000),
        rng.integers(1, 9, 2000),
        rng.integers(21, 109, 2000),
        length=128,
    )
    one = Score.from_notes([5], [3], [60], length=128)
    pieces = [Score.silence(128), one, many, Score.silence(0)]
    prompts = [Score.silence(0), one.slice(0, 16), many.slice(0, 16), Score.silence(16)]
    for matches in (library.match(pieces), repetitions(prompts, pieces, BAR)):
        assert np.isfinite(matches.share).all()
        assert (matches.share >= 0).all()
        assert (matches.share <= 1).all()
        assert (matches.matched <= matches.notes).all()
        assert not matches.share[[0, 3]].any()
    assert not library.match([]).share.size
    assert not Library([], BAR).match(pieces).share.any()
    assert not Library([Score.silence(0)], BAR).match(pieces).share.any()


def test_bars_and_notes_are_counted():
    assert [bars_of(Score.silence(steps), 16) for steps in (0, 16, 17)] == [1, 1, 2]
    piece = Score.from_notes([0, 4, 20, 40], [1] * 4, [60, 62, 64, 65], length=64)
    assert notes_per_stretch([piece], 16).tolist() == [1, 2, 4, 4]
    assert notes_per_stretch([], 16).tolist() == [0, 0, 0, 0]


@given(FEW, FEW)
def test_dense_pieces_are_searched_for_the_same_repetitions_in_one_key(before, notes):
    prompt, piece = tune([(at % 4, key) for at, key in before], 4), tune(notes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passages, "SHIFT", 0)
        sparse = repetitions([prompt], [piece], 4)
        patch.setattr(passages, "DENSE", -1)
        dense = repetitions([prompt], [piece], 4)
    assert np.array_equal(sparse.share, dense.share)
