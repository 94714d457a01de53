"""Tests any system or metric against the contract, and explains every promise that it breaks.

Each check is a function whose docstring is the promise. `bench check` runs them all and prints
what they find; `parametrize_with_checks` makes them test cases of a user's own test file.
"""

from __future__ import annotations

import copy
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import data, registry
from bench.contract import Budget, Floats, Log, Measurement, Metric, NoLog, Reference, System
from bench.data.dataset import Dataset
from bench.errors import BenchError, unknown
from bench.music import HIGHEST, LOWEST, Score
from bench.protocol import sampling
from bench.registry import Size, SystemSpec, Variant

if TYPE_CHECKING:
    import pytest

STEPS = 24  # of the samples that are asked for
DRAWN = 300  # pieces of one step, to see whether they follow the likelihood
BUDGET = 3  # updates: enough to run every line of fit


@dataclass(frozen=True)
class Finding:
    """A promise of the contract, and how it is broken; empty where it is kept."""

    promise: str
    broken: str = ""

    @property
    def kept(self) -> bool:
        """Whether the promise is kept."""
        return not self.broken


class BrokenPromise(Exception):
    """Raised by a check: what the promise asks for, what was seen instead, and what to do."""


def toy_dataset(pieces: int = 14, bars: int = 5, *, held: bool = False) -> Dataset:
    """Small pieces of broken chords over a bass: enough for a system to learn from.

    With `held` all are in one key and hold each bar's chord too: enough for every metric.
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
    note = Score.from_notes([3], [2], [60], length=16)
    return [piece.slice(0, 16), piece.slice(16, 32), Score.silence(16), note, Score.silence(0)]


def expect(kept: bool, broken: str) -> None:
    """Raise BrokenPromise with this explanation unless the promise is kept."""
    if not kept:
        raise BrokenPromise(broken)


# -- systems --------------------------------------------------------------------------------------

METHODS = ("fit", "sample", "log_likelihood", "save", "load")


@dataclass
class SystemUnderTest:
    """A system to check. It is fitted when the first check asks for it."""

    name: str
    build: Callable[[], System]
    ceiling: bool = False  # returns what it is shown: only its samples can be checked

    validated: list[float] = field(default_factory=list)  # the validation losses of its training

    @cached_property
    def fitted(self) -> System:
        """The system, fitted on the toy pieces; a ceiling is shown what it has to return."""
        log = Validations()
        system = fit(self.build, log)
        self.validated = log.losses
        if self.ceiling and hasattr(system, "reveal"):
            piece = toy_dataset().split("valid")[1]
            system.reveal([piece.slice(0, STEPS)] * len(toy_prompts()))
        return system

    @cached_property
    def samples(self) -> list[Score]:
        """What it continues the toy prompts with."""
        return self.fitted.sample(toy_prompts(), STEPS, 0)

    @cached_property
    def one_step_logs(self) -> Floats:
        """log p of every piece of one step with at most two notes."""
        return np.asarray(self.fitted.log_likelihood(one_step_pieces()))

    @property
    def checks(self) -> Sequence[Callable[[SystemUnderTest], None]]:
        """The checks that apply to it."""
        return (can_be_fitted, samples_keep_the_protocol) if self.ceiling else SYSTEM_CHECKS


class Validations(NoLog):
    """Keeps the validation losses that are recorded."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def record(self, step: int, **values: float) -> None:
        """Keep `valid_loss`."""
        self.losses += [values["valid_loss"]] if "valid_loss" in values else []


def fit(build: Callable[[], System], log: Log | None = None) -> System:
    """A system fitted on the toy pieces; loading any other data is an error meanwhile."""
    system = build()
    missing = [name for name in METHODS if not hasattr(system, name)]
    expect(not missing, f"It has no {', no '.join(missing)}: see bench.contract.System.")
    toy = toy_dataset()
    with data.seal():
        system.fit(toy.split("train"), toy.split("valid"), Budget(BUDGET), 0, log or NoLog())
    return system


def disturb(seed: int) -> None:
    """Change the state of the global random generators, as other code in a process would."""
    import random

    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global generator is what must not matter
    torch.manual_seed(seed)


def same(first: Sequence[Score], second: Sequence[Score]) -> bool:
    """Whether two lists hold the same pieces."""
    return [s.content_hash for s in first] == [s.content_hash for s in second]


def can_be_fitted(contestant: SystemUnderTest) -> None:
    """It can be built and fitted, and loads no other data while it learns."""
    system = contestant.fitted
    expect(isinstance(system, System), "It has no likelihood: see bench.contract.Likelihood.")


