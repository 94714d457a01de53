"""The controls do what they are there for, and keep the contract like any other system."""

import numpy as np
import pytest
from songs import BAR, song

from baselines.controls import PromptLoop, ScaleNotes, TrainingExcerpt, bar_of, changed, shifted
from bench import registry
from bench.check import check_system, toy_dataset
from bench.contract import Budget
from bench.errors import BenchError
from bench.music import Score, concatenate
from bench.music.key import key

CONTROLS = [name for name, spec in registry.systems().items() if spec.kind == "control"]
TRAIN = [song(number, 12) for number in range(6)]
PROMPTS = [song(20 + number).slice(0, BAR) for number in range(6)]
STEPS = 4 * BAR


def fitted(system, quiet):
    system.fit(TRAIN, [], Budget(0), 0, quiet)
    return system


def sounds(piece):
    return piece.sounding().tobytes()


def stands_in_training(sample, steps, every=1, semitones=(0,)):
    """Whether some passage of a training piece sounds the same."""
    wanted = {sounds(shifted(sample, -up)) for up in semitones}
    return any(
        sounds(piece.slice(at, at + steps)) in wanted
        for piece in TRAIN
        for at in range(0, piece.length - steps + 1, every)
    )


def test_there_are_eight_controls_with_a_reason_why_they_have_no_likelihood():
    assert len(CONTROLS) == 8
    for name in CONTROLS:
        likelihood = registry.system(name).build().likelihood
        assert likelihood.kind == "none"
        assert likelihood.reason


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_keep_the_contract(name):
    broken = [finding for finding in check_system(registry.system(name)) if not finding.kept]
    assert broken == []


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_refuse_a_likelihood(name, quiet):
    with pytest.raises(BenchError, match="no likelihood"):
        fitted(registry.system(name).build(), quiet).log_likelihood(TRAIN)


def test_an_excerpt_stands_in_a_training_piece(quiet):
    samples = fitted(TrainingExcerpt(), quiet).sample(PROMPTS, STEPS, 0)
    assert all(stands_in_training(sample, STEPS) for sample in samples)
    assert len({sample.content_hash for sample in samples}) > 1


def test_after_the_nearest_bar_comes_what_follows_it(quiet):
    system = fitted(TrainingExcerpt(begin="nearest"), quiet)
    prompts = [piece.slice(3 * BAR, 4 * BAR) for piece in TRAIN]
    for piece, sample in zip(TRAIN, system.sample(prompts, STEPS, 0), strict=True):
        assert sounds(sample) == sounds(piece.slice(4 * BAR, 8 * BAR))


def test_one_for_all_depends_on_the_seed_alone(quiet):
    system = fitted(TrainingExcerpt(begin="one"), quiet)
    first, again, other = (
        {sample.content_hash for sample in system.sample(PROMPTS, STEPS, seed)}
        for seed in (0, 0, 1)
    )
    assert len(first) == 1
    assert first == again != other


def test_near_copies_are_in_another_key_changed_or_spliced(quiet):
    keys = fitted(TrainingExcerpt(key=True), quiet).sample(PROMPTS, STEPS, 0)
    assert all(stands_in_training(sample, STEPS, semitones=range(-6, 7)) for sample in keys)
    assert not all(stands_in_training(sample, STEPS) for sample in keys)
    plain, some = (
        fitted(TrainingExcerpt(changed=share), quiet).sample(PROMPTS, STEPS, 0)
        for share in (0, 0.15)
    )
    kept = [
        len(
            {*zip(before.onset, before.pitch, strict=True)}
            & {*zip(after.onset, after.pitch, strict=True)}
        )
        / len(before)
        for before, after in zip(plain, some, strict=True)
    ]
    assert 0.75 < np.mean(kept) < 0.95
    for sample in fitted(TrainingExcerpt(spliced=True), quiet).sample(PROMPTS, STEPS, 0):
        bars = [sample.slice(at, at + BAR) for at in range(0, STEPS, BAR)]
        assert all(stands_in_training(bar, BAR, BAR) for bar in bars)
        assert not stands_in_training(sample, STEPS)


def test_a_loop_is_the_prompt_over_and_over():
    loop, silence = PromptLoop().sample([PROMPTS[0], Score.silence(0)], 40, 0)
    assert loop == concatenate([PROMPTS[0]] * 3).slice(0, 40)
    assert silence == Score.silence(40)


def test_notes_of_the_scale_are_in_the_prompts_key_and_as_dense_as_training_notes(quiet):
    samples = fitted(ScaleNotes(), quiet).sample(PROMPTS, 40 * BAR, 0)
    for prompt, sample in zip(PROMPTS, samples, strict=True):
        prompt_key = key(prompt)
        steps = (0, 2, 4, 5, 7, 9, 11) if prompt_key.mode == "major" else (0, 2, 3, 5, 7, 8, 10)
        assert set((sample.pitch - prompt_key.tonic) % 12) <= set(steps)
    density = sum(map(len, TRAIN)) / sum(piece.length for piece in TRAIN)
    made = sum(map(len, samples)) / sum(sample.length for sample in samples)
    assert 0.75 * density < made <= 1.1 * density  # unisons and overlaps are merged


def test_pieces_that_are_too_short_and_prompts_of_nothing_are_no_hindrance(quiet):
    nothing = Score.silence(0)
    assert bar_of(nothing) == 16
    for name in CONTROLS:
        system = registry.system(name).build()
        system.fit([TRAIN[0].slice(0, 24)], [], Budget(0), 0, quiet)
        assert [sample.length for sample in system.sample([nothing, PROMPTS[0]], 60, 3)] == [60, 60]
    with pytest.raises(BenchError, match="no note"):
        TrainingExcerpt().fit([Score.silence(9)], [], Budget(0), 0, quiet)
    with pytest.raises(BenchError, match="choose random, nearest or one"):
        TrainingExcerpt(begin="best")


def test_changing_moves_the_share_of_notes_and_shifting_loses_what_leaves_the_keyboard():
    rng, piece = np.random.default_rng(0), toy_dataset().split("train")[0]
    assert changed(piece, 0.0, rng) == piece
    assert shifted(shifted(piece, 3), -3) == piece
    assert not len(shifted(piece, 80))
