"""Pieces from the installed music21 corpus, read by several processes at once.

Each process is `python -P -m bench.data.corpus`: it reads file names from its standard input and
writes one line of JSON per file. So nothing is forked (torch's threads would not survive a fork),
nothing is unpickled, and the caller's script is not run again.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path
from queue import Queue
from typing import Any, TypedDict

from bench.data.progress_bar import progress_bar
from bench.errors import BenchError
from bench.music import GRID, Score

PROCESSES = 16  # at most: each takes about 150 MB


class PieceLine(TypedDict):
    """A piece as a process writes it."""

    id: str
    parts: int
    notes: list[tuple[int, int, int]]  # onset, end, pitch
    length: int
    lost: int


class FileLine(TypedDict, total=False):
    """What a process writes about a file: its pieces, or the error that it met."""

    file: str
    pieces: list[PieceLine]
    error: str


def corpus_dir() -> Path | None:
    """The folder of music21's corpus, without importing music21; none where it is not installed."""
    spec = importlib.util.find_spec("music21")
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = Path(folders[0]) / "corpus" if folders else None
    return path if path and path.is_dir() else None


@dataclass(frozen=True)
class CorpusPiece:
    """A piece of the corpus, and the facts by which a data set selects it."""

    id: str  # the file's name without suffix, and a number where the file holds several pieces
    collection: str  # the folder of the corpus that holds the file
    parts: int
    score: Score
    lost: int  # notes for which the grid has no room


def read_files(title: str, files: Sequence[Path], jobs: int | None = None) -> list[CorpusPiece]:
    """Every piece of the files, in their order; a progress bar with this title is shown."""
    jobs = max(1, min(jobs or _cores(), PROCESSES, len(files)))
    lines: dict[str, list[PieceLine]] = {}
    sizes = {str(file): file.stat().st_size if file.exists() else 0 for file in files}
    by_size = sorted(files, key=lambda file: -sizes[str(file)])
    with progress_bar(title, sum(sizes.values())) as show:
        for line in _lines([by_size[i::jobs] for i in range(jobs)]):
            if "error" in line:
                raise BenchError(f"music21 cannot read {line['file']}: {line['error']}")
            lines[line["file"]] = line["pieces"]
            show(sum(sizes[file] for file in lines))
    return [_read(file, piece) for file in files for piece in lines[str(file)]]


def _cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read(file: Path, line: PieceLine) -> CorpusPiece:
    onset, end, pitch = zip(*line["notes"], strict=True) if line["notes"] else ((), (), ())
    duration = [stop - start for start, stop in zip(onset, end, strict=True)]
    score = Score.from_notes(onset, duration, pitch, length=line["length"], grid=GRID)
    return CorpusPiece(line["id"], file.parent.name, line["parts"], score, line["lost"])


def _lines(shares: Sequence[Sequence[Path]]) -> Iterator[FileLine]:
    """The lines of one process per share of the files, as they arrive."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    queue: Queue[FileLine | None] = Queue()
    running = []
    try:
        for share in shares:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bench.data.corpus"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
                text=True,
                encoding="utf-8",
            )
            running.append(process)
            threading.Thread(target=_collect, args=(process, share, queue), daemon=True).start()
        for _ in shares:
            while (line := queue.get()) is not None:
                yield line
    finally:
        for process in running:
            process.kill()
            process.wait()


def _collect(
    process: subprocess.Popen[str], share: Sequence[Path], queue: Queue[FileLine | None]
) -> None:
    """Give a process its files, and put its lines into the queue; none ends them."""
    left = [str(file) for file in share]
    try:
        # A process that dies leaves a broken pipe, or a part of a line.
        with contextlib.suppress(BrokenPipeError, ValueError):
            if process.stdin and process.stdout:
                process.stdin.write(json.dumps(left))
                process.stdin.close()
                for text in process.stdout:
                    line = json.loads(text)
                    left.remove(line["file"])
                    queue.put(line)
        if left:
            queue.put({"file": left[0], "error": "the process that read it died"})
    finally:
        queue.put(None)


# -- in the process that reads ---------------------------------------------------------------------


def _main() -> None:
    lines, sys.stdout = sys.stdout, sys.stderr  # nothing else may be written between the lines
    for name in json.load(sys.stdin):
        try:
            line: FileLine = {"file": name, "pieces": list(_parse(Path(name)))}
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller reports it
            line = {"file": name, "error": f"{type(error).__name__}: {error}"}
        lines.write(json.dumps(line) + "\n")
        lines.flush()


def _parse(path: Path) -> Iterator[PieceLine]:
    from music21 import converter, stream

    # Beams matter in print only; making them takes half the time.
    stream.Stream.makeBeams = lambda self, *_, **__: self  # type: ignore[method-assign]
    # Not converter.parse: its cache is a folder of pickles, which anybody may have written.
    reader: Any = converter.Converter()
    reader.parseFile(path, forceSource=True, storePickle=False)
    if isinstance(reader.stream, stream.Opus):
        for number, score in enumerate(reader.stream.scores, 1):
            yield _piece(f"{path.stem}-{number:03}", score)
    elif reader.stream is not None:
        yield _piece(path.stem, reader.stream)


def _piece(name: str, score: Any) -> PieceLine:
    """A music21 score on the grid."""
    parts = list(score.parts)
    bar = next(iter(parts[0].getElementsByClass("Measure")), None) if parts else None
    # An upbeat is filled up with silence to a whole bar, so that all bars begin on bar lines.
    lack = Fraction(bar.paddingLeft) if bar is not None else Fraction(0)
    length = _step(lack + Fraction(score.highestTime))
    notes, lost = [], 0
    for part in parts:
        part.stripTies(inPlace=True)
        # A part plays one note or chord at a time: of several on the same step the nearest stays.
        nearest: dict[int, tuple[Fraction, Fraction, Any]] = {}
        for note in part.flatten().notes:
            if note.duration.isGrace or not note.duration.quarterLength:
                continue
            onset = lack + Fraction(note.offset)
            step, taken = _step(onset), nearest.get(_step(onset))
            if taken and taken[1] == onset:
                taken[2].append(note)
                continue
            lost += taken is not None
            distance = abs(onset * GRID - step)
            if not taken or distance < taken[0]:
                nearest[step] = (distance, onset, [note])
        for step, (_, onset, together) in nearest.items():
            for note in together:
                end = max(_step(onset + Fraction(note.duration.quarterLength)), step + 1)
                notes += [(step, end, pitch.midi) for pitch in note.pitches]
    return {
        "id": name,
        "parts": len(parts),
        "notes": sorted(set(notes)),
        "length": length,
        "lost": lost,
    }


def _step(quarters: Fraction) -> int:
    """The nearest step; of two equally near ones the later."""
    return floor(quarters * GRID + Fraction(1, 2))


if __name__ == "__main__":
    _main()