def samples_keep_the_protocol(contestant: SystemUnderTest) -> None:
    """sample() gives one Score per prompt, of the length asked for, whatever the prompt."""
    protocol = sampling.Protocol(samples=len(toy_prompts()), steps=STEPS, prompt=16)
    sampling.check_samples(contestant.samples, protocol, 4)


def same_seed_same_samples(contestant: SystemUnderTest) -> None:
    """The same seed gives the same samples, whatever the global random state."""
    disturb(99)
    again = contestant.fitted.sample(toy_prompts(), STEPS, 0)
    expect(
        same(contestant.samples, again),
        "sample() with the same seed gave different pieces. Draw only from a generator made from"
        " the seed: np.random.default_rng(seed), torch.Generator().manual_seed(seed).",
    )


def fit_is_repeatable(contestant: SystemUnderTest) -> None:
    """The same seed, settings and data give the same system."""
    disturb(123)
    again = fit(contestant.build).sample(toy_prompts(), STEPS, 0)
    expect(
        same(contestant.samples, again),
        "Two fits with the same seed gave systems that sample differently. Seed initial weights,"
        " batches and dropout from fit's seed, not from global state, time or set order.",
    )


def samples_are_independent(contestant: SystemUnderTest) -> None:
    """A sample does not depend on the other prompts in the list."""
    alone = contestant.fitted.sample(toy_prompts()[:1], STEPS, 0)
    expect(
        same(alone, contestant.samples[:1]),
        "The first prompt gave one piece alone and another in a longer list. Give each piece a"
        " generator of its own: bench.seeds.generators(prompts, seed).",
    )


def survives_saving(contestant: SystemUnderTest) -> None:
    """A saved and loaded system samples and scores exactly as before."""
    with tempfile.TemporaryDirectory() as folder:
        contestant.fitted.save(Path(folder))
        expect(any(Path(folder).iterdir()), "save() wrote nothing to the folder.")
        loaded = type(contestant.fitted).load(Path(folder))
    again = loaded.sample(toy_prompts(), STEPS, 0)
    expect(
        same(contestant.samples, again), "After save() and load() the same seed gave other pieces."
    )
    if contestant.fitted.likelihood.kind != "none":
        test = toy_dataset().split("test")
        before, after = contestant.fitted.log_likelihood(test), loaded.log_likelihood(test)
        expect(
            np.array_equal(before, after),
            "After save() and load() log_likelihood() gave other values.",
        )


def likelihood_is_declared(contestant: SystemUnderTest) -> None:
    """`likelihood` declares what it is a likelihood of, or why there is none."""
    likelihood = contestant.fitted.likelihood
    expect(
        likelihood.kind != "none" or bool(likelihood.reason),
        'likelihood is "none" without a reason: write Likelihood("none", reason="...").',
    )


def likelihood_is_a_log_probability(contestant: SystemUnderTest) -> None:
    """log_likelihood() is one finite number per piece, at most 0, for empty pieces too."""
    if contestant.fitted.likelihood.kind == "none":
        return
    note = Score.from_notes([0], [1], [60], length=1)
    pieces = [*toy_dataset().split("test"), Score.silence(8), note, Score.silence(0)]
    logs = np.asarray(contestant.fitted.log_likelihood(pieces))
    expect(
        logs.shape == (len(pieces),),
        f"log_likelihood() of {len(pieces)} pieces has shape {logs.shape}, not ({len(pieces)},).",
    )
    expect(
        not np.isnan(logs).any(),
        f"log_likelihood() is NaN for {pieces[int(np.argmax(np.isnan(logs)))]}.",
    )
    if contestant.fitted.likelihood.kind == "exact":
        expect(
            not (logs > 1e-6).any(),
            f"log_likelihood() is {logs.max():.4g}: a probability above 1. A density is no"
            " probability; make its values discrete first.",
        )
        expect(abs(logs[-1]) < 1e-6, f"A piece of no steps has log p {logs[-1]:.4g}, not 0.")


def likelihood_ignores_the_batch(contestant: SystemUnderTest) -> None:
    """A piece's likelihood does not depend on the pieces beside it."""
    if contestant.fitted.likelihood.kind == "none":
        return
    pieces = [*toy_dataset().split("test"), Score.silence(5)]
    together = np.asarray(contestant.fitted.log_likelihood(pieces))
    alone = np.array([float(contestant.fitted.log_likelihood([piece])[0]) for piece in pieces])
    expect(
        np.allclose(together, alone, rtol=1e-4, atol=1e-3),
        f"In one list the pieces have log p {together.round(3)}, each alone {alone.round(3)}:"
        " padding or state leaks from one piece to another.",
    )


