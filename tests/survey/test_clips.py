"""Clips differ in nothing but the music."""

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from made_up_jobs import finish, job

from bench.errors import BenchError
from bench.jobs.run_folder import RunFolder
from bench.music import Score
from bench.music.loudness import loudness
from bench.protocol.sampling import Protocol
from bench.survey.clips import (
    ClipSource,
    anchors,
    check,
    choose,
    clip_steps,
    excerpt,
    make_clip,
    volume_clip,
)
from bench.survey.config import Consent, SurveyConfig
from bench.survey.contestants import Contestant, clips_of_run, render_clips
from bench.survey.media import salted

CONFIG = SurveyConfig(
    name="toy",
    title="A title",
    systems=("alpha",),
    clips=2,
    per_system=1,
    seconds=3.0,
    tempo=120,
    consent=Consent(contact="somebody"),
)


def piece(seed: int, steps: int = 64, notes: int = 20) -> Score:
    rng = np.random.default_rng(seed)
    return Score.from_notes(
        rng.integers(0, steps, notes),
        rng.integers(1, 8, notes),
        rng.integers(50, 80, notes),
        length=steps,
    )


def decoded(audio: bytes) -> tuple[np.ndarray, int]:
    samples, rate = soundfile.read(io.BytesIO(audio), always_2d=True)
    return samples, rate


