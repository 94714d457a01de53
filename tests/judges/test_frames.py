import numpy as np
import pytest

from bench.check import toy_dataset
from bench.judges.frames import WIDEST, AttentionJudge, RecurrentJudge, within
from bench.judges.judge import divided, usable
from bench.music import KEYS, Score, concatenate
from bench.training import loop

SMALL = {
    AttentionJudge: {"size": 8, "heads": 2},
    RecurrentJudge: {"hidden": 8, "units": 8},
}


@pytest.fixture(scope="module", params=SMALL, ids=lambda cls: cls.family)
def judge(request):
    made = request.param(4, 16, **SMALL[request.param])
    made.updates = 5
    with loop.on_one_core():
        made.fit(*divided(usable(toy_dataset().split("train"), 16)), 0)
    return made


def pieces():
    toy = toy_dataset().split("test")
    return [p.slice(0, 16) for p in toy], [p.slice(16, 80) for p in toy]


def test_nats_are_those_of_the_whole_less_those_of_the_prompt(judge):
    prompts, after = pieces()
    whole = [concatenate(both) for both in zip(prompts, after, strict=True)]

    def logs(scores):
        rolls = judge.rolls(scores)
        return np.array([steps.sum() for steps in judge.system.log_probabilities(rolls)])

    assert judge.nats(prompts, after) == pytest.approx(logs(prompts) - logs(whole), rel=1e-4)


def test_the_nats_of_bars_add_up_and_do_not_depend_on_later_bars(judge):
    prompts, after = pieces()
    bars = judge.bar_nats(prompts, after)
    assert bars.shape == (len(after), 4)
    assert bars.sum(axis=1) == pytest.approx(judge.nats(prompts, after))
    short = judge.bar_nats(prompts, [p.slice(0, 32) for p in after])
    assert short == pytest.approx(bars[:, :2], rel=1e-4)


def test_a_piece_s_nats_do_not_depend_on_the_others(judge):
    prompts, after = pieces()
    alone = [float(judge.nats([p], [a])[0]) for p, a in zip(prompts, after, strict=True)]
    assert judge.nats(prompts, after) == pytest.approx(alone, rel=1e-4)


def test_without_a_prompt_a_piece_begins_from_nothing(judge):
    _, after = pieces()
    assert (judge.nats([Score.silence(0)] * len(after), after) > 0).all()
    assert judge.nats([Score.silence(0)], [Score.silence(0)]).tolist() == [0.0]
    assert len(judge.nats([], [])) == 0


def test_prompts_of_several_lengths_stand_side_by_side(judge):
    prompts, after = pieces()
    prompts = [prompts[0], prompts[1].slice(0, 8), Score.silence(0)]
    together = judge.nats(prompts, after)
    alone = [float(judge.nats([p], [a])[0]) for p, a in zip(prompts, after, strict=True)]
    assert together == pytest.approx(alone, rel=1e-4)


def test_what_it_has_learnt_can_be_kept(judge):
    prompts, after = pieces()
    other = type(judge)(4, 16, **judge.settings)
    other.restore(judge.arrays())
    assert np.array_equal(other.nats(prompts, after), judge.nats(prompts, after))


def test_attention_hears_the_beats_of_any_bar():
    assert [AttentionJudge(4, bar).frame for bar in (16, 12, 14)] == [4, 4, 2]
    assert AttentionJudge(1, 4).frame == 1
    assert RecurrentJudge(4, 16).frame == 1


def test_an_excerpt_in_another_key_keeps_its_keys_or_stays():
    roll = np.zeros((4, KEYS), dtype=bool)
    roll[:, [0, 40]] = True
    wide = np.pad(roll, ((0, 0), (WIDEST, WIDEST)))
    assert np.flatnonzero(within(wide, 3, WIDEST)[0]).tolist() == [3, 43]
    assert np.flatnonzero(within(wide, -3, WIDEST)[0]).tolist() == [0, 40]  # would lose a key
    assert np.flatnonzero(within(wide, 0, WIDEST)[0]).tolist() == [0, 40]
