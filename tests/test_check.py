"""`bench check` finds every breach of the contract that is planted here, and nothing else."""

import numpy as np
import pytest

from bench import check, data, registry
from bench.contract import Likelihood, Measurement
from bench.music import Score
from bench.registry import SystemSpec


class Honest:
    """Keeps every promise: each step one key, drawn evenly, or silence."""

    likelihood = Likelihood("exact", "frames")

    def fit(self, train, valid, budget, seed, log):
        self.keys = 88

    def sample(self, prompts, steps, seed):
        pieces = []
        for number, prompt in enumerate(prompts):
            rng = np.random.default_rng([seed, number])
            roll = np.zeros((steps, 89), dtype=bool)
            roll[np.arange(steps), rng.integers(89, size=steps)] = True
            pieces.append(Score.from_rolls(roll[:, :88], grid=prompt.grid))
        return pieces

    def log_likelihood(self, scores):
        crowded = [(score.sounding().sum(axis=1) > 1).any() for score in scores]
        nats = [-score.length * np.log(89) for score in scores]
        return np.where(crowded, -np.inf, nats)

    def save(self, folder):
        (folder / "system.txt").write_text("88")

    @classmethod
    def load(cls, folder):
        system = cls()
        system.keys = int((folder / "system.txt").read_text())
        return system


def broken(cls):
    """The promises that a system breaks, with what is said of them."""
    registry_path = f"{__name__}:{cls.__name__}"
    spec = SystemSpec(
        id="x", title="x", kind="external", class_path=registry_path, published={"none": "test"}
    )
    original = registry.load_object
    try:
        registry.load_object = lambda path: cls
        return {f.promise: f.broken for f in check.check_system(spec) if not f.kept}
    finally:
        registry.load_object = original


def test_an_honest_system_keeps_all_promises():
    assert broken(Honest) == {}


def test_every_installed_system_keeps_the_contract_and_its_settings(installed_variant, monkeypatch):
    system, variant = installed_variant
    spec = registry.systems()[system]
    cls, loaded = registry.load_object(spec.class_path), []
    load = cls.load
    monkeypatch.setattr(cls, "load", lambda folder: loaded.append(load(folder)) or loaded[-1])
    findings = list(check.check_system(spec, variant, "small"))
    assert findings
    assert [f for f in findings if not f.kept] == []
    if spec.kind != "ceiling":  # which is not saved
        assert [own.settings for own in loaded] == [spec.build(variant, "small").settings]


def pytest_generate_tests(metafunc):
    if "installed_variant" in metafunc.fixturenames:
        pairs = [(s.id, v) for s in registry.systems().values() for v in s.variants()]
        metafunc.parametrize("installed_variant", pairs, ids=" ".join)
    if "installed_metric" in metafunc.fixturenames:
        metafunc.parametrize("installed_metric", list(registry.metrics()))


def test_every_installed_metric_keeps_the_contract(installed_metric):
    findings = list(check.check_metric(registry.metric(installed_metric)))
    assert [f for f in findings if not f.kept] == []


class GlobalRandomness(Honest):
    def sample(self, prompts, steps, seed):
        return super().sample(prompts, steps, int(np.random.randint(1000)))  # noqa: NPY002


class UnseededFit(Honest):
    def fit(self, train, valid, budget, seed, log):
        self.keys = int(np.random.randint(2**31))  # noqa: NPY002

    def sample(self, prompts, steps, seed):
        return super().sample(prompts, steps, self.keys)


class SharedStream(Honest):
    def sample(self, prompts, steps, seed):
        rng = np.random.default_rng([seed, len(prompts)])
        rolls = rng.random((len(prompts), steps, 88)) < 0.05
        return [Score.from_rolls(roll) for roll in rolls]


class Forgetful(Honest):
    def sample(self, prompts, steps, seed):
        return super().sample(prompts, steps, seed + getattr(self, "extra", 1))

    @classmethod
    def load(cls, folder):
        system = super().load(folder)
        system.extra = 2
        return system


class TooShort(Honest):
    def sample(self, prompts, steps, seed):
        return [score.slice(0, steps - 1) for score in super().sample(prompts, steps, seed)]


class AboveOne(Honest):
    def log_likelihood(self, scores):
        return np.array([-0.02 * score.length for score in scores])


class Positive(Honest):
    def log_likelihood(self, scores):
        return np.array([1.0 for _ in scores])


class NotANumber(Honest):
    def log_likelihood(self, scores):
        return np.array([np.nan if not len(score) else -1.0 for score in scores])


class SkipsSteps(Honest):
    def log_likelihood(self, scores):
        return np.array([-5.0 / max(score.length, 1) for score in scores])


class Averages(Honest):
    def log_likelihood(self, scores):
        return np.full(len(scores), np.mean(super().log_likelihood(scores)[:1]))


class NoReason(Honest):
    likelihood = Likelihood("none")


class Peeks(Honest):
    def fit(self, train, valid, budget, seed, log):
        data.load("chorales")


@pytest.mark.parametrize(
    ("cls", "promise", "said"),
    [
        (GlobalRandomness, "The same seed gives the same samples", "default_rng"),
        (UnseededFit, "The same seed, settings and data", "Two fits"),
        (SharedStream, "A sample does not depend on which prompts", "generator of its own"),
        (Forgetful, "A saved and loaded system", "other pieces"),
        (TooShort, "sample() gives one Score per prompt", "Sample 0 has 23 steps"),
        (AboveOne, "An exact likelihood gives all pieces of one step", "probability"),
        (Positive, "log_likelihood() is one finite number", "above 1"),
        (NotANumber, "log_likelihood() is one finite number", "NaN"),
        (SkipsSteps, "An exact likelihood never grows", "must fall"),
        (Averages, "A piece's likelihood does not depend", "padding or state leaks"),
        (NoReason, "`likelihood` says what is described", "without a reason"),
        (Peeks, "It can be built and fitted", "may not load data"),
    ],
)
def test_a_planted_breach_is_found_and_explained(cls, promise, said):
    found = broken(cls)
    match = [text for name, text in found.items() if name.startswith(promise)]
    assert match, found
    assert said in match[0]


class Mean:
    name, version, unit, direction, headline = "mean", 1, "keys", "none", False
    measures, blind_to, citation = "notes", "all else", "ours"

    def prepare(self, reference):
        pass

    def score(self, samples):
        return Measurement(float(np.mean([len(score) for score in samples])))


def test_an_honest_metric_keeps_all_promises():
    assert [f for f in check.check_metric(Mean) if not f.kept] == []


class Fickle(Mean):
    def score(self, samples):
        return Measurement(float(np.random.random()))  # noqa: NPY002


class DividesByNotes(Mean):
    def score(self, samples):
        return Measurement(float(np.mean([1 / np.float64(len(score)) for score in samples])))


class Directionless(Mean):
    headline = True


@pytest.mark.parametrize(
    ("cls", "promise", "said"),
    [
        (Fickle, "The same samples give the same figures", "Seed what is drawn"),
        (DividesByNotes, "Silence has a defined outcome", "finite or absent"),
        (Directionless, "It says what it measures", "has a direction"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_metrics_breach_is_found_and_explained(cls, promise, said):
    found = {f.promise: f.broken for f in check.check_metric(cls) if not f.kept}
    match = [text for name, text in found.items() if name.startswith(promise)]
    assert match, found
    assert said in match[0]
