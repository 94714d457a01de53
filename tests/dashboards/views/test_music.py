import itertools
import json

import numpy as np
import pytest

from bench.music import Score
from bench.protocol.sampling import Prompt
from dashboards.views import music as music_view


def made(seed, notes=30, length=64):
    rng = np.random.default_rng(seed)
    return Score.from_notes(
        rng.integers(0, length, notes),
        rng.integers(1, 20, notes),
        rng.integers(40, 90, notes),
        length=length,
    )


PIECES = [made(seed) for seed in range(5)]


def test_distributions_count_what_counting_by_hand_gives():
    notes = [
        (int(o), int(d), int(p))
        for piece in PIECES
        for o, d, p in zip(piece.onset, piece.duration, piece.pitch, strict=True)
    ]
    classes = [sum(p % 12 == c for _, _, p in notes) / len(notes) for c in range(12)]
    assert music_view.pitch_classes(PIECES) == pytest.approx(classes)
    ends = [0, *music_view.DURATIONS, 10**9]
    bins = [sum(a < d <= b for _, d, _ in notes) / len(notes) for a, b in itertools.pairwise(ends)]
    assert music_view.durations(PIECES) == pytest.approx(bins)
    keys = [
        sum(o <= step < o + d for o, d in zip(piece.onset, piece.duration, strict=True))
        for piece in PIECES
        for step in range(piece.length)
    ]
    many = [np.mean([min(k, 7) == n for k in keys]) for n in range(8)]
    assert music_view.polyphony(PIECES) == pytest.approx(many)
    moves = []
    for piece in PIECES:
        tops = [max(piece.pitch[piece.onset == at]) for at in sorted(set(piece.onset.tolist()))]
        moves += [int(np.clip(b - a, -12, 12)) for a, b in itertools.pairwise(tops)]
    steps = [moves.count(n) / len(moves) for n in range(-12, 13)]
    assert music_view.intervals(PIECES) == pytest.approx(steps)


def test_durations_do_not_depend_on_the_grid():
    fine = [
        Score.from_notes(2 * p.onset, 2 * p.duration, p.pitch, length=2 * p.length, grid=8)
        for p in PIECES
    ]
    assert music_view.durations(fine) == pytest.approx(music_view.durations(PIECES))


@pytest.mark.parametrize("title", music_view.DISTRIBUTIONS)
def test_every_distribution_has_its_bins_and_silence_has_no_notes(title):
    count, bins, _ = music_view.DISTRIBUTIONS[title]
    assert len(count(PIECES)) == len(bins)
    assert count(PIECES).sum() == pytest.approx(1)
    assert len(count([Score.silence(16)])) == len(count([])) == len(bins)
    assert count([]).sum() == 0


def given(score, backward=False):
    return Prompt("piece", 0, score, Score.silence(64), backward)


def test_a_clip_is_the_prompt_and_then_the_sample():
    prompt, sample = made(1, length=16), made(2)
    clip = music_view.continued("x", given(prompt), sample)
    assert clip.prompt == 16
    assert clip.score.slice(16, 80) == sample
    assert music_view.continued("x", None, sample).score == sample
    assert music_view.continued("x", given(Score.silence(0)), sample).prompt == 0


def test_a_clip_of_a_backward_system_is_the_sample_and_then_the_ending():
    ending, sample = made(1, length=16), made(2)
    clip = music_view.continued("x", given(ending, backward=True), sample)
    assert clip.prompt == -16
    assert clip.score.slice(0, 64) == sample
    assert clip.score.slice(64, 80) == ending


def test_all_notes_lie_within_the_keys_shown():
    low, high = music_view.pitch_range(PIECES)
    assert all(low <= p.pitch.min() and p.pitch.max() <= high for p in PIECES)
    assert high - low >= 24
    for pitch in (21, 108):
        low, high = music_view.pitch_range([Score.from_notes([0], [1], [pitch])])
        assert 21 <= low <= pitch <= high <= 108
    assert music_view.pitch_range([Score.silence(4)]) == (48, 72)


def test_audio_is_made_once_and_kept_by_content(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    sound = music_view.audio(PIECES[0])
    kept = list(tmp_path.rglob("*.mp3"))
    assert len(kept) == 1
    assert kept[0].read_bytes() == sound
    monkeypatch.setattr(music_view, "render", None)  # would fail if it were called
    assert music_view.audio(PIECES[0]) == sound
    music_view.make_room(0)
    assert list(tmp_path.rglob("*.mp3")) == []


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "file"))
    assert music_view.audio(made(3, 3, 8))[:2] in (b"ID", b"\xff\xfb", b"\xff\xf3")


def test_the_player_gets_every_note_and_the_sound(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    clip = music_view.continued("</script>", given(made(1, length=16)), made(2))
    packed = music_view.payload(clip, (40, 90))
    size = int.from_bytes(packed[:4], "big")
    about = json.loads(packed[4 : 4 + size])
    assert about["label"] == "</script>"
    assert len(about["notes"]) == len(clip.score)
    assert about["prompt"] == 16
    assert packed[4 + size :] == music_view.audio(clip.score)
