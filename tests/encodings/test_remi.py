import importlib
import os
from types import ModuleType

import numpy as np
import pytest

from bench.encodings import remi
from bench.encodings.remi import BAR, DURATION, PITCH, POSITION, VELOCITY, Grammar, decode, encode
from bench.errors import BenchError
from bench.music import Score, to_midi

RNG = np.random.default_rng(0)
PARTS = ("onset", "duration", "pitch", "velocity")


def any_score(grid: int, longest: int = 60) -> Score:
    notes, length = int(RNG.integers(1, 50)), int(RNG.integers(1, 180))
    return Score.from_notes(
        RNG.integers(0, length, notes),
        RNG.integers(1, longest, notes),
        RNG.integers(21, 109, notes),
        RNG.integers(1, 128, notes),
        length=length,
        grid=grid,
    )


def timing(score: Score) -> list[list[int]]:
    return np.stack([score.onset, score.duration, score.pitch]).tolist()


def test_the_vocabulary_is_the_papers_218_tokens() -> None:
    assert remi.TOKENS == 218
    assert len(remi.KINDS) == 218
    assert np.bincount(remi.KINDS).tolist() == [1, 1, 88, 32, 64, 32]


def test_a_note_is_position_pitch_velocity_duration() -> None:
    score = Score.from_notes([4, 4, 22], [2, 4, 1], [60, 64, 67], [80, 1, 127], length=40)
    c, e, g = (PITCH + pitch - 21 for pitch in (60, 64, 67))
    half, quarter, sixteenth = (DURATION + units - 1 for units in (4, 8, 2))
    soft, middle, loud = VELOCITY, VELOCITY + 19, VELOCITY + 31  # 3, 79 and 127
    assert encode(score).tolist() == [
        *(BAR, POSITION + 8, c, middle, half, e, soft, quarter),
        *(BAR, POSITION + 12, g, loud, sixteenth),
        BAR,
    ]


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_onsets_durations_and_pitches_come_back(grid: int) -> None:
    for _ in range(100):
        score = any_score(grid, longest=12 * grid)  # shorter than the longest token
        back = decode(encode(score), score.length, grid)
        assert timing(back) == timing(score)
        assert (back.length, back.grid) == (score.length, grid)
        nearest = np.abs(remi.VELOCITIES - score.velocity[:, None]).min(axis=1)
        assert (np.abs(back.velocity - score.velocity) == nearest).all()


@pytest.mark.parametrize("quarters", [12, 13, 24, 31])
def test_notes_longer_than_twelve_quarters_are_held_on(quarters: int) -> None:
    score = Score.from_notes([0, 3], [4 * quarters, 2], [60, 70], length=4 * quarters + 5)
    assert timing(decode(encode(score), score.length, 4)) == timing(score)


def test_a_key_struck_anew_after_twelve_quarters_is_the_stated_loss() -> None:
    score = Score.from_notes([0, 48], [48, 4], [60, 60], length=60)
    assert timing(decode(encode(score), 60, 4)) == [[0], [52], [60]]


def test_every_bar_has_its_token_also_when_empty() -> None:
    assert encode(Score.silence(33)).tolist() == [BAR] * 3
    assert len(encode(Score.silence(0))) == 0


def test_a_grid_that_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(BenchError, match="grid of 1, 2 or 4"):
        encode(Score.silence(4, grid=3))


def test_ill_formed_tokens_are_no_notes() -> None:
    c, v, d = PITCH + 39, VELOCITY + 19, DURATION + 7
    lost = [c, v, d]  # before the first bar
    broken = [BAR, POSITION, c, d, v, POSITION + 8, c, v, d, BAR, c, v, d, c, v]
    assert timing(decode(np.array([*lost, *broken]), 32, 4)) == [[4, 16], [4, 4], [60, 60]]
    assert len(decode(np.array([c, v]), 32, 4)) == 0


def walk(
    lengths: list[int], grid: int, rng: np.random.Generator, keys: int = 88
) -> list[list[int]]:
    """Tokens drawn evenly from those that the grammar allows, until every piece is done.

    Mostly from the lowest `keys`, so that a key that sounds is often the next choice.
    """
    rules, drawn = Grammar(lengths, grid), [[] for _ in lengths]
    while not rules.done.all():
        legal = rules.legal()
        assert legal.any(axis=1)[~rules.done].all()
        chances = legal * rng.random(legal.shape)
        chances[:, DURATION:POSITION] *= np.linspace(1, 0.1, 64)  # short notes, so that many fit
        chances[:, PITCH + keys : VELOCITY] *= 1e-6
        tokens = chances.argmax(axis=1)
        alive = ~rules.done
        rules.take(tokens)
        for row in np.flatnonzero(alive & ~rules.done):
            drawn[row].append(int(tokens[row]))
    return drawn


