import numpy as np
import pytest
import torch

from bench.judges.notes import END, NOTE, WAIT, NotesJudge, decisions, struck_again
from bench.music import HIGHEST, KEYS, LOWEST, Score, concatenate

BAR = 8


def judge(again=True, seed=0):
    """A judge that has learnt nothing, its weights drawn at random."""
    made = NotesJudge(2, BAR, again=again)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made.network = made.build()
        for weight in made.network.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    made.network.eval()
    return made


def flat():
    """A judge to which everything that may follow is alike."""
    made = judge()
    for weight in made.network.parameters():
        torch.nn.init.zeros_(weight)
    return made


def piece(seed, steps=4 * BAR, notes=20):
    rng = np.random.default_rng(seed)
    return Score.from_notes(
        rng.integers(steps, size=notes),
        rng.integers(1, BAR, notes),
        rng.integers(40, 80, notes),
        length=steps,
        grid=2,
    )


def nats(made, score):
    """Of the piece from nothing."""
    return float(made.nats([Score.silence(0, 2)], [score])[0])


def test_every_note_is_one_decision_and_waits_add_up():
    pieces = [piece(seed) for seed in range(5)]
    known = decisions(pieces, BAR, 4)
    for number, score in enumerate(pieces):
        own = known.piece == number
        made = own & (known.kind == NOTE)
        assert known.step[made].tolist() == score.onset.tolist()
        assert (known.key[made] + LOWEST).tolist() == score.pitch.tolist()
        assert known.wait[own].sum() == score.length


def test_what_a_flat_judge_says_can_be_counted():
    waits, keys, lengths = BAR + 1, KEYS, 2 * BAR
    one = Score.from_notes([3], [2], [60], length=BAR, grid=2)
    # Waiting 3, the key, its length of just 2; then no note for 5 steps: 4 of the 9 waits.
    expected = np.log(waits) + np.log(keys) + np.log(lengths) - np.log((waits - 5) / waits)
    assert nats(flat(), one) == pytest.approx(expected, rel=1e-5)
    # A note that sounds to the end may have been meant to be longer.
    held = Score.from_notes([3], [5], [60], length=BAR, grid=2)
    longer = np.log(lengths) - np.log(lengths - 4)
    assert nats(flat(), held) == pytest.approx(expected - np.log(lengths) + longer, rel=1e-5)
    # In a chord keys rise: above 60 there are fewer.
    two = Score.from_notes([3, 3], [2, 2], [60, 64], length=BAR, grid=2)
    more = np.log(waits) + np.log(HIGHEST - 60) + np.log(lengths)
    assert nats(flat(), two) == pytest.approx(expected + more, rel=1e-5)
    # Silence: bars without a note, and an end that comes by itself.
    assert nats(flat(), Score.silence(3 * BAR, 2)) == pytest.approx(3 * np.log(waits), rel=1e-5)
    assert nats(flat(), Score.silence(2, 2)) == pytest.approx(np.log(waits / (waits - 2)), rel=1e-5)


def test_all_pieces_of_one_step_together_have_at_most_probability_one():
    keys = range(LOWEST, HIGHEST + 1)
    chords = [(), *[(k,) for k in keys], *[(k, m) for k in keys for m in keys if k < m]]
    pieces = [Score.from_notes([0] * len(c), [1] * len(c), c, length=1, grid=2) for c in chords]
    made = judge()
    logs = -made.nats([Score.silence(0, 2)] * len(pieces), pieces)
    assert np.exp(logs).sum() <= 1 + 1e-4


@pytest.mark.parametrize("again", [True, False])
def test_no_continuation_has_a_probability_above_one(again):
    made = judge(again)
    prompts = [piece(seed, BAR, 6) for seed in range(6)]
    after = [piece(seed, notes=count) for seed, count in enumerate([0, 1, 3, 9, 40, 200], 10)]
    assert (made.nats(prompts, after) > 0).all()


def test_a_continuation_s_nats_are_those_of_the_whole_less_those_of_the_prompt():
    made = judge()
    prompt, after = piece(1, BAR, 6), piece(2)
    whole = nats(made, concatenate([prompt, after]))
    conditional = float(made.nats([prompt], [after])[0])
    assert conditional == pytest.approx(whole - nats(made, prompt), rel=1e-5)


def test_the_nats_of_bars_add_up_and_do_not_depend_on_later_bars():
    made = judge()
    prompt, after = piece(1, BAR, 6), piece(2)
    other = concatenate([after.slice(0, 2 * BAR), piece(3).slice(2 * BAR, 4 * BAR)])
    bars = made.bar_nats([prompt, prompt], [after, other])
    assert bars.shape == (2, 4)
    assert bars.sum(axis=1) == pytest.approx(made.nats([prompt, prompt], [after, other]))
    assert bars[0, 0] == pytest.approx(bars[1, 0], rel=1e-5)
    assert bars[0, 3] != pytest.approx(bars[1, 3], rel=1e-3)


def test_a_piece_s_nats_do_not_depend_on_the_others():
    made = judge()
    prompts = [piece(seed, BAR, 6) for seed in range(4)]
    after = [piece(seed) for seed in range(10, 14)]
    together = made.nats(prompts, after)
    alone = [float(made.nats([p], [a])[0]) for p, a in zip(prompts, after, strict=True)]
    assert together == pytest.approx(alone, rel=1e-5)


def test_what_comes_later_leaves_earlier_decisions_as_they_were():
    first, other = piece(1), piece(2)
    begin = first.slice(0, 2 * BAR)
    ways = [concatenate([begin, rest.slice(2 * BAR, 4 * BAR)]) for rest in (first, other)]
    known = [decisions([way], BAR, 16) for way in ways]
    made = judge()
    logs = [made._logs(each) for each in known]
    before = [each.step < 2 * BAR for each in known]
    assert before[0].sum() == before[1].sum() > 0
    assert np.array_equal(logs[0][before[0]], logs[1][before[1]])


def test_struck_again_is_heard_only_where_the_training_pieces_do_so():
    again = Score.from_notes([0, 4], [4, 4], [60, 60], length=BAR, grid=2)
    held = Score.from_notes([0], [8], [60], length=BAR, grid=2)
    assert struck_again(again)
    assert not struck_again(held)
    assert nats(judge(again=False), again) == nats(judge(again=False), held)
    assert nats(judge(again=True), again) != nats(judge(again=True), held)


def test_hostile_pieces_have_finite_nats():
    rng = np.random.default_rng(0)
    crowd = Score.from_notes(
        rng.integers(32, size=3000), [1] * 3000, rng.integers(LOWEST, HIGHEST + 1, 3000), length=32
    )
    wall = Score.from_rolls(np.ones((32, KEYS), dtype=bool))
    pieces = [crowd, wall, Score.silence(32), Score.silence(0), Score.silence(1)]
    nats = judge().nats([Score.silence(0)] * len(pieces), pieces)
    assert np.isfinite(nats).all()
    assert nats[3] == 0


def test_the_kinds_of_decision_of_a_long_rest():
    late = Score.from_notes([2 * BAR + 3], [1], [60], length=4 * BAR, grid=2)
    known = decisions([late], BAR, 2)
    assert known.kind.tolist() == [WAIT, WAIT, NOTE, WAIT, END]
    assert known.wait.tolist() == [BAR, BAR, 3, BAR, 5]
    whole = Score.from_notes([0], [1], [60], length=BAR, grid=2)
    assert decisions([whole], BAR, 2).kind.tolist() == [NOTE, WAIT]
