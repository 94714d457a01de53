"""How fast MIDI files are read, compared with other libraries: the same files, the same notes."""

import numpy as np
import pytest

from bench.encodings import remi
from bench.music import Score, from_midi, to_midi

FILES = "50 files of about 500 notes"


@pytest.fixture(scope="module")
def pieces():
    rng = np.random.default_rng(0)
    return [
        Score.from_notes(
            rng.integers(0, 1000, 500),
            rng.integers(1, 9, 500),
            rng.integers(36, 90, 500),
            rng.choice(remi.VELOCITIES, 500),
        )
        for _ in range(50)
    ]


@pytest.fixture(scope="module")
def files(pieces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("midi")
    paths = [folder / f"{number}.mid" for number in range(len(pieces))]
    for path, piece in zip(paths, pieces, strict=True):
        path.write_bytes(to_midi(piece))
    return paths


def by_mido(path):
    import mido

    now, held, notes = 0, {}, []
    (track,) = mido.MidiFile(path).tracks
    for message in track:
        now += message.time
        if message.type == "note_on" and message.velocity:
            held[message.note] = now, message.velocity
        elif message.type in ("note_on", "note_off"):
            began, velocity = held.pop(message.note)
            notes.append((began, now - began, message.note, velocity))
    return np.array(notes) // [120, 120, 1, 1]


def by_muspy(path):
    import muspy

    (track,) = muspy.read_midi(path).tracks
    notes = [(note.time, note.duration, note.pitch, note.velocity) for note in track.notes]
    return np.array(notes) // [120, 120, 1, 1]


def by_pretty_midi(path):
    import pretty_midi

    (piano,) = pretty_midi.PrettyMIDI(str(path)).instruments
    notes = [(note.start, note.end, note.pitch, note.velocity) for note in piano.notes]
    start, end, pitch, velocity = np.array(notes).T  # seconds; a step is an eighth of one
    start, end = np.rint(8 * start), np.rint(8 * end)
    return np.stack([start, end - start, pitch, velocity], axis=1).astype(int)


def by_symusic(path):
    import symusic

    (track,) = symusic.Score(path).tracks
    notes = track.notes.numpy()
    columns = [notes[name] for name in ("time", "duration", "pitch", "velocity")]
    return np.stack(columns, axis=1) // [120, 120, 1, 1]


PEERS = [by_mido, by_muspy, by_pretty_midi, by_symusic]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.__name__)
def test_reading_files_against(peer, pieces, files, seconds, measured):
    library = peer.__name__.removeprefix("by_")
    pytest.importorskip(library)
    for piece, path in zip(pieces, files, strict=True):
        assert from_midi(path) == piece
        assert Score.from_notes(*peer(path).T) == piece
    ours, theirs = seconds(
        lambda: [from_midi(path) for path in files], lambda: [peer(path) for path in files]
    )
    measured(
        "MIDI import",
        "a file to notes on a grid, checked",
        size=FILES,
        against=f"{library}, in C++ and unchecked" if library == "symusic" else library,
        ours=ours,
        theirs=theirs,
    )


def test_reading_files_as_remi_against_miditok(files, seconds, measured):
    miditok = pytest.importorskip("miditok")
    peer = miditok.REMI(
        miditok.TokenizerConfig(
            pitch_range=(21, 108),
            beat_res={(0, 4): 8, (4, 12): 4},
            num_velocities=32,
            use_time_signatures=False,
            use_pitchdrum_tokens=False,
        )
    )

    def ours(path):
        return remi.encode(from_midi(path))

    def theirs(path):
        return peer(path)[0]

    for path in files:
        tokens = ours(path)
        tokens = tokens[: np.flatnonzero(tokens != remi.BAR)[-1] + 1]  # miditok ends with a note
        assert len(tokens) == len(theirs(path).tokens)
    took, other = seconds(
        lambda: [ours(path) for path in files], lambda: [theirs(path) for path in files]
    )
    measured(
        "MIDI import",
        "a file to REMI tokens",
        size=FILES,
        against="miditok, on symusic in C++",
        ours=took,
        theirs=other,
    )