def test_clips_of_any_music_have_one_length_size_and_loudness():
    sparse = Score.from_notes([0, 20], [4, 4], [60, 64], length=64)
    dense = piece(0, notes=300)
    low = Score.from_notes(np.arange(16) * 2, [2] * 16, [30] * 16, length=64)
    clips = [make_clip(ClipSource(name, s), CONFIG) for name, s in
             [("sparse", sparse), ("dense", dense), ("low", low)]]  # fmt: skip
    assert len({len(clip.audio) for clip in clips}) == 1
    for clip in clips:
        samples, rate = decoded(clip.audio)
        assert clip.seconds == 3.0
        assert len(samples) / rate == pytest.approx(3.0, abs=0.06)  # MP3 pads to whole frames
        assert loudness(samples.astype(np.float32), rate) == pytest.approx(-23, abs=0.1)
        assert np.abs(samples).max() < 10 ** (-0.5 / 20)
        assert np.abs(samples[: rate // 1000]).max() < 0.03  # faded in
        assert np.abs(samples[int(2.99 * rate) : int(3 * rate)]).max() < 0.02  # and out
    check({"all": clips}, CONFIG)


def test_a_clip_starts_with_the_first_note_where_enough_follows():
    steps = clip_steps(CONFIG, 4)
    assert steps == 24
    late = Score.from_notes([30, 40], [2, 20], [60, 62], length=64)
    assert excerpt(late, CONFIG).onset[0] == 0
    later = Score.from_notes([60], [2], [60], length=64)
    assert (excerpt(later, CONFIG).length, excerpt(later, CONFIG).onset[0]) == (steps, 20)
    assert excerpt(piece(0, steps=23), CONFIG) is None
    assert excerpt(Score.silence(64), CONFIG) == Score.silence(steps)


def test_samples_that_are_too_short_are_refused_with_the_length_that_fits():
    sources = [ClipSource("s", piece(n, steps=16)) for n in range(4)]
    with pytest.raises(BenchError, match=r"last 2\.0 seconds.*Set seconds = 2,"):
        choose("alpha", sources, 2, CONFIG, range(4))


def test_too_few_samples_are_refused():
    with pytest.raises(BenchError, match=r"has 1 samples .* needs 2 clips"):
        choose("alpha", [ClipSource("s", piece(0))], 2, CONFIG, [0])


def test_silence_is_refused_or_skipped_and_counted():
    sources = [
        ClipSource("silent", Score.silence(64)),
        *(ClipSource("s", piece(n)) for n in range(2)),
    ]
    clips, skipped = choose("alpha", sources, 2, CONFIG, range(3))
    assert skipped == 0
    with pytest.raises(BenchError, match=r"silent: alpha \(silent\)\. .*skip_silent"):
        check({"alpha": clips}, CONFIG)
    skipping = CONFIG.model_copy(update={"skip_silent": True})
    clips, skipped = choose("alpha", sources, 2, skipping, range(3))
    assert (skipped, [clip.source for clip in clips]) == (1, ["s", "s"])


def test_equal_music_another_loudness_clipping_and_another_size_are_refused():
    first, second = (make_clip(ClipSource(f"s{n}", piece(n)), CONFIG) for n in (1, 2))
    with pytest.raises(BenchError, match=r"equal, note for note: alpha \(s1\), beta \(s1\)"):
        check({"alpha": [first, second], "beta": [first]}, CONFIG)
    with pytest.raises(BenchError, match="as loud as the others"):
        check({"alpha": [first, replace(second, lufs=-25.0)]}, CONFIG)
    with pytest.raises(BenchError, match="clipped"):
        check({"alpha": [first, replace(second, peak=1.0)]}, CONFIG)
    beta = [replace(second, content="x", audio=b"")]
    with pytest.raises(BenchError, match="another size"):
        check({"alpha": [first, first, second], "beta": beta}, CONFIG)


def test_random_notes_have_the_density_durations_and_range_of_the_data():
    train = [piece(n, steps=200, notes=100) for n in range(5)]
    rng = np.random.default_rng(0)
    scores = [source.score for source in anchors(train, Score.silence(400), 20, rng)]
    train_density = sum(map(len, train)) / 1000
    # Notes that begin together on one key are merged, which loses a few.
    density = sum(map(len, scores)) / (20 * 400)
    assert 0.93 * train_density < density <= train_density + 1e-9
    pitches = np.concatenate([score.pitch for score in scores])
    train_pitches = np.concatenate([score.pitch for score in train])
    assert pitches.min() == train_pitches.min()
    assert pitches.max() == train_pitches.max()
    counts = np.bincount(pitches)[pitches.min() :]
    assert counts.std() < 2 * np.sqrt(counts.mean())  # uniform, up to chance
    assert len({score.content_hash for score in scores}) == 20


def test_the_same_sample_numbers_are_taken_of_every_contestant():
    alpha = [ClipSource(f"{n}", piece(n)) for n in range(6)]
    human = [ClipSource(f"{n}", piece(100 + n)) for n in range(6)]
    train = [piece(200 + n) for n in range(3)]
    first, second = (
        render_clips(CONFIG, [Contestant("alpha", alpha)], human, train, "toy", lambda _: None)
        for _ in range(2)
    )
    by_name = {group.contestant.name: group for group in first.contestants}
    assert [c.source for c in by_name["alpha"].clips] == [c.source for c in by_name["human"].clips]
    assert by_name["random notes"].contestant.role == "anchor"
    practice = [group for group in first.contestants if group.practice]
    assert sorted(group.contestant.role for group in practice) == ["anchor", "human"]
    assert not any(group.clips for group in practice)
    assert [c.sha256 for group in second.contestants for c in group.clips] == [
        c.sha256 for group in first.contestants for c in group.clips
    ]


def test_salted_audio_sounds_the_same_and_is_another_file():
    clip = volume_clip(CONFIG)
    first, second = (salted(clip.audio, hashlib.sha256(salt).hexdigest()) for salt in (b"1", b"2"))
    assert len(first) == len(second)
    assert first != second
    plain, _ = decoded(clip.audio)
    for audio in (first, second):
        assert np.array_equal(decoded(audio)[0], plain)


def test_systems_that_were_given_other_prompts_are_not_heard_beside_each_other(tmp_path):
    runs = RunFolder(tmp_path)
    for name, backward in (("biaxial-dropout", False), ("biaxial-reversed", True)):
        protocol = Protocol(samples=4, steps=32, prompt=16, backward=backward)
        finish(runs, job(name, protocol=protocol))
    both = CONFIG.model_copy(
        update={"run": tmp_path, "systems": ("biaxial-dropout", "biaxial-reversed")}
    )
    with pytest.raises(BenchError, match="has endings as prompts: survey it apart"):
        clips_of_run(both, lambda line: None)
