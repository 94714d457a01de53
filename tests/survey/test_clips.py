"""Clips differ in nothing but the music."""

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from bench.errors import BenchError
from bench.music import Score
from bench.music.loudness import loudness
from bench.survey.clips import (
    ClipSource,
    anchors,
    check,
    choose,
    excerpt,
    make_clip,
    steps_of,
    volume_clip,
)
from bench.survey.config import Consent, SurveyConfig
from bench.survey.contestants import Contestant, render_clips
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
    steps = steps_of(CONFIG, 4)
    assert steps == 24
    late = Score.from_notes([30, 40], [2, 20], [60, 62], length=64)
    assert excerpt(late, CONFIG).onset[0] == 0
    later = Score.from_notes([60], [2], [60], length=64)
    assert (excerpt(later, CONFIG).length, excerpt(later, CONFIG).onset[0]) == (steps, 20)
    assert excerpt(piece(0, steps=23), CONFIG) is None
    assert excerpt(Score.silence(64), CONFIG) == Score.silence(steps)


def test_what_is_too_short_is_refused_with_the_length_that_fits():
    sources = [ClipSource("s", piece(n, steps=16)) for n in range(4)]
    with pytest.raises(BenchError, match=r"last 2\.0 seconds.*Set seconds = 2,"):
        choose("alpha", sources, 2, CONFIG, range(4))


def test_too_few_samples_are_refused():
    with pytest.raises(BenchError, match=r"has 1 samples .* and 2 clips"):
        choose("alpha", [ClipSource("s", piece(0))], 2, CONFIG, [0])


def test_silence_is_refused_or_passed_over_and_counted():
    sources = [
        ClipSource("silent", Score.silence(64)),
        *(ClipSource("s", piece(n)) for n in range(2)),
    ]
    clips, passed = choose("alpha", sources, 2, CONFIG, range(3))
    assert passed == 0
    with pytest.raises(BenchError, match=r"silent: alpha \(silent\)\. .*skip_silent"):
        check({"alpha": clips}, CONFIG)
    skipping = CONFIG.model_copy(update={"skip_silent": True})
    clips, passed = choose("alpha", sources, 2, skipping, range(3))
    assert (passed, [clip.source for clip in clips]) == (1, ["s", "s"])


def test_equal_music_loud_music_and_a_size_of_its_own_are_refused():
    one, two = (make_clip(ClipSource(f"s{n}", piece(n)), CONFIG) for n in (1, 2))
    with pytest.raises(BenchError, match=r"equal, note for note: alpha \(s1\), beta \(s1\)"):
        check({"alpha": [one, two], "beta": [one]}, CONFIG)
    with pytest.raises(BenchError, match="as loud as the others"):
        check({"alpha": [one, replace(two, lufs=-25.0)]}, CONFIG)
    with pytest.raises(BenchError, match="clipped"):
        check({"alpha": [one, replace(two, peak=1.0)]}, CONFIG)
    with pytest.raises(BenchError, match="another size"):
        check({"alpha": [one, one, two], "beta": [replace(two, content="x", audio=b"")]}, CONFIG)


def test_random_notes_have_the_density_durations_and_range_of_the_data():
    train = [piece(n, steps=200, notes=100) for n in range(5)]
    rng = np.random.default_rng(0)
    made = [one.score for one in anchors(train, Score.silence(400), 20, rng)]
    density = sum(map(len, train)) / 1000
    # Two notes on one key at one time are one: a few are lost.
    found = sum(map(len, made)) / (20 * 400)
    assert 0.93 * density < found <= density + 1e-9
    pitches = np.concatenate([one.pitch for one in made])
    there = np.concatenate([one.pitch for one in train])
    assert pitches.min() == there.min()
    assert pitches.max() == there.max()
    counts = np.bincount(pitches)[pitches.min() :]
    assert counts.std() < 2 * np.sqrt(counts.mean())  # uniform: as chance spreads them
    assert len({one.content_hash for one in made}) == 20


def test_the_cast_takes_everybodys_samples_by_the_same_numbers():
    mine = [ClipSource(f"{n}", piece(n)) for n in range(6)]
    human = [ClipSource(f"{n}", piece(100 + n)) for n in range(6)]
    train = [piece(200 + n) for n in range(3)]
    made = render_clips(CONFIG, [Contestant("alpha", mine)], human, train, "toy", lambda _: None)
    by_name = {one.samples.name: one for one in made.contestants}
    assert [c.source for c in by_name["alpha"].clips] == [c.source for c in by_name["human"].clips]
    assert by_name["random notes"].samples.role == "anchor"
    practice = [one for one in made.contestants if one.practice]
    assert sorted(one.samples.role for one in practice) == ["anchor", "human"]
    assert not any(one.clips for one in practice)
    again = render_clips(CONFIG, [Contestant("alpha", mine)], human, train, "toy", lambda _: None)
    assert [c.sha256 for one in again.contestants for c in one.clips] == [
        c.sha256 for one in made.contestants for c in one.clips
    ]


def test_salted_audio_sounds_the_same_and_is_another_file():
    clip = volume_clip(CONFIG)
    one, two = (salted(clip.audio, hashlib.sha256(salt).hexdigest()) for salt in (b"1", b"2"))
    assert len(one) == len(two)
    assert one != two
    plain, _ = decoded(clip.audio)
    for audio in (one, two):
        assert np.array_equal(decoded(audio)[0], plain)
