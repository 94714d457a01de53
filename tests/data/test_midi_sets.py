from __future__ import annotations

import csv

import numpy as np
import pytest

import bench.data
from bench import registry
from bench.data import midi_sets
from bench.data.audit import audit
from bench.data.manifest import read_manifest
from bench.data.pin import make
from bench.errors import BenchError
from bench.music import Score, to_midi

COUNTS = {
    "nottingham-score": (694, 173, 170),
    "piano-midi-score": (87, 12, 25),
    "pop909": (635, 137, 136),
    "jazz": (98, 22, 21),
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_set_loads_as_pinned(name, real_data):
    data = bench.data.load(name)
    assert tuple(len(data.split(split)) for split in bench.data.SPLITS) == COUNTS[name]
    again = bench.data.load(name)
    assert again.fingerprint == data.fingerprint == bench.data.describe(name).fingerprint


@pytest.mark.parametrize(
    "name",
    [
        "jsb",
        "jazz",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ("nottingham-score", "piano-midi-score", "pop909")
        ),
    ],
)
def test_its_manifest_can_be_made_again(name, real_data):
    source = registry.datasets()[name]
    assert make(source, source.read(real_data, None)) == read_manifest(source.manifest)


@pytest.mark.parametrize("name", ["pop909", "jazz"])
def test_splits_of_our_own_share_next_to_nothing(name, real_data):
    result = audit(bench.data.load(name))
    assert not result.leaks
    assert not result.equal
    assert max(result.mean.values()) < 0.001


def test_the_splits_of_2012_are_kept_with_their_repeats():
    nottingham = read_manifest(midi_sets.NOTTINGHAM_SCORE.manifest)
    assert nottingham.known_duplicates == (
        ("train/jigs_simple_chords_134", "valid/jigs_simple_chords_136"),
    )
    assert read_manifest(midi_sets.PIANO_MIDI_SCORE.manifest).known_duplicates == ()


def test_pieces_of_2012_are_those_of_the_piano_rolls(real_data):
    # The rolls are transposed, begin an eighth later and have half the resolution; laid over
    # each other, most of what sounds must agree.
    scores, rolls = bench.data.load("nottingham-score"), bench.data.load("nottingham")
    with (real_data / "nottingham_midi" / "mat_to_midi.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"][:40]
    agreement = []
    for row in rows:
        score = scores.pieces[f"test/{row['midi_file'].removesuffix('.mid')}"]
        other = rolls.pieces[f"test-{int(row['mat_index']):03}"].sounding()
        ours = score.transpose(int(row["transposition"])).sounding()[::2]
        ours = ours[int(row["frame_offset"]) :][: len(other)]
        agreement.append((ours == other[: len(ours)]).all(axis=1).mean())
    assert np.median(agreement) > 0.97


def pop_song(folder, beats, onsets):
    """A song at 120 quarters per minute in its file: a step lasts an eighth of a second."""
    folder.mkdir(parents=True)
    notes = Score.from_notes(onsets, [2] * len(onsets), [60] * len(onsets))
    (folder / "001.mid").write_bytes(to_midi(notes))
    (folder / "beat_midi.txt").write_text("".join(f"{t} {a} {b}\n" for t, a, b in beats))
    return folder / "001.mid"


def test_a_pop_song_lies_on_its_beats_with_bars_on_its_downbeats(tmp_path):
    # Beats every 0.75 s from 0.25 s; the third is the first downbeat.
    beats = [(0.25 + 0.75 * i, 0, float(i % 4 == 2)) for i in range(12)]
    song = midi_sets.by_beats(pop_song(tmp_path / "001", beats, [2, 8, 14, 20, 26, 32]))
    # Two beats come before the first, so the downbeat at 1.75 s = file step 14 is step 16.
    assert list(song.onset) == [8, 12, 16, 20, 24, 28]


def test_a_pop_song_without_its_beats_names_the_file(tmp_path):
    path = pop_song(tmp_path / "pop909" / "001", [(0, 0, 0)], [0])
    with pytest.raises(BenchError, match=r"001 cannot be read: .*beat_midi\.txt"):
        midi_sets.POP909.read(tmp_path, ["001"])
    path.with_name("beat_midi.txt").unlink()
    with pytest.raises(BenchError, match=r"001 cannot be read: .*beat_midi\.txt"):
        midi_sets.POP909.read(tmp_path, ["001"])


def test_jazz_keeps_the_time_it_was_played_in(tmp_path):
    path = tmp_path / "a.mid"
    path.write_bytes(to_midi(Score.from_notes([0, 3, 9], [3, 6, 1], [60, 62, 64]), qpm=60))
    # At 60 quarters a minute a sixteenth lasts a quarter of a second: two steps.
    assert list(midi_sets.in_time(path).onset) == [0, 6, 18]


def test_a_clone_of_the_repository_is_found_as_well(tmp_path):
    for place, source in [
        ("POP909-Dataset/POP909/001/001.mid", midi_sets.POP909),
        ("Jazz-Piano-Generative-LSTM/LSTM/jazz/AutumnLeaves.mid", midi_sets.JAZZ),
    ]:
        assert source.find(tmp_path) is None
        assert place.split("/")[0] in source.obtain
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_bytes(b"")
        assert source.find(tmp_path)


def test_pieces_beside_those_of_the_manifest_do_no_harm(real_data, tmp_path):
    folder = tmp_path / "jazz_piano"
    folder.mkdir()
    for path in (real_data / "jazz_piano").glob("*.[mM][iI][dD]"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "ZZ mine.mid").write_bytes(b"broken")
    assert len(bench.data.load("jazz", tmp_path).pieces) == sum(COUNTS["jazz"])
    (folder / "ARemark.mid").write_bytes((folder / "AHouseis.mid").read_bytes())
    with pytest.raises(BenchError, match="jazz: ARemark differs"):
        bench.data.verify("jazz", tmp_path)


def test_all_sets_are_registered():
    assert set(COUNTS) <= set(registry.datasets())