def a_beginning_is_more_likely(contestant: SystemUnderTest) -> None:
    """An exact likelihood never grows as a piece gets longer: p(beginning) >= p(whole)."""
    if contestant.fitted.likelihood.kind != "exact":
        return
    # Frames of the whole say no more about its beginning than the beginning's own frames do.
    piece = Score.from_rolls(toy_dataset().split("test")[0].sounding())
    cuts = [4, 16, 33, piece.length]
    logs = contestant.fitted.log_likelihood([piece.slice(0, cut) for cut in cuts])
    expect(
        bool((logs[1:] <= logs[:-1] + 1e-3).all()),
        f"log p of the first {cuts} steps is {np.round(logs, 3)}: it must fall. Steps are not"
        " counted, or the likelihood looks ahead.",
    )


def validation_is_the_likelihood(contestant: SystemUnderTest) -> None:
    """A `valid_loss` that fit() records is minus the likelihood per step of the validation pieces."""
    system = contestant.fitted
    if system.likelihood.kind == "none" or not contestant.validated:
        return
    pieces = toy_dataset().split("valid")
    logs = np.asarray(system.log_likelihood(pieces))
    nats = -float(logs.sum()) / sum(piece.length for piece in pieces)
    # The weights that are kept are the best or the last.
    kept = min(min(contestant.validated), contestant.validated[-1], key=lambda x: abs(x - nats))
    tolerance = 0.05 if system.likelihood.kind == "estimate" else 0.002
    expect(
        bool(np.isclose(kept, nats, rtol=tolerance, atol=tolerance)),
        f"The validation loss of the weights that were kept is {kept:.4g}, but log_likelihood() of"
        f" the same pieces gives {nats:.4g} nats per step. Validate by log_likelihood(), or record"
        " the loss under another name. If the loss that is trained is another, too, the system"
        " learns something else than what it is scored by.",
    )


@cache
def one_step_pieces() -> list[Score]:
    """Every piece of one step with at most two notes."""
    keys = range(LOWEST, HIGHEST + 1)
    chords = [(), *[(k,) for k in keys], *[(k, m) for k in keys for m in keys if k < m]]
    return [Score.from_notes([0] * len(c), [1] * len(c), c, length=1) for c in chords]


def probabilities_do_not_exceed_one(contestant: SystemUnderTest) -> None:
    """An exact likelihood gives all pieces of one step together at most 1."""
    if contestant.fitted.likelihood.kind != "exact":
        return
    pieces = one_step_pieces()
    total = float(np.exp(contestant.one_step_logs).sum())
    expect(
        total <= 1 + 1e-4,
        f"All {len(pieces)} pieces of one step with at most two notes have probability {total:.4f}"
        " together; a distribution gives them at most 1.",
    )


def samples_follow_the_likelihood(contestant: SystemUnderTest) -> None:
    """Pieces of one step are drawn as often as log_likelihood() says, or it says why not."""
    system = contestant.fitted
    differs = str(getattr(system, "samples_differ", ""))
    if differs or system.likelihood.kind not in ("exact", "upper"):
        return
    drawn = system.sample([Score.silence(0)] * DRAWN, 1, 0)
    pieces, chances = one_step_pieces(), np.exp(contestant.one_step_logs)
    share = np.bincount([min(len(piece), 3) for piece in drawn], minlength=4) / DRAWN
    expected = np.bincount([len(piece) for piece in pieces], chances, minlength=3)
    expected = np.append(expected, 1 - expected.sum()).clip(0, 1)
    slack = 0.02 + 4 * np.sqrt(expected * (1 - expected) / DRAWN)
    rare = share[:3] < (expected - slack)[:3]
    often = (share > expected + slack) & (system.likelihood.kind == "exact")
    expect(
        not rare.any() and not often.any(),
        f"Of {DRAWN} pieces of one step, the shares with 0, 1, 2 and more notes are"
        f" {share.round(3)}; by log_likelihood() they are {expected.round(3)}. sample() draws from"
        " another distribution; if it is meant to, say why in an attribute `samples_differ`.",
    )