@pytest.mark.parametrize("keys", [88, 3])
@pytest.mark.parametrize("grid", [1, 2, 4])
def test_what_the_grammar_allows_has_just_one_encoding(grid: int, keys: int) -> None:
    # A seed of its own: rarely a note of 12 quarters is struck anew at its end, the stated loss.
    lengths, rng = [40, 7, 33, 0, 1, 64] * 4, np.random.default_rng(keys + grid)
    for drawn, length in zip(walk(lengths, grid, rng, keys), lengths, strict=True):
        # With room for notes that sound beyond the end, nothing is lost or cut.
        whole = encode(decode(np.array(drawn, dtype=int), length + 100, grid))
        assert whole[: len(drawn)].tolist() == drawn
        score = decode(np.array(drawn, dtype=int), length, grid)
        again = encode(score).tolist()
        assert len(again) == len(drawn)
        for before, after in zip(drawn, again, strict=True):
            # The end of the piece may cut a note.
            shorter = after < before and remi.KINDS[before] == remi.IS_DURATION
            assert before == after or shorter


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_the_grammar_allows_every_piece(grid: int) -> None:
    scores = [any_score(grid) for _ in range(20)]
    for score in scores:
        rules = Grammar([score.length], grid)
        for token in encode(score):
            assert rules.legal()[0, token]
            assert not rules.ending()[0, token]
            rules.take(np.array([token]))
        assert not rules.done[0]
        assert (rules.legal() & rules.ending()).any()


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_the_positions_along_a_piece_are_those_reached_token_by_token(grid: int) -> None:
    for _ in range(20):
        score = any_score(grid)
        tokens, rules = encode(score), Grammar([score.length], grid)
        along = Grammar.along(tokens, score.length, grid)
        legal, ending = along.legal(), along.ending()
        for place in range(len(tokens) + 1):
            assert (legal[place] == rules.legal()[0]).all()
            assert (ending[place] == rules.ending()[0]).all()
            rules.take(tokens[place : place + 1])


def test_after_a_prompt_nothing_begins_within_it() -> None:
    prompt = encode(Score.from_notes([2], [3], [60], length=10))
    rules = Grammar([32], 4)
    rules.read([prompt])
    rules.begin([10])
    legal = np.flatnonzero(rules.legal()[0])
    assert legal.tolist() == [BAR, *(POSITION + np.arange(20, 32, 2))]


def miditok() -> ModuleType:
    """The library; where it must be there, its absence fails."""
    if os.environ.get("CI") == "true":
        return importlib.import_module("miditok")
    return pytest.importorskip("miditok")


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_miditok_encodes_a_piece_by_the_same_tokens(grid: int) -> None:
    """Of its settings, those of MidiTok 1: durations in eighths of a quarter, beyond 4 in fourths.

    It stops at the last bar with a note.
    """
    library = miditok()
    symusic = pytest.importorskip("symusic")
    peer = library.REMI(
        library.TokenizerConfig(
            pitch_range=(21, 108),
            beat_res={(0, 4): 8, (4, 12): 4},
            num_velocities=32,
            use_time_signatures=False,
            use_pitchdrum_tokens=False,
        )
    )
    names = [
        *("PAD_None", "Bar_None"),
        *(f"Pitch_{pitch}" for pitch in range(21, 109)),
        *(f"Velocity_{velocity}" for velocity in remi.VELOCITIES),
        *(f"Duration_{quarters}.{part}.{of}" for quarters, part, of in peer.durations),
        *(f"Position_{position}" for position in range(32)),
    ]
    assert len(names) == remi.TOKENS
    for _ in range(50):
        score = any_score(grid, longest=12 * grid + 1)
        # Between two of the 32 velocities the libraries may choose either.
        heard = Score.from_notes(
            score.onset,
            score.duration,
            score.pitch,
            RNG.choice(remi.VELOCITIES, len(score)),
            length=score.length,
            grid=grid,
        )
        (theirs,) = peer(symusic.Score.from_midi(to_midi(heard)))
        ours = [names[token] for token in encode(heard)]
        last = max(place for place, name in enumerate(ours) if name != "Bar_None")
        assert ours[: last + 1] == theirs.tokens


def by_position(tokens: np.ndarray) -> list[dict[int, list[tuple[int, ...]]]]:
    """Of every bar: what is struck at which position, each note as its three tokens."""
    bars: list[dict[int, list[tuple[int, ...]]]] = []
    for place, token in enumerate(tokens):
        if token == BAR:
            bars.append({})
        elif token >= POSITION:
            position = int(token)
        elif PITCH <= token < VELOCITY:
            note = tuple(int(t) for t in tokens[place : place + 3])
            bars[-1].setdefault(position, []).append(note)
    return bars


def two_pointers(first: np.ndarray, second: np.ndarray) -> list[int]:
    """The tokens of two tracks as one, as section VI.B of the paper merges them.

    Bar by bar, the track whose pointer stands at the smaller position first; what both strike at
    one position follows one Position, from the lowest note up, as in a track of its own.
    """
    merged: list[int] = []
    for a, b in zip(by_position(first), by_position(second), strict=True):
        merged.append(BAR)
        for position in sorted(a.keys() | b.keys()):
            merged.append(position)
            for note in sorted(a.get(position, []) + b.get(position, [])):
                merged += note
    return merged


def test_the_tokens_of_merged_tracks_are_those_of_the_papers_merging() -> None:
    for _ in range(50):
        hands = []
        for low, high in ((30, 60), (60, 90)):  # two hands that share no key
            own = any_score(4)
            pitch = low + own.pitch % (high - low)
            hands.append(
                Score.from_notes(own.onset, own.duration, pitch, own.velocity, length=200, grid=4)
            )
        both = [np.concatenate([getattr(hand, part) for hand in hands]) for part in PARTS]
        together = Score.from_notes(*both, length=200, grid=4)
        assert len(together) == sum(map(len, hands))
        assert encode(together).tolist() == two_pointers(*map(encode, hands))
