"""Who copies is accused with evidence, who does not is not: people least of all."""

import json

import numpy as np
import pytest
from songs import BAR, song, songs

from baselines.controls import changed, shifted
from bench import data, registry
from bench.check import NoLog, toy_dataset
from bench.contract import Budget
from bench.errors import BenchError
from bench.music import Score, concatenate
from bench.protocol import copy_report, copying
from bench.protocol.copy_report import VERSION, CopyReport
from bench.protocol.copying import (
    DISGUISED_SAMPLES,
    DISGUISES,
    cached_limits,
    compare,
    held_out,
    limits_table,
    make_report,
    measure_human,
    measure_values,
    reference_of,
    set_means,
)
from bench.protocol.corruptions import added_notes, dropped_notes
from bench.protocol.passages import STRETCH_NAMES, Matches, melody
from bench.protocol.sampling import Prompt, Protocol, prompts

SAMPLES = 24
PROTOCOL = Protocol(samples=SAMPLES, steps=8 * BAR, prompt=BAR)


@pytest.fixture(scope="module")
def dataset():
    return songs()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache of this module's own: the limits are worked out once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def given(dataset):
    return prompts(dataset, PROTOCOL)


@pytest.fixture
def report_on(dataset, cache, given):
    return lambda samples, **more: make_report(dataset, PROTOCOL, samples, given, **more)


def excerpts(number=SAMPLES, bars=8, seed=0):
    """Excerpts of training pieces."""
    rng = np.random.default_rng(seed)
    starts = [
        (int(rng.integers(24)), BAR * int(rng.integers(20 - bars + 1))) for _ in range(number)
    ]
    return [song(piece).slice(at, at + BAR * bars) for piece, at in starts]


