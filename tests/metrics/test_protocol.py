import numpy as np
import pytest

from bench.contract import Reference
from bench.music import Score, concatenate
from metrics.protocol import LengthProduced, PromptCopy, SilentShare


def bar(seed):
    rng = np.random.default_rng(seed)
    return Score.from_notes(rng.integers(0, 16, 9), [2] * 9, rng.integers(50, 70, 9), length=16)


def score_of(cls, samples, prompts=()):
    metric = cls()
    metric.prepare(Reference(4, 16, 64, [], [], [], list(prompts)))
    return metric.score(samples)


def test_the_share_of_bars_that_repeat_their_own_prompt():
    prompts = [bar(0), bar(1), bar(2)]
    stuck = concatenate([bar(0)] * 4)
    once = concatenate([bar(5), bar(1), bar(6), Score.silence(16)])
    others = concatenate([bar(0), bar(1), bar(0), bar(1)])  # prompts of other samples
    measurement = score_of(PromptCopy, [stuck, once, others], prompts)
    assert measurement.per_piece == pytest.approx([1, 1 / 3, 0])


def test_only_the_last_bar_of_a_longer_prompt_counts():
    prompt = concatenate([bar(0), bar(1)])
    assert score_of(PromptCopy, [concatenate([bar(1), bar(0)])], [prompt]).value == 0.5


def test_without_prompts_or_notes_there_is_nothing_to_copy():
    assert "prompts" in score_of(PromptCopy, [bar(0)], [Score.silence(0)]).reason
    assert "prompts" in score_of(PromptCopy, [bar(0)], []).reason
    assert "sounds" in score_of(PromptCopy, [Score.silence(64)], [bar(0)]).reason
    assert score_of(PromptCopy, [], [bar(0)]).reason == "there are no samples"


def test_the_length_produced_ends_with_the_last_note():
    half = Score.from_notes([0, 4], [32, 2], [60, 64], length=64)
    measurement = score_of(LengthProduced, [half, Score.silence(64), Score.silence(0)])
    assert measurement.per_piece[:2].tolist() == [0.5, 0]
    assert measurement.detail["undefined_pieces"] == 1


def test_the_share_of_silence_counts_the_end():
    score = Score.from_notes([0, 8], [4, 4], [60, 60], length=32)
    measurement = score_of(SilentShare, [score, Score.silence(8)])
    assert measurement.per_piece.tolist() == [0.75, 1]
