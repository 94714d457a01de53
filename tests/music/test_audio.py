import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.music import AudioError, Score, encode, normalise, render, soundfont
from bench.music.audio import RATE, TAIL
from bench.music.soundfont import piano


def decibels(samples):
    return 20 * np.log10(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def melody(notes=32, grid=4):
    return Score.from_notes(
        np.arange(notes) * 2, [2] * notes, 60 + np.arange(notes) % 12, grid=grid
    )


@pytest.fixture(scope="module")
def rendered():
    return render(melody(), qpm=100)[0]


def test_the_soundfont_comes_with_an_installed_package():
    assert soundfont().stat().st_size > 5_000_000


@pytest.mark.parametrize("content", [b"", b"RIFF\0\0\0\0sfbk", b"RIFF" + bytes(400)])
def test_a_broken_soundfont_says_which(content, tmp_path):
    (tmp_path / "a.sf2").write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.sf2 cannot be played"):
        piano(tmp_path / "a.sf2")


def test_a_missing_soundfont_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AudioError, match="pip install"):
        soundfont()


def test_a_piece_can_be_heard(rendered):
    assert rendered.dtype == np.float32
    assert rendered.shape[1] == 2
    assert decibels(rendered) > -60
    assert 0.05 < np.abs(rendered).max() < 1


@pytest.mark.parametrize(("length", "grid", "qpm"), [(64, 4, 120), (65, 4, 97.3), (30, 12, 61)])
def test_it_lasts_as_long_as_the_piece_and_its_tail(length, grid, qpm):
    for score in (melody(4, grid).pad(length), Score.silence(length, grid)):
        samples, rate = render(score, qpm)
        assert len(samples) / rate == pytest.approx(length / grid * 60 / qpm + TAIL, abs=1e-4)


def test_silence_is_silent():
    assert not render(Score.silence(16))[0].any()
    assert len(render(Score.silence(0))[0]) == round(TAIL * RATE)


def test_the_same_piece_gives_the_same_bits(rendered):
    assert np.array_equal(render(melody(), qpm=100)[0], rendered)
    other_process = (
        "import sys; from bench.music import Score, render; import numpy as np;"
        "n = 32; s = Score.from_notes(np.arange(n) * 2, [2] * n, 60 + np.arange(n) % 12);"
        "sys.stdout.buffer.write(render(s, qpm=100)[0].tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", other_process], capture_output=True, check=True)
    assert done.stdout == rendered.tobytes()


def test_every_key_sounds_in_tune():
    size = 1 << 18
    for pitch in range(21, 109):
        sound = render(Score.from_notes([0], [16], [pitch]))[0][2000:, 0]
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), size))
        frequency = 440 * 2 ** ((pitch - 69) / 12) * size / RATE
        semitone = slice(round(frequency / 1.03), round(frequency * 1.03) + 1)
        strongest = semitone.start + np.argmax(spectrum[semitone])
        assert abs(1200 * np.log2(strongest / frequency)) < 12  # cents
        assert spectrum[strongest] > 0.7 * spectrum.max()  # the fundamental, not an overtone


@pytest.mark.parametrize("step", [0, 7, 100])
def test_notes_begin_and_end_on_their_steps(step):
    def level(duration):
        score = Score.from_notes([step], [duration], [72], length=step + 40)
        return np.abs(render(score, qpm=97)[0][:, 0])

    short, long = level(4), level(8)
    begin, end = (round(at * 60 / 97 / 4 * RATE) for at in (step, step + 4))
    assert np.nonzero(long)[0][0] == pytest.approx(begin, abs=0.002 * RATE)
    assert np.array_equal(short[:end], long[:end])
    window = slice(end + RATE // 5, end + RATE // 4)
    assert decibels(short[window]) < decibels(long[window]) - 15


@pytest.mark.parametrize("pitch", [21, 40, 60, 80, 108])
def test_a_held_note_fades_as_on_a_piano(pitch):
    sound = render(Score.from_notes([0], [32], [pitch]))[0]
    first, last = (decibels(sound[at * RATE : (at + 1) * RATE]) for at in (0, 3))
    assert -60 < last - first < -3


def test_it_begins_and_ends_without_a_click():
    samples = render(Score.from_notes([0, 0], [16, 16], [21, 108]))[0]
    assert not samples[0].any()
    assert np.abs(samples[:5]).max() < 1e-3
    assert np.abs(samples[-20:]).max() < 1e-3


def test_the_last_note_dies_away_instead_of_stopping():
    sound = render(Score.from_notes([0], [4], [48]))[0][round(0.5 * RATE) :]
    levels = [decibels(sound[at : at + 2205]) for at in range(0, 22050, 2205)]
    assert levels[0] > -45
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] < -70


