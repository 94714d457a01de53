import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.music import MidiError, Score, from_midi, import_folder, to_midi

END = (0, b"\xff\x2f\x00")


def on(key, velocity=80, channel=0):
    return bytes([0x90 | channel, key, velocity])


def off(key, channel=0):
    return bytes([0x80 | channel, key, 0])


def number(value):
    out = [value & 127]
    while value := value >> 7:
        out.insert(0, value & 127 | 128)
    return bytes(out)


def track(*events):
    body = b"".join(number(delta) + event for delta, event in events)
    return b"MTrk" + struct.pack(">I", len(body)) + body


def midi(*tracks, form=1, division=480, announced=None):
    count = len(tracks) if announced is None else announced
    return b"MThd" + struct.pack(">IHHH", 6, form, count, division) + b"".join(tracks)


def tempo(microseconds):
    return b"\xff\x51\x03" + microseconds.to_bytes(3, "big")


NOTE = track((0, on(60)), (480, off(60)), END)
VALID = midi(NOTE)


@st.composite
def scores(draw):
    grid = draw(st.one_of(st.sampled_from([1, 2, 4, 8, 12, 24]), st.integers(1, 500)))
    note = st.tuples(
        st.integers(0, 3000), st.integers(1, 300), st.integers(21, 108), st.integers(1, 127)
    )
    columns = np.array(draw(st.lists(note, max_size=40)), dtype=np.int64).reshape(-1, 4).T
    score = Score.from_notes(*columns, grid=grid)
    return score.pad(score.length + draw(st.integers(0, 5000)))


def notes(score):
    return list(
        zip(
            score.onset.tolist(),
            score.duration.tolist(),
            score.pitch.tolist(),
            score.velocity.tolist(),
            strict=True,
        )
    )


# -- what we write comes back ---------------------------------------------------------------


@given(scores(), st.sampled_from([30, 97.3, 120, 480]))
@settings(max_examples=200, deadline=None)
def test_a_piece_comes_back_bit_equal(score, qpm):
    assert from_midi(to_midi(score, qpm)) == score


@pytest.mark.parametrize("score", [Score.silence(0), Score.silence(64), Score.silence(7, grid=12)])
def test_silence_comes_back_as_long_as_it_was(score):
    assert from_midi(to_midi(score)) == score


def test_another_grid_can_be_asked_of_our_own_files():
    score = Score.from_notes([0, 3], [1, 1], [60, 62], length=10, grid=4)
    finer = from_midi(to_midi(score), grid=8)
    assert notes(finer) == [(0, 2, 60, 80), (6, 2, 62, 80)]
    assert (finer.length, finer.grid) == (20, 8)
    assert from_midi(to_midi(score), grid=3).length == 8  # 7.5 steps, rounded up


def test_notes_beyond_the_length_our_marker_gives_make_the_piece_longer():
    marker = b"musicbench grid=4 length=2"
    edited = midi(
        track((0, b"\xff\x06" + number(len(marker)) + marker), (0, on(60)), (960, off(60)))
    )
    assert from_midi(edited).length == 8


@given(scores())
@settings(max_examples=25, deadline=None)
def test_mido_reads_the_notes_we_write(score):
    import mido

    file = mido.MidiFile(file=io.BytesIO(to_midi(score, 97)))
    now, held, played = 0, {}, []
    for message in file.tracks[0]:
        now += message.time
        if message.type == "note_on":
            assert message.note not in held  # released before it is struck again
            held[message.note] = now, message.velocity
        elif message.type == "note_off":
            began, velocity = held.pop(message.note)
            played.append((began, now - began, message.note, velocity))
    step = file.ticks_per_beat // score.grid
    assert file.ticks_per_beat == step * score.grid
    assert sorted(played) == sorted((o * step, d * step, p, v) for o, d, p, v in notes(score))
    assert now == score.length * step
    assert not held