def spliced(bars, seed=0):
    parts = iter(excerpts(SAMPLES * 8 // bars, bars, seed))
    return [concatenate([next(parts) for _ in range(8 // bars)]) for _ in range(SAMPLES)]


def strangers():
    """Songs of nobody: like those of the data set, and in none of them."""
    return [song(1000 + number).slice(0, 8 * BAR) for number in range(SAMPLES)]


def random(seed=1):
    return np.random.default_rng(seed)


COPIES = {
    "excerpts": lambda: excerpts(),
    "in another key": lambda: [shifted(e, n % 12 - 6) for n, e in enumerate(excerpts())],
    "an octave higher": lambda: [shifted(e, 12) for e in excerpts()],
    "shifted in time": lambda: [
        concatenate([Score.silence(3), e]).slice(0, 8 * BAR) for e in excerpts()
    ],
    "15 % changed": lambda: [changed(e, 0.15, random(n)) for n, e in enumerate(excerpts())],
    "25 % changed": lambda: [changed(e, 0.25, random(n)) for n, e in enumerate(excerpts())],
    "25 % left out": lambda: [dropped_notes(e, 0.25, random(n)) for n, e in enumerate(excerpts())],
    "25 % added": lambda: [added_notes(e, 0.25, random(n)) for n, e in enumerate(excerpts())],
    "spliced by halves": lambda: spliced(4),
    "spliced by bars": lambda: spliced(1),
    "spliced by bars, 15 % changed": lambda: [
        changed(e, 0.15, random(n)) for n, e in enumerate(spliced(1))
    ],
    "their melodies": lambda: [melody(e) for e in excerpts()],
    "half of the samples": lambda: excerpts()[: SAMPLES // 2] + strangers()[SAMPLES // 2 :],
    "half of each sample": lambda: [
        concatenate([e.slice(0, 4 * BAR), s.slice(0, 4 * BAR)])
        for e, s in zip(excerpts(), strangers(), strict=True)
    ],
    "backwards": lambda: [DISGUISES["backwards"](e) for e in excerpts()],
    "upside down": lambda: [DISGUISES["upside down"](e) for e in excerpts()],
}


@pytest.mark.parametrize("how", COPIES)
def test_training_music_is_accused_however_it_is_changed(report_on, how):
    report = report_on(COPIES[how]())
    assert report.verdict == "copies", report
    assert report.clearest.reference == "data set"
    assert "training piece song" in report.sentence


def test_the_evidence_names_the_piece_the_bars_and_the_key(report_on):
    copies = [shifted(song(n % 24).slice(3 * BAR, 11 * BAR), 2) for n in range(SAMPLES)]
    report = report_on(copies)
    passage = next(each for each in report.passages if each.sample == 5)
    assert (passage.source, passage.split) == ("song05", "train")
    assert (passage.bars, passage.source_bars, passage.source_offset) == ((1, 8), (4, 11), 0)
    assert (passage.semitones, passage.matched) == (2, passage.notes)
    assert report.sentence.startswith("100 % of its notes are those of training piece song")
    assert "(bars 4 to 11, 2 semitones up) and others" in report.sentence


def test_the_true_continuations_are_a_copy_unless_they_are_the_human_row(report_on, given):
    truth = [prompt.continuation for prompt in given]
    report = report_on(truth)
    assert report.verdict == "copies"
    assert "validation piece" in report.sentence
    assert report_on(truth, human=True).verdict == "own"


def test_test_pieces_are_not_there_to_be_copied_either(report_on):
    report = report_on([song(34 + n % 10).slice(0, 8 * BAR) for n in range(SAMPLES)])
    assert "test piece" in report.sentence


def test_loops_are_accused_of_repeating_themselves(report_on, given):
    for report in (
        report_on([concatenate([prompt.score] * 8) for prompt in given]),
        report_on([concatenate([bar] * 8) for bar in (s.slice(0, BAR) for s in strangers())]),
        report_on(
            [
                changed(concatenate([prompt.score] * 8), 0.15, random(n))
                for n, prompt in enumerate(given)
            ]
        ),
    ):
        assert report.clearest.reference == "itself"
        assert "repeat the prompt or its own earlier bars" in report.sentence
        assert {passage.source for passage in report.passages if passage.reference == "itself"} <= {
            "prompt",
            "own bars",
        }


def test_one_piece_for_all_is_accused_even_if_it_is_nobodys(report_on):
    stranger = strangers()[0]
    for samples in (
        [stranger] * SAMPLES,
        [shifted(stranger, n % 5) for n in range(SAMPLES)],
        [changed(stranger, 0.15, random(n)) for n in range(SAMPLES)],
    ):
        report = report_on(samples)
        assert report.clearest.reference == "other samples"
        assert "of its notes are those of its other samples, such as sample" in report.sentence


def test_who_copies_nothing_is_not_accused(report_on):
    rng = random()
    noise = [
        Score.from_notes(
            rng.integers(0, 128, 90), rng.integers(1, 9, 90), rng.integers(40, 80, 90), length=128
        )
        for _ in range(SAMPLES)
    ]
    few = [
        Score.from_notes(rng.integers(0, 128, 3), [4] * 3, rng.integers(40, 80, 3), length=128)
        for _ in range(SAMPLES)
    ]
    for samples in (strangers(), noise, few, [melody(s) for s in strangers()]):
        report = report_on(samples)
        assert report.verdict == "own", report.sentence
        assert report.sentence == ""
        assert report.passages == ()


def test_hostile_samples_are_looked_at(report_on):
    rng = random()
    one = Score.from_notes([7], [1], [60], length=128)
    many = Score.from_notes(
        rng.integers(0, 128, 2000),
        rng.integers(1, 9, 2000),
        rng.integers(21, 109, 2000),
        length=128,
    )
    assert report_on([Score.silence(128)] * SAMPLES).verdict == "own"
    assert report_on([one] * SAMPLES).verdict == "own"
    mixed = [Score.silence(128), one, many, *strangers()[3:]]
    assert report_on(mixed).verdict == "own"
    assert report_on([many] * SAMPLES).verdict == "copies"


def test_a_report_goes_through_json_and_is_bound_to_what_it_is_of(report_on, dataset):
    samples = excerpts()
    report = report_on(samples)
    again = CopyReport.model_validate(json.loads(json.dumps(report.model_dump(mode="json"))))
    assert again == report
    assert again.sentence == report.sentence
    hashes = [sample.content_hash for sample in samples]
    assert report.is_of(hashes, dataset.fingerprint, PROTOCOL)
    other = Protocol(samples=SAMPLES, steps=64, prompt=BAR)
    assert not report.is_of(hashes[::-1], dataset.fingerprint, PROTOCOL)
    assert not report.is_of(hashes, "another", PROTOCOL)
    assert not report.is_of(hashes, dataset.fingerprint, other)
    old = report.model_copy(update={"version": VERSION - 1})
    assert not old.is_of(hashes, dataset.fingerprint, PROTOCOL)


def test_the_same_samples_give_the_same_report(report_on):
    assert report_on(spliced(1)) == report_on(spliced(1))


def test_too_little_held_out_music_says_so(cache):
    toy = toy_dataset()
    protocol = Protocol(samples=4, steps=32, prompt=16)
    given = prompts(toy, protocol)
    report = make_report(toy, protocol, [prompt.continuation for prompt in given], given)
    assert report.verdict == "unknown"
    assert "held-out excerpts as long as a sample" in report.reason
    assert report.sentence == ""


def test_unprompted_samples_are_compared_too(dataset, cache):
    protocol = PROTOCOL.model_copy(update={"unprompted": True})
    given = prompts(dataset, protocol)
    assert make_report(dataset, protocol, strangers(), given).verdict == "own"
    assert make_report(dataset, protocol, excerpts(), given).verdict == "copies"


# -- thresholds -------------------------------------------------------------------------------------


def test_limits_are_kept_and_a_damaged_file_is_made_anew(dataset, cache, given):
    from bench.data.folders import cache_dir

    count = len({prompt.piece for prompt in given})
    limits = cached_limits(dataset, PROTOCOL, count)
    folder = cache_dir() / "copying"
    contents = {path.read_text() for path in folder.iterdir()}
    for path in folder.iterdir():
        path.write_text("{")
    assert cached_limits(dataset, PROTOCOL, count) == limits
    assert {path.read_text() for path in folder.iterdir()} & contents


def test_a_cache_that_cannot_be_written_costs_time_only(dataset, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "file"))
    small = Protocol(samples=4, steps=64, prompt=BAR)
    assert cached_limits(dataset, small, 4).excerpts
    assert "cannot be written" in capsys.readouterr().err


def test_excerpts_are_of_held_out_pieces_each_with_the_bar_before_it(dataset):
    excerpts_held_out = held_out(dataset, PROTOCOL)
    assert {excerpt.piece for excerpt in excerpts_held_out} == {*dataset.valid, *dataset.test}
    for excerpt in excerpts_held_out:
        piece = dataset.pieces[excerpt.piece]
        both = concatenate([excerpt.prompt, excerpt.music])
        places = [
            at
            for at in range(0, piece.length, BAR)
            if piece.slice(at, at + 9 * BAR).sounding().tobytes() == both.sounding().tobytes()
        ]
        assert places


def test_sets_take_whole_pieces():
    pieces = np.repeat(np.arange(10), 4)
    values = pieces[:, None].astype(float)
    few, many = (set_means(pieces, values, 40, count).std() for count in (2, 40))
    assert few > 3 * many
    assert set_means(pieces, values, 40, 40).mean() == pytest.approx(4.5, abs=0.05)


def test_measures_of_each_reference():
    matches = Matches.none(1)
    matches.share[0] = 1.0, 0.6, 0.4, 0.3
    matches.peak[0] = 1.0, 1.0, 0.95, 0.3
    values = measure_values(matches, "data set")
    assert values["single bars"][0] == pytest.approx(0.4)
    assert values["copied samples"][0] == 1
    assert "single bars" not in measure_values(matches, "itself")
    assert "whole" not in measure_values(matches, "itself")
    assert list(measure_values(matches, "backwards")) == ["whole"]
    assert reference_of("backwards") == "data set"
    assert reference_of("itself") == "itself"


def rate_of_false_alarms(dataset, protocol, number, seed=0):
    """The share of sets of human excerpts that thresholds of other human pieces accuse."""
    alarms = []
    count = len({prompt.piece for prompt in prompts(dataset, protocol)})
    for fitted, drawn in ((("valid",), ("test",)), (("test",), ("valid",))):
        table = limits_table(measure_human(dataset, protocol, fitted), protocol.samples, count)
        human = measure_human(dataset, protocol, drawn)
        rng = np.random.default_rng(seed)
        for _ in range(number):
            accused = False
            for name, values in human.values.items():
                pieces = human.pieces[name]
                size = DISGUISED_SAMPLES if name in DISGUISES else protocol.samples
                chosen = rng.choice(np.unique(pieces), size)
                rows = [int(rng.choice(np.flatnonzero(pieces == piece))) for piece in chosen]
                drawn_values = {measure: each[rows] for measure, each in values.items()}
                accused |= compare(drawn_values, name, [table]).copies
            alarms.append(accused)
    return float(np.mean(alarms))


def test_human_sets_are_not_accused_by_thresholds_of_other_pieces(dataset, cache):
    assert rate_of_false_alarms(dataset, PROTOCOL, 100) <= 0.01


# -- real data --------------------------------------------------------------------------------------

REAL = ("chorales", "jsb", "nottingham", "musedata", "piano-midi", "folk")


def real(name, samples=64):
    """The data set, its protocol and its prompts; skipped where it is not here."""
    try:
        dataset = data.load(name)
    except BenchError as error:
        pytest.skip(str(error))
    protocol = Protocol(samples=samples, steps=8 * dataset.bar, prompt=dataset.bar)
    return dataset, protocol, prompts(dataset, protocol)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("samples", [64, 128])
def test_held_out_human_music_is_accused_in_at_most_one_of_a_hundred_sets(name, samples):
    dataset, protocol, _ = real(name, samples)
    assert rate_of_false_alarms(dataset, protocol, 500) <= 0.01


def near_copies(dataset, excerpt, rng):
    """Copies beyond those that ship as controls."""
    bar, steps = dataset.bar, 8 * dataset.bar
    yield "25 % changed", changed(excerpt(steps, rng), 0.25, rng)
    yield "25 % left out", dropped_notes(excerpt(steps, rng), 0.25, rng)
    yield "25 % added", added_notes(excerpt(steps, rng), 0.25, rng)
    halves = concatenate([excerpt(4 * bar, rng) for _ in range(2)])
    yield "halves, 15 % changed", changed(halves, 0.15, rng)
    bars = concatenate([excerpt(bar, rng, bar) for _ in range(8)])
    yield "bars, 15 % changed", changed(bars, 0.15, rng)
    keys = [shifted(excerpt(bar, rng, bar), int(rng.integers(-6, 7))) for _ in range(8)]
    yield "bars, each in another key", concatenate(keys)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["chorales", "jsb", "nottingham"])
def test_every_cheat_is_caught_on_real_data_and_the_scale_is_not(name):
    dataset, protocol, given = real(name)
    starts = [prompt.score for prompt in given]
    verdicts = {}
    for spec in registry.systems().values():
        if spec.kind == "control":
            system = spec.build()
            system.fit(dataset.split("train"), dataset.split("valid"), Budget(0), 0, NoLog())
            samples = system.sample(starts, protocol.steps, 0)
            verdicts[spec.id] = make_report(dataset, protocol, samples, given).verdict
    assert verdicts.pop("control-scale") == "own"
    assert set(verdicts.values()) == {"copies"}, verdicts
    system = registry.system("control-excerpt").build()
    system.fit(dataset.split("train"), (), Budget(0), 0, NoLog())
    made = [dict(near_copies(dataset, system.excerpt, random(n))) for n in range(64)]
    for how in made[0]:
        report = make_report(dataset, protocol, [each[how] for each in made], given)
        assert report.verdict == "copies", how
    truth = [prompt.continuation for prompt in given]
    assert make_report(dataset, protocol, truth, given).verdict == "copies"
    assert make_report(dataset, protocol, truth, given, human=True).verdict == "own"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_published_system_is_accused_but_those_that_repeat_themselves(tmp_path):
    import tarfile

    from bench.board import archive
    from bench.jobs.record import records
    from bench.jobs.run_folder import RunFolder
    from bench.jobs.samples import read_samples

    table = archive.shipped()
    if table is None:
        pytest.skip("there is no published board")
    with tarfile.open(archive.archive_of(table), "r:xz") as tar:
        tar.extractall(tmp_path, filter="data")
    known: dict[tuple[str, int], tuple[object, ...]] = {}
    accused = set()
    for record in records(RunFolder(tmp_path)):
        job = record.job
        if job.card.kind in ("ceiling", "control"):
            continue
        key = (job.dataset, job.protocol.samples)
        known[key] = known.get(key) or real(*key)
        dataset, _, given = known[key]
        samples = read_samples(record.folder, record.result.sample_hashes)
        report = make_report(dataset, job.protocol, samples, given)
        if report.verdict == "copies":
            assert report.clearest.reference != "data set", report.sentence
            accused.add((job.system, job.variant))
    # Both play one bar for ever, one of them with every key at once.
    assert accused == {("note-lstm", "as-published"), ("markov-chain", "as-published")}


def test_versions_of_the_detector_are_part_of_what_is_kept(dataset, cache, monkeypatch, given):
    count = len({prompt.piece for prompt in given})
    cached_limits(dataset, PROTOCOL, count)
    asked = []
    monkeypatch.setattr(copy_report, "VERSION", VERSION + 1)
    monkeypatch.setattr(copying, "limits_of", lambda *a: asked.append(a) or _limits())
    cached_limits(dataset, PROTOCOL, count)
    assert len(asked) == 1


def _limits():
    return copying.Limits(excerpts=0, notes=0, fewest=(0, 0, 0, 0), full={}, melodies={})


def test_prompts_are_those_of_the_protocol(given):
    assert all(isinstance(prompt, Prompt) for prompt in given)
    assert len(given) == SAMPLES
    assert len(STRETCH_NAMES) == 4
