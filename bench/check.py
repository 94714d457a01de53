"""Tests any system or metric against the contract, and explains what it finds."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import data
from bench.contract import Budget, Floats, Measurement, Metric, Reference, System
from bench.data.dataset import Dataset
from bench.music import HIGHEST, LOWEST, Score
from bench.protocol import sampling
from bench.registry import Size, SystemSpec, Variant

STEPS = 24  # of the samples that are asked for
BUDGET = 3  # updates: enough to run every line of fit


@dataclass(frozen=True)
class Finding:
    """One promise of the contract, and what is wrong with how it is kept; empty: nothing."""

    promise: str
    broken: str = ""

    @property
    def kept(self) -> bool:
        """Whether the promise is kept."""
        return not self.broken


class BrokenPromise(Exception):
    """What a check says when a promise is not kept: what was seen, and what to do."""


class NoLog:
    """A Log that keeps nothing."""

    def record(self, step: int, **values: float) -> None:
        """Forget it."""

    def progress(self, done: int, total: int, music_steps: int = 0) -> None:
        """Forget it."""

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Forget it."""

    def resume(self) -> Mapping[str, Any] | None:
        """Nothing to resume from."""
        return None


def toy_dataset(pieces: int = 14, bars: int = 5, *, held: bool = False) -> Dataset:
    """Small pieces of broken chords over a bass: music enough for a contract test.

    With `held` all are in one key and hold each bar's chord too: music enough for any metric.
    """
    rng = np.random.default_rng(7)
    scores = {}
    for number in range(pieces):
        root = 48 if held else 48 + int(rng.integers(12))
        onset, duration, pitch = [], [], []
        for bar in range(bars):
            chord = root + np.array([0, 4, 7]) + int(rng.choice([0, 5, 7]))
            onset.append(16 * bar)
            duration.append(16)
            pitch.append(int(chord[0]) - 12)
            if held:
                onset += [16 * bar] * 3
                duration += [16] * 3
                pitch += [int(key) for key in chord]
            for beat in range(4):
                onset.append(16 * bar + 4 * beat)
                duration.append(int(rng.integers(1, 5)))
                pitch.append(int(rng.choice(chord)) + 12)
        scores[f"toy{number:02d}"] = Score.from_notes(onset, duration, pitch, length=16 * bars)
    ids = tuple(scores)
    return Dataset("toy", 1, 4, 16, "score", scores, ids[:8], ids[8:11], ids[11:])


def toy_prompts() -> list[Score]:
    """What a system must be able to continue: music, silence, one note, nothing."""
    piece = toy_dataset().split("valid")[0]
    one = Score.from_notes([3], [2], [60], length=16)
    return [piece.slice(0, 16), piece.slice(16, 32), Score.silence(16), one, Score.silence(0)]


def expect(kept: bool, broken: str) -> None:
    """Raise BrokenPromise unless it is kept."""
    if not kept:
        raise BrokenPromise(broken)


# -- systems --------------------------------------------------------------------------------------


@dataclass
class Fitted:
    """A system that has learnt from the toy pieces, and its samples."""

    build: Callable[[], System]
    system: System
    samples: list[Score]


def fit(build: Callable[[], System], seed: int = 0) -> System:
    """A system fitted on the toy pieces, with no other data within reach."""
    system = build()
    toy = toy_dataset()
    with data.seal():
        system.fit(toy.split("train"), toy.split("valid"), Budget(BUDGET), seed, NoLog())
    return system


def disturb(seed: int) -> None:
    """Leave the global random generators in another state, as other code in a process would."""
    import random

    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global generator is what must not matter
    torch.manual_seed(seed)


def same(first: Sequence[Score], second: Sequence[Score]) -> bool:
    """Whether two lists hold the same pieces."""
    return [s.content_hash for s in first] == [s.content_hash for s in second]


def samples_keep_the_protocol(fitted: Fitted) -> None:
    """sample() gives one Score per prompt, of the asked length, for any prompt."""
    protocol = sampling.Protocol(samples=len(toy_prompts()), steps=STEPS, prompt=16)
    sampling.check_samples(fitted.samples, protocol, 4)


def same_seed_same_samples(fitted: Fitted) -> None:
    """The same seed gives the same samples, whatever the global random state."""
    disturb(99)
    again = fitted.system.sample(toy_prompts(), STEPS, 0)
    expect(
        same(fitted.samples, again),
        "sample() with the same seed gave other pieces. Draw only from a generator made from the"
        " seed: np.random.default_rng(seed), torch.Generator().manual_seed(seed).",
    )


def fit_is_repeatable(fitted: Fitted) -> None:
    """The same seed, settings and data give the same system."""
    disturb(123)
    again = fit(fitted.build).sample(toy_prompts(), STEPS, 0)
    expect(
        same(fitted.samples, again),
        "Two fits with the same seed gave systems that sample differently. Seed initial weights,"
        " batches and dropout from fit's seed, not from global state, time or set order.",
    )