@given(scores())
@settings(max_examples=25, deadline=None)
def test_pretty_midi_reads_the_times_we_write(score):
    import pretty_midi

    file = pretty_midi.PrettyMIDI(io.BytesIO(to_midi(score, 90)))
    times = sorted((n.start, n.end, n.pitch, n.velocity) for i in file.instruments for n in i.notes)
    step = 60 / 90 / score.grid
    expected = sorted((o * step, (o + d) * step, p, v) for o, d, p, v in notes(score))
    assert np.allclose(np.array(times), np.array(expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("score", "qpm", "message"),
    [
        (Score.silence(4), 0, "tempo"),
        (Score.silence(4), float("nan"), "tempo"),
        (Score.silence(4), 1, "tempo"),
        (Score.silence(4, grid=40_000), 120, "grid"),
        (Score.silence(2_000_000), 120, "too long"),
    ],
)
def test_what_midi_cannot_hold_is_refused(score, qpm, message):
    with pytest.raises(MidiError, match=message):
        to_midi(score, qpm)


# -- files of others ------------------------------------------------------------------------


def messy(seed, tracks=3):
    """A file with everything: several tracks and channels, drums, running status, overlaps."""
    rng = np.random.default_rng(seed)
    written = []
    for _ in range(tracks):
        events = [(0, tempo(int(rng.integers(200_000, 900_000))))]
        for _event in range(200):
            channel = int(rng.choice([0, 1, 9]))
            key, delta = int(rng.integers(15, 115)), int(rng.choice([0, 0, 37, 120, 240]))
            kind = rng.integers(6)
            if kind < 3:
                events.append((delta, on(key, int(rng.integers(0, 128)), channel)))
            elif kind < 5:
                events.append((delta, off(key, channel)))
            else:
                events.append((delta, tempo(int(rng.integers(200_000, 900_000)))))
        events += [(10, b"\xb0\x40\x7f"), (0, b"\xe0\x00\x40"), (0, b"\xc0\x05"), END]
        written.append(track(*events))
    return midi(*written)


@pytest.mark.parametrize("seed", range(20))
def test_symusic_reads_the_same_notes(seed):
    assert same_notes_in_symusic(messy(seed)).drums > 0


def test_symusic_reads_the_same_notes_in_recorded_music():
    folder = Path(os.environ.get("BENCH_DATA_DIR", "missing"))
    files = sorted(folder.rglob("*.mid"))[::100]
    if not files:
        pytest.skip("needs MIDI files below BENCH_DATA_DIR")
    for file in files:
        assert len(same_notes_in_symusic(file.read_bytes()).onset) > 0
        score = from_midi(file)
        assert from_midi(to_midi(score)) == score


def same_notes_in_symusic(data):
    from symusic import core

    from bench.music.smf import parse

    ours, theirs = parse(data), core.ScoreTick.from_midi(data)
    expected = [
        (note.time, note.time + note.duration, note.pitch, note.velocity)
        for part in theirs.tracks
        if not part.is_drum
        for note in part.notes
    ]
    notes = zip(ours.onset, ours.end, ours.pitch, ours.velocity, strict=True)
    assert sorted(notes) == sorted(expected)
    return ours


@pytest.mark.parametrize("seed", range(5))
def test_seconds_follow_every_tempo_change_as_in_pretty_midi(seed):
    import pretty_midi

    from bench.music.smf import parse

    # pretty_midi takes the tempo from the first track alone.
    file = parse(messy(seed, tracks=1))
    theirs = pretty_midi.PrettyMIDI(io.BytesIO(messy(seed, tracks=1)))
    ticks = np.sort(np.concatenate([file.onset, file.end]))
    assert len(file.tempo) > 10
    assert np.allclose(file.seconds(ticks), [theirs.tick_to_time(int(t)) for t in ticks])


def test_tempo_changes_in_any_track_hold_for_all():
    slow = track((480, tempo(1_000_000)), END)
    late = track((960, on(60)), (480, off(60)), END)
    score = from_midi(midi(late, slow), clock="seconds", seconds_per_step=0.5)
    assert notes(score) == [(3, 2, 60, 80)]  # 0.5 s and 1 s before it, 1 s long


def test_beats_do_not_depend_on_tempo_or_metre():
    metre = b"\xff\x58\x04\x03\x02\x18\x08"
    changes = track((0, tempo(300_000)), (100, metre), (100, tempo(900_000)), END)
    assert from_midi(midi(changes, NOTE)) == from_midi(VALID)


def test_times_go_to_the_nearest_step_and_every_note_has_one():
    data = midi(
        track((59, on(60)), (1, on(62)), (1, off(60)), (58, on(64)), (2, off(64)), (60, off(62)))
    )
    assert notes(from_midi(data)) == [(0, 1, 60, 80), (1, 1, 62, 80), (1, 1, 64, 80)]


def test_a_note_of_no_length_gets_one_step():
    assert notes(from_midi(midi(track((0, on(60)), (0, off(60)), END)))) == [(0, 1, 60, 80)]


def test_a_release_ends_the_oldest_note_held_and_a_new_stroke_cuts_it():
    data = midi(track((0, on(60)), (480, on(60, 90)), (120, off(60)), (120, off(60)), END))
    assert notes(from_midi(data)) == [(0, 4, 60, 80), (4, 2, 60, 90)]


def test_a_note_never_released_is_left_out():
    data = midi(track((0, on(60)), (480, on(64)), (480, off(64)), END))
    assert notes(from_midi(data)) == [(4, 4, 64, 80)]


def test_tracks_are_merged_and_drums_and_foreign_keys_dropped():
    drums = track((0, on(40, channel=9)), (4800, off(40, channel=9)), END)
    low = track((0, on(20)), (9600, off(20)), (0, on(64)), (480, off(64)), END)
    assert notes(from_midi(midi(NOTE, drums, NOTE, low))) == [(0, 4, 60, 80), (80, 4, 64, 80)]


def test_keys_above_a_signed_byte_do_not_wrap():
    score = from_midi(midi(track((0, on(108)), (480, off(108)), END)))
    assert score.transpose(-87).pitch.tolist() == [21]


def test_the_piece_ends_with_its_last_note_rounded_up_to_a_quarter():
    data = midi(track((0, on(60)), (500, off(60)), (4800, b"\xff\x2f\x00")))
    assert from_midi(data).length == 4  # 500 ticks are 4 steps
    assert from_midi(data, grid=24).length == 48  # and 25 of 24 in the quarter


def test_running_status_is_read_and_system_exclusive_and_unknown_chunks_are_skipped():
    body = b"\x00\xf0\x03abc\x00\x90\x3c\x50\x00\xff\x01\x02hi\x83\x60\x3c\x00\x00\xff\x2f\x00"
    chunk = b"MTrk" + struct.pack(">I", len(body)) + body
    extra = b"XFIH" + struct.pack(">I", 2) + b"ab"
    data = midi(extra, chunk, announced=1) + b"junk"
    assert from_midi(data) == from_midi(VALID)


def test_an_impossible_tempo_is_ignored():
    data = midi(track((0, tempo(0)), (0, b"\xff\x51\x01\x00"), (0, on(60)), (480, off(60)), END))
    assert notes(from_midi(data, clock="seconds", seconds_per_step=0.125)) == [(0, 4, 60, 80)]


def test_film_frames_are_read_by_the_clock_only():
    data = midi(track((0, on(60)), (1000, off(60)), END), division=(0x100 - 25) << 8 | 40)
    assert notes(from_midi(data, clock="seconds", seconds_per_step=0.25)) == [(0, 4, 60, 80)]
    with pytest.raises(MidiError, match="clock='seconds'"):
        from_midi(data)


def test_a_single_sequence_of_format_2_is_a_piece():
    assert from_midi(midi(NOTE, form=2)) == from_midi(VALID)


def test_two_hundred_thousand_notes_are_read():
    events = [e for key in range(60, 80) for e in ((120, on(key)), (120, off(key)))] * 10_000
    score = from_midi(midi(track(*events, END)))
    assert len(score) == 200_000
    assert score.length == 400_000


# -- music played without a metronome ---------------------------------------------------------


def played(seconds, qpm=120):
    """A file with one note of 0.1 seconds at each time."""
    ticks = np.round(np.asarray(seconds) * qpm / 60 * 480).astype(int)
    events, now = [], 0
    for at in ticks.tolist():
        events += [(at - now, on(60)), (qpm * 480 // 600, off(60))]
        now = at + qpm * 480 // 600
    return midi(track((0, tempo(60_000_000 // qpm)), *events, END))


def test_beat_times_put_free_playing_on_the_grid():
    beats = np.array([0.5, 1.2, 1.8, 2.9, 3.5])
    played_at = np.interp(np.arange(16) / 4, np.arange(5), beats)  # every sixteenth
    score = from_midi(played(played_at, qpm=100), beats=beats)
    assert score.onset.tolist() == list(range(16))


def test_beyond_the_outer_beats_time_goes_on_as_between_the_nearest():
    score = from_midi(played([0.0, 0.25, 0.5, 1.0, 3.0]), beats=[0.25, 0.5, 1.5])
    assert score.onset.tolist() == [0, 4, 6, 14]  # the first comes before the first beat


def test_a_clock_counts_steps_of_seconds_whatever_the_tempo():
    seconds = [0.0, 0.26, 0.5, 1.93]
    scores = {from_midi(played(seconds, qpm), clock="seconds") for qpm in (60, 100, 150)}
    assert [score.onset.tolist() for score in scores] == [[0, 2, 4, 15]]


@pytest.mark.parametrize(
    "beats", [[], [1.0], [1.0, 1.0], [2.0, 1.0], [0.0, float("nan")], [[0, 1]]]
)
def test_invalid_beats_are_refused(beats):
    with pytest.raises(ValueError, match="ascending"):
        from_midi(VALID, beats=beats)


# -- broken files -----------------------------------------------------------------------------

BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"hello, this is not music at all", "no MIDI file"),
    "another file's header": (b"RIFF" + bytes(40), "RIFF"),
    "half a header": (VALID[:10], "truncated"),
    "cut in the track": (VALID[:-6], "truncated: 6 bytes"),
    "cut between tracks": (midi(NOTE, announced=2), "1 of the 2 tracks"),
    "no tracks": (midi(), "no notes"),
    "no notes": (midi(track(END)), "no notes"),
    "drums only": (midi(track((0, on(40, channel=9)), (9, off(40, channel=9)), END)), "1 drum"),
    "no key of a piano": (midi(track((0, on(12)), (9, off(12)), END)), "1 others"),
    "only a note never released": (midi(track((0, on(60)), END)), "no notes"),
    "several pieces in one": (midi(NOTE, NOTE, form=2), "2 separate pieces"),
    "unknown format": (midi(NOTE, form=7), "format 7"),
    "no ticks in a quarter": (midi(NOTE, division=0), "0 ticks"),
    "impossible division": (midi(NOTE, division=0x8000), "0x8000"),
    "a track longer than the file": (midi(b"MTrk\xff\xff\xff\xff\x00\x90"), "truncated"),
    "an event cut short": (midi(track((0, b"\x90\x3c"))), "track 1 breaks off"),
    "text longer than its track": (midi(track((0, b"\xff\x01\xff\xff\xff\x7fab"))), "breaks off"),
    "a number without end": (
        midi(track((0, on(60)), (0, b"\xff\x01\xff\xff\xff\xff\x7f"))),
        "4 bytes",
    ),
    "data before any event": (midi(track((0, b"\x3c\x50"))), "before any event, at byte"),
    "a key above 127": (midi(track((0, b"\x90\xbc\x50"))), "above 0x7f"),
    "an event that is none": (midi(track((0, b"\xf4"))), "0xf4"),
    "hours of nothing": (midi(track((0x0FFFFFFF, on(60)), (9, off(60)), END)), "2236962 steps"),
    "times beyond 32 bits": (
        midi(track(*[(0x0FFFFFFF, on(60)), (0x0FFFFFFF, off(60))] * 20, END)),
        "steps long",
    ),
    "a marker with an absurd length": (
        midi(track((0, b"\xff\x06\x22musicbench grid=4 length=999999999"), END)),
        "999999999 steps",
    ),
}


@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_gives_one_error_that_names_it_and_the_reason(data, message, tmp_path):
    file = tmp_path / "broken.mid"
    file.write_bytes(data)
    with pytest.raises(MidiError, match=message) as error:
        from_midi(file)
    assert str(file) in str(error.value)
    with pytest.raises(MidiError, match="upload 7: "):
        from_midi(data, name="upload 7")


def test_a_folder_and_a_missing_file_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "missing.mid"):
        with pytest.raises(MidiError, match="cannot be read") as error:
            from_midi(path)
        assert str(path) in str(error.value)


def fuzzed(seed, count):
    """Valid files with bytes changed, cut out, doubled or cut off."""
    rng = np.random.default_rng(seed)
    originals = [messy(seed, tracks=2), to_midi(Score.from_notes([0, 3], [2, 9], [60, 72]))]
    for index in range(count):
        data = bytearray(originals[index % 2])
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(len(data)))
            match rng.integers(8):
                case 0:
                    del data[at : at + int(rng.integers(1, 9))]
                case 1:
                    data[at:at] = data[at : at + int(rng.integers(1, 9))]
                case 2:
                    data[at] = rng.integers(256)
                case _:
                    data[at] ^= 1 << int(rng.integers(8))
        yield bytes(data[: rng.integers(1, len(data))] if rng.random() < 0.1 else data)


@pytest.mark.parametrize("clock", ["beats", "seconds"])
def test_mutated_files_give_a_piece_or_one_error(clock):
    read = 0
    for data in fuzzed(seed=1, count=500):
        try:
            read += len(from_midi(data, clock=clock)) > 0
        except MidiError as error:
            assert str(error).startswith("MIDI data: ")  # noqa: PT017
    assert read > 100


# -- folders ----------------------------------------------------------------------------------


def test_a_folder_gives_its_pieces_in_order_and_goes_on_past_bad_files(tmp_path):
    for name, data in {
        "b.MID": VALID,
        "a/deep/c.midi": VALID,
        "a/bad.mid": b"text",
        "B/x.y.mid": VALID,
        "b.midi": VALID,
        "notes.txt": b"text",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.mid").mkdir()
    seen = []
    pieces, left_out = import_folder(
        tmp_path, progress=lambda done, all_: seen.append((done, all_))
    )
    assert list(pieces) == ["B/x.y", "a/deep/c", "b"]
    assert set(pieces.values()) == {from_midi(VALID)}
    assert [left.file.relative_to(tmp_path).as_posix() for left in left_out] == [
        "a/bad.mid",
        "b.midi",
    ]
    assert "a/bad.mid: this is no MIDI file" in left_out[0].reason
    assert "already gave the piece 'b'" in left_out[1].reason
    assert seen == [(n, 5) for n in range(1, 6)]


def test_options_of_reading_reach_the_files_of_a_folder(tmp_path):
    (tmp_path / "a.mid").write_bytes(VALID)
    assert import_folder(tmp_path, grid=12)[0]["a"].grid == 12


@pytest.mark.parametrize(
    ("option", "value"), [("grid", 0), ("seconds_per_step", 0.0), ("clock", "bars")]
)
def test_an_impossible_option_is_named(option, value):
    with pytest.raises(ValueError, match=option):
        from_midi(VALID, **{option: value})


def test_no_folder_is_an_error(tmp_path):
    with pytest.raises(MidiError, match="no folder"):
        import_folder(tmp_path / "missing")


def test_an_empty_folder_gives_nothing(tmp_path):
    assert import_folder(tmp_path) == ({}, [])