SYSTEM_CHECKS: tuple[Callable[[SystemUnderTest], None], ...] = (
    can_be_fitted,
    samples_keep_the_protocol,
    same_seed_same_samples,
    fit_is_repeatable,
    samples_are_independent,
    survives_saving,
    likelihood_is_declared,
    likelihood_is_a_log_probability,
    likelihood_ignores_the_batch,
    a_beginning_is_more_likely,
    validation_is_the_likelihood,
    probabilities_do_not_exceed_one,
    samples_follow_the_likelihood,
)


# -- metrics --------------------------------------------------------------------------------------


def toy_reference() -> tuple[Reference, list[Score]]:
    """A reference, and samples of its length."""
    toy = toy_dataset(bars=9, held=True)
    protocol = sampling.Protocol(samples=6, steps=64, prompt=16)
    prompts = sampling.prompts(toy, protocol)
    return sampling.reference(toy, protocol, prompts), [prompt.continuation for prompt in prompts]


@dataclass
class MetricUnderTest:
    """A metric to check, with a reference and ordinary music to measure."""

    name: str
    build: Callable[[], Metric]

    @cached_property
    def toy(self) -> tuple[Reference, list[Score]]:
        """The reference, and the samples."""
        return toy_reference()

    @property
    def samples(self) -> list[Score]:
        """Samples of ordinary music."""
        return self.toy[1]

    def prepared(self) -> Metric:
        """The metric, ready to score."""
        metric = self.build()
        metric.prepare(self.toy[0])
        return metric

    def measure(self, pieces: Sequence[Score]) -> Measurement:
        """The metric's measurement of the pieces, if it is well formed."""
        measurement = self.prepared().score(pieces)
        expect(isinstance(measurement, Measurement), "score() must return a Measurement.")
        per_piece, draws = measurement.per_piece, measurement.draws
        expect(
            per_piece is None or len(per_piece) == len(pieces),
            "per_piece must have one value per piece.",
        )
        expect(draws is None or bool(np.isfinite(draws).all()), "draws must be finite.")
        return measurement

    @property
    def checks(self) -> Sequence[Callable[[MetricUnderTest], None]]:
        """The checks that apply to it."""
        return METRIC_CHECKS


def is_described(metric: MetricUnderTest) -> None:
    """It says what it measures, in which unit, and what it is blind to."""
    described = metric.build()
    for name in ("name", "version", "unit", "direction", "headline", "measures", "blind_to"):
        expect(hasattr(described, name), f"It has no attribute {name}.")
    direction = described.direction
    expect(bool(described.citation), 'citation is empty: name the paper, or write "ours".')
    expect(
        direction in ("higher", "lower", "none"),
        f"direction is {direction!r}; it must be higher, lower or none.",
    )
    expect(
        not (described.headline and direction == "none"),
        "A headline metric has a direction: higher or lower.",
    )


def has_a_value(metric: MetricUnderTest) -> None:
    """It has a value for ordinary music."""
    measurement = metric.measure(metric.samples)
    expect(measurement.value is not None, f"It has no value: {measurement.reason}.")


def score_is_repeatable(metric: MetricUnderTest) -> None:
    """The same samples give the same values."""
    prepared, samples = metric.prepared(), metric.samples
    first = values_of(prepared.score(samples))
    for measurement in (prepared.score(samples), metric.prepared().score(samples)):
        again = values_of(measurement)
        expect(
            first[0] == again[0]
            and np.array_equal(first[1], again[1])
            and np.array_equal(first[2], again[2]),
            "The same samples gave other values. Seed every random draw; keep no state in score().",
        )


def values_of(measurement: Measurement) -> tuple[float | None, Floats, Floats]:
    """The value, the values per piece, and the draws: what must be the same when repeated."""
    none = np.zeros(0)
    per_piece, draws = measurement.per_piece, measurement.draws
    return (
        measurement.value,
        none if per_piece is None else np.nan_to_num(per_piece, nan=-1e9),
        none if draws is None else draws,
    )


def silence_is_defined(metric: MetricUnderTest) -> None:
    """Silence has a value, or a reason why not."""
    metric.measure([Score.silence(64)] * 6)


def single_notes_are_defined(metric: MetricUnderTest) -> None:
    """Pieces of one note have a value, or a reason why not."""
    metric.measure([Score.from_notes([0], [1], [60], length=64)] * 6)


def silence_among_music_is_defined(metric: MetricUnderTest) -> None:
    """Silence among music has a value, or a reason why not."""
    metric.measure([*metric.samples[:-1], Score.silence(64)])


