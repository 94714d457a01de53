"""Where judges are kept: shipped with the suite, in the cache folder, or trained on the spot.

A judge belongs to the training pieces it learnt from, which its record names by their fingerprint;
it is never used for others. The same pieces give the same judge, bit for bit, on one kind of
processor with one version of PyTorch.
"""

from __future__ import annotations

import hashlib
import io
import platform
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from bench import registry
from bench.contract import Floats
from bench.data import folders
from bench.data.dataset import Dataset
from bench.errors import BenchError
from bench.files import read_json, write, write_json
from bench.judges.families import CLASSES, FAMILIES
from bench.judges.judge import BARS, Arrays, Judge, apart, divided, excerpts, fingerprint, usable
from bench.music import Score
from bench.registry import Family

SHIPPED = Path(__file__).parent / "shipped"
SEED = 0
AGREE = 0.03  # of the validation loss, between processors
LONG = 20_000  # steps of training music from which on training is announced


class Record(BaseModel):
    """Where a judge comes from, and what is in its file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Family
    version: int
    trained_on: str  # fingerprint of the training pieces, the grid and the bar
    data: str = ""  # the data set's name, and its fingerprint: where one was named
    data_fingerprint: str = ""
    grid: int
    bar: int
    settings: dict[str, Any]
    seed: int
    updates: int  # taken
    kept: int  # the update whose weights were kept
    held_out_nats: float | None  # per frame or decision of the held-out training pieces
    valid_nats_per_step: float | None = None  # of validation continuations, given their prompts
    parameters: int
    sha256: str
    bytes: int
    torch: str
    processor: str
    seconds: float  # of one core


# -- training -------------------------------------------------------------------------------------


def train(
    family: Family, pieces: Sequence[Score], grid: int, bar: int, seed: int = SEED
) -> tuple[Record, bytes]:
    """A judge of the family for such pieces: its record, and what its file holds."""
    import torch

    from bench.training import loop

    judge = _new(family, grid, bar)
    begun = time.process_time()
    with loop.on_one_core():
        outcome = judge.fit(*divided(usable(pieces, bar)), seed)
        content = _pack(judge.arrays())
    record = Record(
        family=family,
        version=judge.version,
        trained_on=fingerprint(pieces, grid, bar),
        grid=grid,
        bar=bar,
        settings=judge.settings,
        seed=seed,
        updates=outcome.steps,
        kept=outcome.best_step,
        held_out_nats=None if outcome.best_loss is None else round(outcome.best_loss, 4),
        parameters=sum(array.size for array in judge.arrays().values()),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        torch=torch.__version__,
        processor=f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        seconds=round(time.process_time() - begun, 1),
    )
    return record, content


def train_on(family: Family, dataset: Dataset, seed: int = SEED) -> tuple[Record, bytes]:
    """The same for a data set, which the record names; with the loss of its validation pieces."""
    from bench.training import loop

    record, content = train(family, dataset.split("train"), dataset.grid, dataset.bar, seed)
    with loop.on_one_core():
        nats = valid_nats(_restored(record, content), dataset)
    named = {"data": dataset.name, "data_fingerprint": dataset.fingerprint}
    return record.model_copy(update={**named, "valid_nats_per_step": nats}), content


def _new(family: Family, grid: int, bar: int, **settings: Any) -> Judge:
    cls = registry.load_object(CLASSES[family])
    judge: Judge = cls(grid, bar, **settings)
    return judge


def _pack(arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """The arrays as safetensors, weights in half precision."""
    from safetensors.numpy import save

    halves = {
        name: np.ascontiguousarray(array.astype(np.float16) if array.dtype.kind == "f" else array)
        for name, array in arrays.items()
    }
    content: bytes = save(halves)
    return content


def _unpack(content: bytes) -> Arrays:
    from safetensors.numpy import load

    return {
        name: array.astype(np.float32) if array.dtype.kind == "f" else array
        for name, array in load(content).items()
    }


# -- files ----------------------------------------------------------------------------------------


def keep(folder: Path, record: Record, content: bytes) -> None:
    """Put a judge and its record into the folder."""
    write(folder / f"{record.family}.safetensors", content)
    write_json(folder / f"{record.family}.json", record.model_dump())


def read(folder: Path, family: Family) -> Record | None:
    """The record of the folder's judge of that family; none where it has none that can be read."""
    try:
        return Record.model_validate(read_json(folder / f"{family}.json"))
    except ValidationError:
        return None


