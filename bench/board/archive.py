"""A board that can be handed on: its rows, and beside them all that they follow from.

`leaderboard.csv` and `leaderboard.tar.xz` belong together. The archive holds the small files of
every job on the board (description, result, scores, copying, curves, samples as MIDI) and what
`bench validate` found: no networks, and no one else's music, which is what the ceiling's samples are.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import bench
from bench.board.build import build
from bench.board.rows import to_csv
from bench.data.folders import cache_dir
from bench.errors import BenchError
from bench.files import replacing_folder, write
from bench.jobs.run_folder import JobFolder, RunFolder, is_finished
from bench.protocol import validity

KEPT = (
    "job.json", "status.json", "result.json", "scores.json", "scores.npz", "copying.json",
    "metrics.jsonl",
)  # fmt: skip
SAMPLES = "samples/*.mid"


def publish(runs: RunFolder, folder: Path) -> tuple[Path, Path]:
    """Write the board of a run folder, and its archive, into a folder; where they are now.

    BenchError where no job has ended well. Jobs that failed are left out.
    """
    good = [job for job in runs.folders() if is_finished(job)]
    if not good:
        raise BenchError(f"No job in {runs.root} has ended well. `bench all` runs some.")
    table, archive = folder / "leaderboard.csv", folder / "leaderboard.tar.xz"
    write(archive, packed(runs.root, good))
    # The rows are those of the archive, which is all that readers have.
    write(table, to_csv(build(RunFolder(unpacked(archive))).rows))
    return table, archive


def packed(root: Path, folders: list[JobFolder]) -> bytes:
    """The archive: the same bytes for the same files."""
    files = [path for path in (root / validity.FILE,) if path.is_file()]
    for folder in folders:
        job = folder.read_job()
        kept = KEPT if job is None or job.card.kind == "ceiling" else (*KEPT, SAMPLES)
        files += [path for pattern in kept for path in sorted(folder.path.glob(pattern))]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz", preset=9, format=tarfile.USTAR_FORMAT) as tar:
        for path in files:
            content = path.read_bytes()
            entry = tarfile.TarInfo(path.relative_to(root).as_posix())
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def unpacked(archive: Path) -> Path:
    """The run folder in the archive, unpacked once into the user's cache.

    BenchError where the archive is broken, or the cache cannot be written.
    """
    try:
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        folder = cache_dir() / "published" / digest[:16]
        if not folder.is_dir():
            for old in folder.parent.glob("*"):
                shutil.rmtree(old, ignore_errors=True)
            with replacing_folder(folder) as half, tarfile.open(archive, "r:xz") as tar:
                tar.extractall(half, filter="data")
    except (OSError, EOFError, tarfile.TarError) as error:
        raise BenchError(f"{archive} cannot be unpacked: {error}.") from None
    return folder


def archive_of(table: Path) -> Path | None:
    """The archive beside a board file, if there is one."""
    archive = table.with_name(f"{table.stem}.tar.xz")
    return archive if archive.is_file() else None


def shipped() -> Path | None:
    """The board file that comes with the suite, if its archive does too."""
    package = Path(bench.__file__).parent
    for folder in (package.parent, package):  # a checkout; an installed wheel
        table = folder / "leaderboard.csv"
        if table.is_file() and archive_of(table):
            return table
    return None
