"""`bench check` finds every breach of the contract that is planted here, and nothing else."""

import builtins
import subprocess
import sys

import numpy as np
import pytest

from bench import check, data, registry
from bench.contract import Likelihood, Measurement
from bench.errors import BenchError
from bench.music import Score


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


def broken(contestant):
    """The promises that a system or metric breaks, each with the explanation."""
    findings = list(check.findings(check.under_test(contestant)))
    assert findings
    return {finding.promise: finding.broken for finding in findings if not finding.kept}


def test_an_honest_system_keeps_all_promises():
    assert broken(Honest) == {}


@pytest.fixture(scope="module")
def kept():
    """The small systems that kept the contract already."""
    return set()


def test_every_installed_system_keeps_the_contract_and_its_settings(
    installed_variant, kept, monkeypatch
):
    system, variant = installed_variant
    spec = registry.systems()[system]
    small = spec.build(variant, "small")
    alike = type(small), repr(vars(small))  # three sizes of one network are the same small system
    if alike in kept:
        return
    cls, loaded = registry.load_object(spec.class_path), []
    load = cls.load
    monkeypatch.setattr(cls, "load", lambda folder: loaded.append(load(folder)) or loaded[-1])
    findings = list(check.check_system(spec, variant, "small"))
    assert len(findings) == (2 if system == "human" else len(check.SYSTEM_CHECKS))
    assert [finding for finding in findings if not finding.kept] == []
    if spec.kind != "ceiling":  # which is not saved
        assert [own.settings for own in loaded] == [small.settings]
    kept.add(alike)


def pytest_generate_tests(metafunc):
    if "installed_variant" in metafunc.fixturenames:
        pairs = [(s.id, v) for s in registry.systems().values() for v in s.variants()]
        metafunc.parametrize("installed_variant", pairs, ids=" ".join)
    if "installed_metric" in metafunc.fixturenames:
        metafunc.parametrize("installed_metric", list(registry.metrics()))


def test_every_installed_metric_keeps_the_contract(installed_metric):
    findings = list(check.check_metric(registry.metric(installed_metric)))
    assert len(findings) == len(check.METRIC_CHECKS)
    assert [finding for finding in findings if not finding.kept] == []


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


class SavesNothing(Honest):
    def save(self, folder):
        pass


class LacksMethods:
    likelihood = Likelihood("none", reason="a test")

    def sample(self, prompts, steps, seed):
        return []


class LacksALikelihood(Honest):
    likelihood = property()  # an attribute that raises AttributeError


class ChangesItsLikelihood(Honest):
    factor = 1.0

    def log_likelihood(self, scores):
        return np.array([-100.0 * self.factor * score.length for score in scores])

    @classmethod
    def load(cls, folder):
        system = super().load(folder)
        system.factor = 2.0
        return system


class LearnsSomethingElse(Honest):
    def fit(self, train, valid, budget, seed, log):
        super().fit(train, valid, budget, seed, log)
        log.record(1, valid_loss=0.5)

    def log_likelihood(self, scores):
        return np.array([-100.0 * score.length for score in scores])


class DrawsSomethingElse(Honest):
    def sample(self, prompts, steps, seed):
        samples = super().sample(prompts, steps, seed)
        return [s if number % 3 else Score.silence(steps) for number, s in enumerate(samples)]


@pytest.mark.parametrize(
    ("cls", "promise", "explanation"),
    [
        (DrawsSomethingElse, "Pieces of one step are drawn", "another distribution"),
        (LearnsSomethingElse, "A `valid_loss`", "were kept is 0.5, but"),
        (GlobalRandomness, "The same seed gives the same samples", "default_rng"),
        (UnseededFit, "The same seed, settings and data", "Two fits"),
        (SharedStream, "A sample does not depend on the other prompts", "generator of its own"),
        (Forgetful, "A saved and loaded system", "other pieces"),
        (SavesNothing, "A saved and loaded system", "wrote nothing"),
        (ChangesItsLikelihood, "A saved and loaded system", "other values"),
        (LacksMethods, "It can be built and fitted", "no fit, no log_likelihood, no save, no load"),
        (LacksALikelihood, "It can be built and fitted", "no likelihood"),
        (TooShort, "sample() gives one Score per prompt", "Sample 0 has 23 steps"),
        (AboveOne, "An exact likelihood gives all pieces of one step", "probability"),
        (Positive, "log_likelihood() is one finite number", "above 1"),
        (NotANumber, "log_likelihood() is one finite number", "NaN"),
        (SkipsSteps, "An exact likelihood never grows", "must fall"),
        (Averages, "A piece's likelihood does not depend", "padding or state leaks"),
        (NoReason, "`likelihood` declares", "without a reason"),
        (Peeks, "It can be built and fitted", "may not load data"),
    ],
)
def test_a_planted_breach_is_found_and_explained(cls, promise, explanation):
    breaches = broken(cls)
    (explained,) = [text for name, text in breaches.items() if name.startswith(promise)]
    assert explanation in explained