def problem(folder: Path, record: Record) -> str:
    """What is wrong with the file of a record; "" where it is the one that was recorded."""
    path = folder / f"{record.family}.safetensors"
    if not path.is_file():
        return f"{path} is missing"
    if hashlib.sha256(path.read_bytes()).hexdigest() != record.sha256:
        return f"{path} is not the file that its record names"
    return ""


def open_judge(folder: Path, record: Record) -> Judge:
    """The judge of a record, from the folder; BenchError where its file is another."""
    if wrong := problem(folder, record):
        raise BenchError(f"{wrong}. Reinstall musicbench; in the cache folder, delete the judge.")
    return _restored(record, (folder / f"{record.family}.safetensors").read_bytes())


def _restored(record: Record, content: bytes) -> Judge:
    from bench.training import loop

    judge = _new(record.family, record.grid, record.bar, **record.settings)
    with loop.on_one_core():
        judge.restore(_unpack(content))
    return judge


def _inside(place: Path) -> list[tuple[Path, Record]]:
    """The judges in the folders of a folder."""
    return [
        (folder, record)
        for folder in sorted(place.glob("*/"))
        for family in FAMILIES
        if (record := read(folder, family)) is not None
    ]


def shipped() -> list[tuple[Path, Record]]:
    """The judges that come with the suite, and their folders."""
    return _inside(SHIPPED)


def shipped_data() -> list[str]:
    """The data sets whose judges come with the suite."""
    return list(dict.fromkeys(record.data for _, record in shipped()))


def trained_here() -> list[tuple[Path, Record]]:
    """The judges in the cache folder, and their folders."""
    return _inside(folders.cache_dir() / "judges")


def cache(trained_on: str) -> Path:
    """The folder of the judges that were trained here on such pieces."""
    return folders.cache_dir() / "judges" / trained_on[:16]


def remembered(
    judge: Judge, prompts: Sequence[Score], pieces: Sequence[Score], compute: Callable[[], Floats]
) -> Floats:
    """What the judge makes of these pieces, computed once on this machine and then kept.

    For the true continuations, which every job of a data set and protocol compares with.
    """
    digest = hashlib.sha256(
        f"{judge.family} {judge.version} {metadata.version('torch')}\n".encode()
    )
    for name, array in sorted(judge.arrays().items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    for piece in (*prompts, *pieces):
        digest.update(f"{piece.length} {piece.content_hash}\n".encode())
    path = folders.cache_dir() / "judges" / "heard" / f"{digest.hexdigest()[:32]}.npy"
    with suppress(OSError, ValueError, EOFError):  # not kept yet, or damaged
        kept = np.load(path, allow_pickle=False)
        if kept.dtype == np.float64 and kept.ndim == 2 and len(kept) == len(pieces):
            return np.asarray(kept)
    nats = compute()
    buffer = io.BytesIO()
    np.save(buffer, nats, allow_pickle=False)
    with suppress(OSError):  # a cache that cannot be written is no reason to fail
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, buffer.getvalue())
    return nats


# -- opening --------------------------------------------------------------------------------------

_open: OrderedDict[tuple[Family, str], Judge] = OrderedDict()
OPEN = 12  # judges: of a few data sets