def samples_are_independent(fitted: Fitted) -> None:
    """A sample does not depend on which prompts stand beside it in the list."""
    alone = fitted.system.sample(toy_prompts()[:1], STEPS, 0)
    expect(
        same(alone, fitted.samples[:1]),
        "The first prompt continued alone gave another piece than among others. Give each piece a"
        " generator of its own, made from (seed, its place in the list).",
    )


def survives_saving(fitted: Fitted) -> None:
    """A saved and loaded system samples and scores exactly as before."""
    with tempfile.TemporaryDirectory() as folder:
        fitted.system.save(Path(folder))
        expect(any(Path(folder).iterdir()), "save() wrote nothing into the folder.")
        loaded = type(fitted.system).load(Path(folder))
    again = loaded.sample(toy_prompts(), STEPS, 0)
    expect(same(fitted.samples, again), "After save() and load() the same seed gave other pieces.")
    if fitted.system.likelihood.kind != "none":
        test = toy_dataset().split("test")
        before, after = fitted.system.log_likelihood(test), loaded.log_likelihood(test)
        expect(
            np.array_equal(before, after), "After save() and load() log_likelihood() gave others."
        )


def likelihood_is_declared(fitted: Fitted) -> None:
    """`likelihood` says what is described; without one it gives the reason."""
    kind = fitted.system.likelihood
    expect(
        kind.kind != "none" or bool(kind.reason),
        'likelihood is "none" without a reason: Likelihood("none", reason="...").',
    )


def likelihood_is_a_log_probability(fitted: Fitted) -> None:
    """log_likelihood() is one finite number per piece, at most 0, for empty pieces too."""
    if fitted.system.likelihood.kind == "none":
        return
    one = Score.from_notes([0], [1], [60], length=1)
    pieces = [*toy_dataset().split("test"), Score.silence(8), one, Score.silence(0)]
    found = np.asarray(fitted.system.log_likelihood(pieces))
    expect(found.shape == (len(pieces),), f"{len(pieces)} pieces gave shape {found.shape}.")
    expect(not np.isnan(found).any(), f"It is NaN for {pieces[int(np.argmax(np.isnan(found)))]}.")
    if fitted.system.likelihood.kind == "exact":
        expect(
            not (found > 1e-6).any(),
            f"It is {found.max():.4g} > 0, a probability above 1. Discretise densities.",
        )
        expect(abs(found[-1]) < 1e-6, f"A piece of no steps has log p {found[-1]:.4g}, not 0.")


def likelihood_ignores_the_batch(fitted: Fitted) -> None:
    """A piece's likelihood does not depend on the pieces beside it."""
    if fitted.system.likelihood.kind == "none":
        return
    pieces = [*toy_dataset().split("test"), Score.silence(5)]
    together = np.asarray(fitted.system.log_likelihood(pieces))
    alone = np.array([float(fitted.system.log_likelihood([piece])[0]) for piece in pieces])
    expect(
        np.allclose(together, alone, rtol=1e-4, atol=1e-3),
        f"Together {together.round(3)}, alone {alone.round(3)}: padding or state leaks.",
    )


def a_beginning_is_more_likely(fitted: Fitted) -> None:
    """An exact likelihood never grows when the piece goes on: p(beginning) >= p(whole)."""
    if fitted.system.likelihood.kind != "exact":
        return
    # Frames of the whole say no more about its beginning than the beginning's own frames do.
    piece = Score.from_rolls(toy_dataset().split("test")[0].sounding())
    cuts = [4, 16, 33, piece.length]
    found = fitted.system.log_likelihood([piece.slice(0, cut) for cut in cuts])
    expect(
        bool((found[1:] <= found[:-1] + 1e-3).all()),
        f"log p of the first {cuts} steps is {np.round(found, 3)}: it must fall. Steps are left"
        " out, or the likelihood looks ahead.",
    )


def probabilities_do_not_exceed_one(fitted: Fitted) -> None:
    """An exact likelihood gives all pieces of one step together at most 1."""
    if fitted.system.likelihood.kind != "exact":
        return
    keys = range(LOWEST, HIGHEST + 1)
    chords = [(), *[(k,) for k in keys], *[(k, m) for k in keys for m in keys if k < m]]
    pieces = [Score.from_notes([0] * len(c), [1] * len(c), c, length=1) for c in chords]
    total = float(np.exp(fitted.system.log_likelihood(pieces)).sum())
    expect(
        total <= 1 + 1e-4,
        f"The {len(pieces)} pieces of one step with at most two notes have probability {total:.4f}"
        " together; no distribution gives more than 1.",
    )


SYSTEM_CHECKS: tuple[Callable[[Fitted], None], ...] = (
    samples_keep_the_protocol,
    same_seed_same_samples,
    fit_is_repeatable,
    samples_are_independent,
    survives_saving,
    likelihood_is_declared,
    likelihood_is_a_log_probability,
    likelihood_ignores_the_batch,
    a_beginning_is_more_likely,
    probabilities_do_not_exceed_one,
)