def test_velocities_are_not_heard():
    soft, loud = (Score.from_notes([0], [4], [60], [velocity]) for velocity in (10, 120))
    assert np.array_equal(render(soft)[0], render(loud)[0])


def test_every_key_at_once_does_not_clip_once_normalised():
    samples, rate = render(Score.from_notes([0] * 88, [8] * 88, range(21, 109)))
    assert np.abs(normalise(samples, rate=rate)).max() <= 10 ** (-1 / 20)


@pytest.mark.parametrize("qpm", [0, -1, float("nan"), float("inf")])
def test_an_impossible_tempo_is_refused(qpm):
    with pytest.raises(AudioError, match="tempo"):
        render(melody(), qpm)


def test_hours_of_music_are_refused():
    with pytest.raises(AudioError, match="excerpt"):
        render(Score.silence(100_000))


@pytest.mark.parametrize("format_", ["wav", "flac", "mp3", "ogg"])
def test_an_encoded_file_decodes_to_the_same_music(format_, rendered):
    samples = normalise(rendered)
    decoded, rate = soundfile.read(io.BytesIO(encode(samples, RATE, format_)), dtype="float32")
    assert (decoded.shape, rate) == (samples.shape, RATE)
    limit = -90 if format_ in ("wav", "flac") else -40
    assert decibels(decoded - samples) < limit


@pytest.mark.parametrize("format_", ["wav", "flac", "mp3"])
def test_encoding_twice_gives_the_same_bytes(format_, rendered):
    assert encode(rendered, RATE, format_) == encode(rendered, RATE, format_)


def mp3_rates(data):
    """kbit/s of every frame (MPEG-1, layer III)."""
    table = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    at, rates = 0, []
    while at + 4 <= len(data):
        assert data[at] == 0xFF
        assert data[at + 1] & 0xFE == 0xFA
        rates.append(table[data[at + 2] >> 4])
        at += 144_000 * rates[-1] // RATE + (data[at + 2] >> 1 & 1)
    return rates


def test_mp3_has_a_constant_rate(rendered):
    padded = np.concatenate([rendered, np.zeros_like(rendered)])  # silence tempts a variable one
    assert set(mp3_rates(encode(padded, RATE, "mp3"))) == {160}


def test_minutes_of_ogg_are_encoded_without_a_crash():
    samples = np.zeros((RATE * 120, 2), dtype=np.float32)
    samples[:, 0] = 0.1 * np.sin(np.arange(len(samples)) / 20)
    assert len(encode(samples, RATE, "ogg")) > 10_000


@pytest.mark.parametrize("format_", ["wav", "flac", "mp3", "ogg"])
@pytest.mark.parametrize("frames", [0, 1, 100])
def test_very_short_audio_can_be_encoded(format_, frames):
    data = encode(np.zeros((frames, 2), dtype=np.float32), RATE, format_)
    assert len(data) > 0 or frames == 0


def test_an_unknown_format_is_refused():
    with pytest.raises(AudioError, match="wav, flac"):
        encode(np.zeros((8, 2), dtype=np.float32), RATE, "aac")


def test_importing_bench_music_loads_none_of_the_heavy_libraries():
    heavy = [
        "symusic",
        "scipy",
        "muspy",
        "soundfile",
        "music21",
        "pretty_midi",
        "torch",
        "pandas",
        "mido",
    ]
    modules = "bench.music, bench.music.key, bench.music.muspy_music"
    code = f"import {modules}, sys; print([m for m in {heavy} if m in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=root
    )
    assert done.stdout.strip() == "[]"