def test_a_system_that_cannot_be_fitted_is_not_checked_further():
    assert len(list(check.findings(check.under_test(Peeks)))) == 1


class Mean:
    name, version, unit, direction, headline = "mean", 1, "keys", "none", False
    measures, blind_to, citation = "notes", "all else", "ours"

    def prepare(self, reference):
        pass

    def score(self, samples):
        return Measurement(float(np.mean([len(score) for score in samples])))


def test_an_honest_metric_keeps_all_promises():
    assert broken(Mean) == {}


class Fickle(Mean):
    def score(self, samples):
        return Measurement(float(np.random.random()))  # noqa: NPY002


class DividesByNotes(Mean):
    def score(self, samples):
        return Measurement(float(np.mean([1 / np.float64(len(score)) for score in samples])))


class Directionless(Mean):
    headline = True


class Sideways(Mean):
    direction = "sideways"


class Anonymous(Mean):
    citation = ""


class Valueless(Mean):
    def score(self, samples):
        return Measurement(None, reason="it is a bad day")


class ReturnsANumber(Mean):
    def score(self, samples):
        return 1.0


class OneValueForAll(Mean):
    def score(self, samples):
        return Measurement(1.0, per_piece=np.ones(1))


class InfiniteDraws(Mean):
    def score(self, samples):
        return Measurement(1.0, draws=np.array([np.inf]))


@pytest.mark.parametrize(
    ("cls", "promise", "explanation"),
    [
        (Fickle, "The same samples give the same values", "Seed every random draw"),
        (DividesByNotes, "Silence has a value", "finite or absent"),
        (Directionless, "It says what it measures", "has a direction"),
        (Sideways, "It says what it measures", "must be higher, lower or none"),
        (Anonymous, "It says what it measures", "citation is empty"),
        (Valueless, "It has a value for ordinary music", "it is a bad day"),
        (ReturnsANumber, "A single piece has a value", "must return a Measurement"),
        (OneValueForAll, "Silence among music has a value", "one value per piece"),
        (InfiniteDraws, "Pieces of one note have a value", "draws must be finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_metrics_breach_is_found_and_explained(cls, promise, explanation):
    breaches = broken(cls)
    (explained,) = [text for name, text in breaches.items() if name.startswith(promise)]
    assert explanation in explained


# -- in a user's own tests ------------------------------------------------------------------------


@check.parametrize_with_checks([Honest, Honest(), Mean, "noise", "human", "on_key"])
def test_every_promise_is_a_case_of_its_own(contestant, check):
    check(contestant)


def test_contestants_are_classes_instances_and_names():
    cases = check.parametrize_with_checks([Honest(), Mean, "noise"]).args[1]
    assert [case.id for case in cases] == [
        *(f"Honest-{promise.__name__}" for promise in check.SYSTEM_CHECKS),
        *(f"Mean-{promise.__name__}" for promise in check.METRIC_CHECKS),
        *(f"noise-{promise.__name__}" for promise in check.SYSTEM_CHECKS),
    ]


def test_the_instance_that_is_given_is_left_unfitted():
    system = Honest()
    assert broken(system) == {}
    assert not hasattr(system, "keys")


@pytest.mark.parametrize(
    ("contestants", "message"),
    [
        ([3], "3 is neither a system nor a metric"),
        (["noisy"], "Did you mean noise"),
        ("noise", r"Give a list: parametrize_with_checks\(\['noise'\]\)"),
        (["nowhere.py:Mine"], "nowhere.py"),
    ],
)
def test_what_cannot_be_checked_is_named(contestants, message):
    with pytest.raises(BenchError, match=message):
        check.parametrize_with_checks(contestants)


def test_without_pytest_it_says_what_to_install(monkeypatch):
    original = builtins.__import__

    def importing(name, *rest, **named):
        if name == "pytest":
            raise ImportError(name)
        return original(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(BenchError, match="pip install pytest"):
        check.parametrize_with_checks([Honest])


def test_a_users_own_test_file_gets_one_case_per_promise(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "from bench.contract import Measurement\n"
        "class Fickle:\n"
        "    name, version, unit, direction, headline = 'fickle', 1, 'keys', 'none', False\n"
        "    measures, blind_to, citation = 'chance', 'all else', 'ours'\n"
        "    def prepare(self, reference): pass\n"
        "    def score(self, samples): return Measurement(float(np.random.random()))\n"
    )
    (tmp_path / "test_mine.py").write_text(
        "from bench.check import parametrize_with_checks\n"
        "@parametrize_with_checks(['mine.py:Fickle'])\n"
        "def test_mine(contestant, check):\n"
        "    check(contestant)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "6 passed" in done.stdout
    assert "1 failed" in done.stdout
    assert "test_mine[Fickle-score_is_repeatable] FAILED" in done.stdout
    assert "Seed every random draw" in done.stdout