def check_system(
    spec: SystemSpec, variant: Variant = "corrected", size: Size = "full"
) -> Iterator[Finding]:
    """The contract's promises one by one, and how the system, or a small one, keeps them."""
    promise = "It can be built and fitted, and reaches for no other data while it learns"
    fitted: Fitted | None = None

    def begin() -> None:
        nonlocal fitted
        system = fit(lambda: spec.build(variant, size))
        if spec.kind == "ceiling" and hasattr(system, "reveal"):
            toy = toy_dataset().split("valid")[1]
            system.reveal([toy.slice(0, STEPS)] * len(toy_prompts()))
        expect(
            isinstance(system, System), "It lacks one of fit, sample, log_likelihood, save, load."
        )
        fitted = Fitted(
            lambda: spec.build(variant, size), system, system.sample(toy_prompts(), STEPS, 0)
        )

    yield found(promise, begin)
    if fitted is None or spec.kind == "ceiling":
        return  # the ceiling repeats what it is shown: there is nothing to check
    for check in SYSTEM_CHECKS:
        yield found((check.__doc__ or "").strip().rstrip("."), lambda c=check: c(fitted))  # type: ignore[misc]


def found(promise: str, check: Callable[[], None]) -> Finding:
    """Run one check; whatever it raises is a finding."""
    try:
        check()
    except BrokenPromise as broken:
        return Finding(promise, str(broken))
    except Exception as error:  # noqa: BLE001 - a user's code may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return Finding(promise, f"{type(error).__name__}: {error} ({place})")
    return Finding(promise)


# -- metrics --------------------------------------------------------------------------------------


def toy_reference() -> tuple[Reference, list[Score]]:
    """A reference, and samples of its length."""
    toy = toy_dataset(bars=9, held=True)
    protocol = sampling.Protocol(samples=6, steps=64, prompt=16)
    prompts = sampling.prompts(toy, protocol)
    return sampling.reference(toy, protocol, prompts), [prompt.continuation for prompt in prompts]


def check_metric(cls: type[Metric]) -> Iterator[Finding]:
    """The contract's promises one by one, and how the metric keeps them."""
    reference, samples = toy_reference()

    def prepared() -> Metric:
        metric = cls()
        metric.prepare(reference)
        return metric

    def says_what_it_is() -> None:
        for name in ("name", "version", "unit", "direction", "headline", "measures", "blind_to"):
            expect(hasattr(cls, name), f"It lacks the attribute {name}.")
        expect(bool(cls.citation), "citation is empty: name the paper, or say that it is ours.")
        expect(cls.direction in ("higher", "lower", "none"), f"direction is {cls.direction!r}.")
        expect(not (cls.headline and cls.direction == "none"), "A headline metric has a direction.")

    def scores(pieces: Sequence[Score]) -> Measurement:
        measurement = prepared().score(pieces)
        expect(isinstance(measurement, Measurement), "score() must return a Measurement.")
        per_piece = measurement.per_piece
        expect(per_piece is None or len(per_piece) == len(pieces), "per_piece: one figure a piece.")
        draws = measurement.draws
        expect(draws is None or bool(np.isfinite(draws).all()), "draws must be finite.")
        return measurement

    def figures(measurement: Measurement) -> tuple[float | None, Floats, Floats]:
        none = np.zeros(0)
        per_piece, draws = measurement.per_piece, measurement.draws
        return (
            measurement.value,
            none if per_piece is None else np.nan_to_num(per_piece, nan=-1e9),
            none if draws is None else draws,
        )

    def is_repeatable() -> None:
        metric = prepared()
        first, second = figures(metric.score(samples)), figures(metric.score(samples))
        third = figures(prepared().score(samples))
        for other in (second, third):
            expect(
                first[0] == other[0]
                and np.array_equal(first[1], other[1])
                and np.array_equal(first[2], other[2]),
                "The same samples gave other figures. Seed what is drawn; keep no state in score().",
            )

    def has_a_value() -> None:
        expect(scores(samples).value is not None, "It has no value for ordinary music.")

    def defined_for(pieces: Sequence[Score]) -> Callable[[], None]:
        def check() -> None:
            scores(pieces)

        return check

    silence = [Score.silence(64)] * 6
    one_note = [Score.from_notes([0], [1], [60], length=64)] * 6
    yield found("It says what it measures, in which unit, and what it is blind to", says_what_it_is)
    yield found("It has a value for ordinary music", has_a_value)
    yield found("The same samples give the same figures", is_repeatable)
    yield found("Silence has a defined outcome", defined_for(silence))
    yield found("Pieces of one note have a defined outcome", defined_for(one_note))
    yield found(
        "Silence among music has a defined outcome", defined_for([*samples[:-1], silence[0]])
    )
    yield found("A single piece has a defined outcome", defined_for(samples[:1]))