def judge_of(family: Family, pieces: Sequence[Score], grid: int, bar: int) -> Judge | str:
    """The judge for these training pieces; a sentence where there can be none.

    It is shipped, or was trained here before; else it is trained now, which takes a minute or so.
    """
    if not usable(pieces, bar):
        return "no training piece has two bars of music for a judge to learn from"
    trained_on = fingerprint(pieces, grid, bar)
    key = family, trained_on
    if key not in _open:
        _open[key] = _kept(family, trained_on) or _made(family, pieces, grid, bar)
        if len(_open) > OPEN:
            _open.popitem(last=False)
    return _open[key]


def _kept(family: Family, trained_on: str) -> Judge | None:
    """The judge of the present version that is kept; none where it is still to be trained."""
    version = registry.load_object(CLASSES[family]).version
    for folder in (*(path for path, _ in shipped()), cache(trained_on)):
        record = read(folder, family)
        if record and (record.trained_on, record.version) == (trained_on, version):
            return open_judge(folder, record)
    return None


def _made(family: Family, pieces: Sequence[Score], grid: int, bar: int) -> Judge:
    trained_on = fingerprint(pieces, grid, bar)
    folder = cache(trained_on)
    with _alone(folder) as writable:
        if made := _kept(family, trained_on):  # by the process that this one waited for
            return made
        if sum(piece.length for piece in pieces) >= LONG:
            sys.stderr.write(f"Training the {family} judge of this music (once, 1-2 minutes) ...\n")
        record, content = train(family, pieces, grid, bar)
        if writable:
            keep(folder, record, content)
    return _restored(record, content)


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Inside, no other process trains a judge for the folder, which is created.

    Gives False, and waits for nobody, where the folder cannot be written.
    """
    import fcntl

    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((folder / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            sys.stderr.write(
                f"Judges cannot be kept in {folder} ({error.strerror}) and are trained again each"
                " time. Set BENCH_CACHE_DIR to a folder that can be written.\n"
            )
            yield False
            return
        yield True


def valid_nats(judge: Judge, dataset: Dataset) -> float | None:
    """Nats per step of continuations in the validation pieces, given a bar; none without any."""
    bar, pieces = dataset.bar, dataset.split("valid")
    rows = apart([piece.length for piece in pieces], bar, BARS * bar)
    cut = [piece for piece in excerpts(pieces, rows, bar, BARS * bar) if piece.length > bar]
    if not cut:
        return None
    prompts = [piece.slice(0, bar) for piece in cut]
    after = [piece.slice(bar, piece.length) for piece in cut]
    total = judge.nats(prompts, after).sum()
    return round(float(total) / sum(piece.length for piece in after), 4)


# -- checking -------------------------------------------------------------------------------------


def of_another(record: Record, dataset: Dataset) -> str:
    """Why a record is not of this data set's training pieces; "" where it is."""
    here = fingerprint(dataset.split("train"), dataset.grid, dataset.bar)
    if record.trained_on != here or record.data_fingerprint not in ("", dataset.fingerprint):
        return f"it was trained on other pieces than {dataset.name} has now"
    return ""


def rebuilt(folder: Path, record: Record, dataset: Dataset) -> tuple[str, str]:
    """Train a judge anew and compare: what is wrong, "" for nothing, and what to say of it.

    On another processor, or with another PyTorch, sums come out in another order, and training
    carries that on: there the weights may differ, and the loss on validation pieces must agree.
    """
    again, content = train(record.family, dataset.split("train"), dataset.grid, dataset.bar)
    if again.sha256 == record.sha256:
        return "", f"rebuilt bit for bit in {again.seconds:.0f} s"
    from bench.training import loop

    with loop.on_one_core():
        loss = valid_nats(_restored(again, content), dataset)
    words = (
        f"rebuilt otherwise: {loss} nats per step of validation pieces, recorded"
        f" {record.valid_nats_per_step}; made by {record.torch} on {record.processor}, here"
        f" {again.torch} on {again.processor}"
    )
    same_machine = (again.torch, again.processor) == (record.torch, record.processor)
    recorded = record.valid_nats_per_step
    agree = loss == recorded or bool(loss and recorded and abs(loss - recorded) <= AGREE * recorded)
    return ("" if agree and not same_machine else words), words