def a_single_piece_is_defined(metric: MetricUnderTest) -> None:
    """A single piece has a value, or a reason why not."""
    metric.measure(metric.samples[:1])


METRIC_CHECKS: tuple[Callable[[MetricUnderTest], None], ...] = (
    is_described,
    has_a_value,
    score_is_repeatable,
    silence_is_defined,
    single_notes_are_defined,
    silence_among_music_is_defined,
    a_single_piece_is_defined,
)


# -- running them ---------------------------------------------------------------------------------

UnderTest = SystemUnderTest | MetricUnderTest


def under_test(
    contestant: object, variant: Variant = "corrected", size: Size = "full"
) -> UnderTest:
    """What to check: a system or metric given as a class, an instance, or by name.

    A name is that of an installed system or metric, or `path/to/file.py:Class`; variant and size
    are those of an installed system.
    """
    if isinstance(contestant, str):
        return _named(contestant, variant, size)
    cls = contestant if isinstance(contestant, type) else type(contestant)
    build: Any = cls if cls is contestant else lambda: copy.deepcopy(contestant)
    if is_metric(cls):
        return MetricUnderTest(cls.__name__, build)
    if not any(hasattr(cls, name) for name in METHODS):
        raise BenchError(
            f"{contestant!r} is neither a system nor a metric: give a class, an instance,"
            " a name of the suite or path/to/file.py:Class."
        )
    return SystemUnderTest(cls.__name__, build, ceiling=hasattr(cls, "reveal"))


def _named(name: str, variant: Variant, size: Size) -> UnderTest:
    metrics, systems = registry.metrics(), registry.systems()
    if name in metrics:
        return MetricUnderTest(name, registry.metric(name))
    if ".py:" in name and is_metric(cls := registry.load_object(name)):
        return MetricUnderTest(cls.__name__, cls)
    if name not in systems and ".py:" not in name and "+" not in name:
        raise unknown("system or metric", name, [*systems, *metrics])
    return _of_spec(registry.system(name), variant, size)


def _of_spec(spec: SystemSpec, variant: Variant, size: Size) -> SystemUnderTest:
    return SystemUnderTest(
        spec.id, lambda: spec.build(variant, size), ceiling=spec.kind == "ceiling"
    )


def is_metric(cls: object) -> bool:
    """Whether a class offers what a metric does."""
    return isinstance(cls, type) and all(hasattr(cls, name) for name in ("prepare", "score"))


def findings(contestant: UnderTest) -> Iterator[Finding]:
    """The contract's promises one by one, and whether each is kept.

    A system that cannot be fitted is not checked further.
    """
    for check in contestant.checks:
        finding = finding_of(check, contestant)
        yield finding
        if check is can_be_fitted and not finding.kept:
            return


def finding_of(check: Callable[[Any], None], contestant: UnderTest) -> Finding:
    """What one check finds. Whatever a user's code raises breaks the promise."""
    promise = (check.__doc__ or "").strip().rstrip(".")
    try:
        check(contestant)
    except BrokenPromise as broken:
        return Finding(promise, str(broken))
    except Exception as error:  # noqa: BLE001 - a user's code may raise anything
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        return Finding(promise, f"{type(error).__name__}: {error} ({place})")
    return Finding(promise)


def check_system(
    spec: SystemSpec, variant: Variant = "corrected", size: Size = "full"
) -> Iterator[Finding]:
    """How a system, or a small one of its kind, keeps the contract's promises."""
    return findings(_of_spec(spec, variant, size))


def check_metric(cls: type[Metric]) -> Iterator[Finding]:
    """How a metric keeps the contract's promises."""
    return findings(MetricUnderTest(cls.__name__, cls))


def parametrize_with_checks(contestants: Iterable[object]) -> pytest.MarkDecorator:
    """Run the contract in tests of your own: one case per promise of each system or metric.

    The contestants are classes, instances that are not fitted yet, names of the suite, or
    `path/to/file.py:Class`, the path from where pytest is started. The test takes `contestant`
    and `check`, and calls `check(contestant)`.
    """
    try:
        import pytest
    except ImportError:
        raise BenchError("parametrize_with_checks needs pytest: pip install pytest.") from None
    if isinstance(contestants, str):
        raise BenchError(f"Give a list: parametrize_with_checks([{contestants!r}]).")
    cases = [
        pytest.param(chosen, check, id=f"{chosen.name}-{check.__name__}")
        for chosen in map(under_test, contestants)
        for check in chosen.checks
    ]
    return pytest.mark.parametrize(("contestant", "check"), cases)
