"""Whether a contestant's continuations are its own.

They are compared with three things: the pieces of the data set (all splits: whatever it saw, and
what follows the prompts in truth), their own prompt and earlier bars, and the contestant's other
samples. `bench.protocol.passages` says how much of each sample is explained by stretches of those;
the same is asked of held-out human music, each excerpt compared with everything but its own piece.
A contestant copies where its mean is beyond what sets of as many human excerpts reach by chance,
with room to spare. So music made of formulas, which shares much, is not accused of being like itself.

All is about whole contestants: a sample alone proves little, 64 of them a lot.
"""

from __future__ import annotations

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from bench.contract import Floats
from bench.data.dataset import SPLITS, Dataset
from bench.data.folders import cache_dir
from bench.files import read_json, write_json
from bench.music import Score
from bench.protocol.passages import (
    NAMES,
    STRETCHES,
    Found,
    Ints,
    Library,
    Rows,
    melody,
    notes_per_stretch,
    repetitions,
    starts_of,
)
from bench.protocol.sampling import Prompt, Protocol

VERSION = 1  # raise it when any verdict or figure changes: reports are then made anew

Verdict = Literal["own", "copies", "unknown"]
Reference = Literal["data set", "itself", "other samples"]

EXCERPTS = 256  # of held-out human music, at most
ENOUGH = 16  # with fewer excerpts nothing can be said
DRAWS = 4000  # of sets of human excerpts
QUANTILE = 0.999  # of them stay below a threshold
ROOM = 0.2  # of the way from the human mean to a plain copy
PATCHED = 0.08  # above human, of what is lost when bars are taken together
NEARLY = 0.1  # below the human mean a share no longer counts as patched together
COPY = 0.9  # share of a sample that is a copy by itself
COPIES = 0.1  # share of samples, above human
THIN = 0.6  # of the notes of human excerpts: a contestant with fewer is compared with melodies
DISGUISED = 16  # samples that are also looked at in each disguise
SHOWN = 8  # passages in a report

SPLIT_NAMES = {"train": "training", "valid": "validation", "test": "test"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Measure(_Part):
    """One figure over all samples, beside what human music reaches."""

    name: str  # a length of stretch, or what else is measured
    value: float
    human: float
    threshold: float  # 1 or more: nothing can be beyond it, the data set is too alike
    copies: bool

    @property
    def beyond(self) -> float:
        """How far it is from human music (0) to what is a plain copy throughout (1)."""
        return (self.value - self.human) / max(1e-9, 1 - self.human)


class Comparison(_Part):
    """All figures of the samples against one reference."""

    reference: Reference
    form: str = ""  # how the samples were turned before: backwards, upside down ...
    measures: tuple[Measure, ...]

    @property
    def copies(self) -> bool:
        """Whether any figure is beyond its threshold."""
        return any(measure.copies for measure in self.measures)

    @property
    def clearest(self) -> Measure | None:
        """The figure that says most plainly what is copied; none where nothing is.

        Of those that are about as far beyond human music, that of the longest stretch.
        """
        accusing = {measure.name: measure for measure in self.measures if measure.copies}
        if not accusing:
            return None
        plain = [name for name in (*NAMES[:0:-1], NAMES[0], WHOLE_COPIES) if name in accusing]
        if not plain:
            return next(iter(accusing.values()))
        top = max(accusing[name].beyond for name in plain)
        name = next(name for name in plain if accusing[name].beyond >= top - 0.1)
        # Where no longer stretch is a copy too, the bars are from everywhere.
        for patch, stretch in PATCHES.items():
            if name == stretch and patch in accusing:
                return accusing[patch]
        return accusing[name]


class Passage(_Part):
    """One stretch of a sample, and where it stands elsewhere. Bars count from 1."""

    sample: int
    reference: Reference
    form: str = ""
    source: str  # a piece's id, "prompt", "own bars", or a sample's number
    split: str = ""  # of the piece
    here: tuple[int, int]  # first and last bar
    there: tuple[int, int]
    steps: int  # from the beginning of its bar there
    semitones: int  # by which the sample is higher
    matched: int
    notes: int

    @property
    def where(self) -> str:
        """The source in words."""
        first, last = self.there
        bars = f"bar {first}" if first == last else f"bars {first} to {last}"
        parts = [bars] if self.source != "prompt" else []
        if self.semitones:
            way = "up" if self.semitones > 0 else "down"
            plural = "s" * (abs(self.semitones) > 1)
            parts.append(f"{abs(self.semitones)} semitone{plural} {way}")
        if self.form:
            parts.append(self.form)
        names = {"prompt": "its prompt", "own bars": "its own earlier bars"}
        if self.reference == "other samples":
            name = f"sample {self.source}"
        elif self.reference == "itself":
            name = names[self.source]
        else:
            name = f"{SPLIT_NAMES.get(self.split, self.split)} piece {self.source}".strip()
        return f"{name} ({', '.join(parts)})" if parts else name


class CopyReport(_Part):
    """What was found of one contestant's samples, and of which samples it holds."""

    version: int = VERSION
    verdict: Verdict
    reason: str = ""  # why nothing can be said
    comparisons: tuple[Comparison, ...] = ()
    passages: tuple[Passage, ...] = ()  # the clearest ones, of as many samples
    samples: str  # SHA-256 over the samples' hashes
    data: str  # the data set's fingerprint
    protocol: Protocol

    def is_of(self, hashes: Sequence[str], fingerprint: str, protocol: Protocol) -> bool:
        """Whether this version of the detector made it, of these samples."""
        return (self.version, self.samples, self.data, self.protocol) == (
            VERSION,
            hash_of(hashes),
            fingerprint,
            protocol,
        )

    @property
    def clearest(self) -> Comparison | None:
        """The comparison that accuses most; none where none does."""
        found = {
            (each.reference, each.form): (max(m.beyond for m in each.measures if m.copies), each)
            for each in self.comparisons
            if each.copies
        }
        if not found:
            return None
        top = max(beyond for beyond, _ in found.values())
        # A loop also repeats the bar of the piece that the prompt is from.
        order = [("itself", ""), ("data set", ""), ("other samples", ""), *found]
        return next(
            found[name][1] for name in order if name in found and found[name][0] >= top - 0.1
        )

    @property
    def sentence(self) -> str:
        """The accusation with its evidence; empty where there is none."""
        found = self.clearest
        measure = found.clearest if found else None
        if self.verdict != "copies" or found is None or measure is None:
            return ""
        shown = [
            passage
            for passage in self.passages
            if (passage.reference, passage.form) == (found.reference, found.form)
        ]
        shares = {each.name: each.value for each in found.measures}
        stretch = PATCHES.get(measure.name, measure.name)
        share = f"{100 * shares[stretch]:.0f} %"
        such = f", such as {shown[0].where}" if shown else ""
        if measure.name == WHOLE_COPIES:
            share += " of its samples"
            if found.reference == "itself":
                return f"{share} repeat their prompt or their own bars"
            what = "its other samples" if found.reference == "other samples" else "pieces"
            return f"{share} are copies of {what}{such}"
        share += " of its notes"
        if found.reference == "itself":
            return f"{share} repeat the prompt or its own earlier bars"
        if found.reference == "other samples":
            return f"{share} are those of its other samples{such}"
        if measure.name in PATCHES:
            return f"{share} are put together from bars of pieces{such}"
        if not shown:
            return f"{share} are those of pieces of the data set"
        others = " and others" if len({passage.source for passage in shown}) > 1 else ""
        return f"{share} are those of {shown[0].where}{others}"


def hash_of(hashes: Sequence[str]) -> str:
    """SHA-256 over the samples' hashes."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


# -- figures ----------------------------------------------------------------------------------------

SINGLE_BARS, PAIRS, WHOLE_COPIES = "single bars", "pairs of bars", "copied samples"
PATCHES = {SINGLE_BARS: NAMES[0], PAIRS: NAMES[1]}  # and the share that must be high beside it


def figures(shares: Floats, reference: Reference) -> dict[str, Floats]:
    """(samples,) of each measure, from the shares (samples, stretches) against one reference.

    Music put together from bars of many pieces is explained bar by bar, and not beyond: more is
    lost when bars are taken together than in music that goes on.
    """
    columns = {name: shares[:, i] for i, name in enumerate(NAMES)}
    if reference == "itself":
        del columns[NAMES[3]]  # the whole has nothing before it
        copied = columns[NAMES[0]]
    else:
        copied = np.maximum(columns[NAMES[2]], columns[NAMES[3]])
    if reference == "data set":
        columns[SINGLE_BARS] = shares[:, 0] - shares[:, 1]
        columns[PAIRS] = shares[:, 1] - shares[:, 2]
    columns[WHOLE_COPIES] = (copied >= COPY).astype(np.float64)
    return columns


def threshold_of(name: str, human: float, reached: float) -> float:
    """What a contestant must be beyond: more than chance lets human music reach, and clearly more."""
    if name in PATCHES:
        return max(reached, human + PATCHED)
    if name == WHOLE_COPIES:
        return max(reached, human + COPIES)
    return max(reached, human + ROOM * (1 - human))


# -- disguises --------------------------------------------------------------------------------------


def _turned(
    piece: Score, onset: NDArray[np.integer], pitch: NDArray[np.integer], length: int
) -> Score:
    return Score.from_notes(
        onset, np.ones_like(onset), pitch, length=max(1, length), grid=piece.grid
    )


DISGUISES: Mapping[str, Callable[[Score], Score]] = {
    "at half the speed": lambda p: _turned(p, p.onset // 2, p.pitch, p.length // 2),
    "at twice the speed": lambda p: _turned(p, p.onset * 2, p.pitch, p.length * 2),
    "backwards": lambda p: _turned(p, p.length - p.end, p.pitch, p.length),
    "upside down": lambda p: _turned(p, p.onset, 128 - p.pitch, p.length),
}


# -- human music ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Excerpt:
    """Some bars of a held-out piece, and the bar before them."""

    piece: str
    prompt: Score
    music: Score


def held_out(
    dataset: Dataset, protocol: Protocol, splits: Sequence[str] = ("valid", "test")
) -> list[Excerpt]:
    """Excerpts as long as a sample, one of each held-out piece, then further ones."""
    bar, steps = protocol.prompt, protocol.steps
    names = sorted(
        (name for split in splits for name in getattr(dataset, split)),
        key=lambda name: hashlib.sha256(name.encode()).digest(),
    )
    stride = bar * -(-steps // bar)
    places = {name: range(bar, dataset.pieces[name].length - steps + 1, stride) for name in names}
    found: list[Excerpt] = []
    for turn in range(max((len(starts) for starts in places.values()), default=0)):
        for name in names:
            if turn < len(places[name]) and len(found) < EXCERPTS:
                start = places[name][turn]
                music = dataset.pieces[name].slice(start, start + steps)
                prompt = dataset.pieces[name].slice(start - bar, start)
                if len(music):
                    silent = Score.silence(0, dataset.grid)
                    found.append(Excerpt(name, silent if protocol.unprompted else prompt, music))
    return found


@dataclass(frozen=True)
class Baseline:
    """What held-out human music shares: (excerpts, stretches) by reference or disguise."""

    shares: dict[str, Floats]
    pieces: dict[str, Ints]  # (excerpts,) which piece each is from
    notes: float  # per excerpt, the mean
    fewest: Floats  # (stretches,) notes that a stretch counts for at least


class Limit(_Part):
    """What human music reaches in one measure, and what nobody else may be beyond."""

    human: float
    threshold: float


Table = dict[str, dict[str, Limit]]  # by reference or disguise, then by measure


class Limits(_Part):
    """The limits of all measures on one data set under one protocol."""

    excerpts: int  # of human music behind them
    notes: float  # per excerpt
    fewest: tuple[float, ...]
    usual: Table
    melodies: Table  # of the same excerpts' melodies alone: simpler music is found more often


def draws(pieces: Ints, values: Floats, samples: int, count: int, seed: int = 0) -> Floats:
    """(DRAWS, measures) means over sets of excerpts (excerpts, measures), piece by piece.

    As the protocol takes its prompts: so many samples, in equal parts of `count` pieces.
    """
    rng = np.random.default_rng([seed, samples, count])
    order = np.argsort(pieces, kind="stable")
    _, first, size = np.unique(pieces[order], return_index=True, return_counts=True)
    drawn = rng.integers(len(first), size=(DRAWS, max(1, min(count, samples))))
    drawn = drawn[:, np.arange(samples) % drawn.shape[1]]
    place = first[drawn] + (rng.random(drawn.shape) * size[drawn]).astype(np.int64)
    weights = np.zeros((DRAWS, len(pieces)))
    np.add.at(weights, (np.arange(DRAWS)[:, None], place), 1 / samples)
    return np.asarray(weights @ values[order])


def table_of(human: Baseline, samples: int, count: int) -> Table:
    """The limits for a contestant with so many samples whose prompts are from so many pieces."""
    table: Table = {}
    for name, shares in human.shares.items():
        columns = figures(shares, reference_of(name))
        values = np.stack(list(columns.values()), axis=1)
        size = min(samples, DISGUISED) if name in DISGUISES else samples
        reached = np.quantile(draws(human.pieces[name], values, size, count), QUANTILE, axis=0)
        table[name] = {
            measure: Limit(human=mean, threshold=threshold_of(measure, mean, top))
            for measure, mean, top in zip(
                columns, values.mean(axis=0).tolist(), reached.tolist(), strict=True
            )
        }
    return table


def library_of(dataset: Dataset) -> Library:
    """All pieces of the data set, in the order of `sources`, indexed once per process."""
    key = dataset.fingerprint
    if key not in _libraries:
        if len(_libraries) >= 2:
            _libraries.popitem(last=False)
        _libraries[key] = Library(
            [dataset.pieces[name] for name, _ in sources(dataset)], dataset.bar
        )
    return _libraries[key]


_libraries: OrderedDict[str, Library] = OrderedDict()


def sources(dataset: Dataset) -> list[tuple[str, str]]:
    """Every piece, and the split that it is in."""
    return [(name, split) for split in SPLITS for name in getattr(dataset, split)]


def _own_pieces(dataset: Dataset, names: Sequence[str]) -> NDArray[np.bool_]:
    """(names, pieces) which piece of the library each name is."""
    place = {name: number for number, (name, _) in enumerate(sources(dataset))}
    own = np.zeros((len(names), len(place)), dtype=bool)
    own[np.arange(len(names)), [place[name] for name in names]] = True
    return own


def reference_of(name: str) -> Reference:
    """What samples are compared with under this name: a disguise is one of the data set's pieces."""
    references: dict[str, Reference] = {
        "data set": "data set", "itself": "itself", "other samples": "other samples",
    }  # fmt: skip
    return references.get(name, "data set")


def _alike(names: Sequence[str]) -> NDArray[np.bool_]:
    """(names, names) which are the same: a sample and those whose prompts are of the same piece."""
    _, number = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    return np.asarray(number[:, None] == number[None])


def look(
    library: Library,
    samples: Sequence[Score],
    prompts: Sequence[Score],
    alike: Rows,
    fewest: Floats,
    own: Rows | None = None,
    disguised: int = DISGUISED,
) -> dict[str, tuple[Found, Ints]]:
    """What is found of the samples in each reference and disguise, and of which samples.

    `alike` (samples, samples) says which are not compared with each other, `own` (samples,
    pieces) which pieces of the library a sample is not compared with.
    """
    every = np.arange(len(samples))
    looked = every[:: max(1, len(samples) // disguised)]
    found = {
        "data set": (library.find(samples, fewest, own), every),
        "itself": (repetitions(prompts, samples, library.bar, fewest), every),
        "other samples": (Library(samples, library.bar).find(samples, fewest, alike), every),
    }
    for disguise, turn in DISGUISES.items():
        turned = [turn(samples[i]) for i in looked]
        rows = None if own is None else own[looked]
        found[disguise] = (library.find(turned, fewest, rows), looked)
    return found


def measure_human(
    dataset: Dataset,
    protocol: Protocol,
    splits: Sequence[str] = ("valid", "test"),
    change: Callable[[Score], Score] = lambda music: music,
) -> Baseline:
    """What held-out human music shares, excerpt by excerpt; `change` makes other music of them."""
    library = library_of(dataset)
    excerpts = held_out(dataset, protocol, splits)
    names = [excerpt.piece for excerpt in excerpts]
    number = np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1]
    fewest = notes_per_stretch([excerpt.music for excerpt in excerpts], dataset.bar) / 4
    shares: dict[str, list[Floats]] = {}
    pieces: dict[str, list[Ints]] = {}
    # In groups, so that each is compared with as many others as a contestant's samples are.
    groups = max(1, round(len(excerpts) / protocol.samples))
    for group in range(groups):
        chosen = list(range(group, len(excerpts), groups))
        found = look(
            library,
            [change(excerpts[i].music) for i in chosen],
            [change(excerpts[i].prompt) for i in chosen],
            _alike([names[i] for i in chosen]),
            fewest,
            _own_pieces(dataset, [names[i] for i in chosen]),
            2 * DISGUISED,
        )
        for name, (matches, which) in found.items():
            shares.setdefault(name, []).append(matches.share)
            pieces.setdefault(name, []).append(number[chosen][which])
    return Baseline(
        shares={name: np.concatenate(parts) for name, parts in shares.items()},
        pieces={name: np.concatenate(parts) for name, parts in pieces.items()},
        notes=float(np.mean([len(e.music) for e in excerpts])) if excerpts else 0.0,
        fewest=fewest,
    )


def limits_of(dataset: Dataset, protocol: Protocol, count: int) -> Limits:
    """The limits for a contestant whose prompts are from so many pieces."""
    usual = measure_human(dataset, protocol)
    thin = measure_human(dataset, protocol, change=melody)
    excerpts = len(usual.pieces["data set"])
    enough = excerpts >= ENOUGH
    return Limits(
        excerpts=excerpts,
        notes=usual.notes,
        fewest=tuple(usual.fewest.tolist()),
        usual=table_of(usual, protocol.samples, count) if enough else {},
        melodies=table_of(thin, protocol.samples, count) if enough else {},
    )


def kept_limits(dataset: Dataset, protocol: Protocol, count: int) -> Limits:
    """The limits of a data set, worked out once and kept in the cache folder."""
    shape = (protocol.samples, protocol.steps, protocol.prompt, protocol.unprompted, count)
    name = hashlib.sha256(f"{VERSION} {dataset.fingerprint} {shape}".encode()).hexdigest()[:16]
    path = cache_dir() / "copying" / f"{dataset.name}-{name}.json"
    try:
        return Limits.model_validate(read_json(path))
    except (ValidationError, OSError):
        limits = limits_of(dataset, protocol, count)
    try:
        write_json(path, limits.model_dump(mode="json"))
    except OSError as error:
        sys.stderr.write(
            f"{path} cannot be written ({error.strerror}); it is made anew each time.\n"
        )
    return limits


# -- the verdict ------------------------------------------------------------------------------------


def compare(shares: Floats, name: str, limits: Sequence[Mapping[str, Limit]]) -> Comparison:
    """The means of the samples' shares (samples, stretches) beside their limits, the widest of them.

    `name` is that of a reference or of a disguise.
    """
    reference, form = reference_of(name), name if name in DISGUISES else ""
    values = {name: float(each.mean()) for name, each in figures(shares, reference).items()}
    measures = []
    for measure, value in values.items():
        threshold = max(each[measure].threshold for each in limits)
        copies = value > threshold
        if measure in PATCHES:
            beside = PATCHES[measure]
            copies &= values[beside] >= limits[0][beside].human - NEARLY
        if form:  # by few samples, so only by the plainest figure
            copies &= measure == NAMES[3]
        measures.append(
            Measure(
                name=measure,
                value=value,
                human=limits[0][measure].human,
                threshold=threshold,
                copies=copies,
            )
        )
    return Comparison(reference=reference, form=form, measures=tuple(measures))


def check(
    dataset: Dataset,
    protocol: Protocol,
    samples: Sequence[Score],
    prompts: Sequence[Prompt],
    *,
    human: bool = False,
) -> CopyReport:
    """Whether the samples are the contestant's own; `human` ones are what really follows the prompts."""
    hashes = [sample.content_hash for sample in samples]
    names = [prompt.piece for prompt in prompts]

    def report(verdict: Verdict, **said: Any) -> CopyReport:
        return CopyReport(
            verdict=verdict,
            samples=hash_of(hashes),
            data=dataset.fingerprint,
            protocol=protocol,
            **said,
        )

    limits = kept_limits(dataset, protocol, len(set(names)))
    if limits.excerpts < ENOUGH:
        return report(
            "unknown",
            reason=f"{dataset.name} has {limits.excerpts} held-out excerpts as long as a sample to"
            f" compare with; it takes {ENOUGH}",
        )
    own = _own_pieces(dataset, names) if human else None
    found = look(
        library_of(dataset),
        samples,
        [prompt.score for prompt in prompts],
        _alike(names),
        np.array(limits.fewest),
        own,
    )
    thin = np.mean([len(sample) for sample in samples]) < THIN * limits.notes
    comparisons = []
    passages: list[Passage] = []
    for name, (matches, which) in found.items():
        tables = [limits.usual, limits.melodies] if thin else [limits.usual]
        shares = matches.share
        if name in DISGUISES:
            # Simple music is found in any form: a disguise must explain more than the bare notes.
            shares = np.where(shares > found["data set"][0].share[which], shares, 0)
        comparison = compare(shares, name, [table[name] for table in tables])
        comparisons.append(comparison)
        if comparison.copies:
            passages += _passages(comparison, matches, which.tolist(), dataset, samples, prompts)
    verdict: Verdict = "copies" if any(each.copies for each in comparisons) else "own"
    return report(verdict, comparisons=tuple(comparisons), passages=tuple(passages))


def _passages(
    comparison: Comparison,
    found: Found,
    which: Sequence[int],
    dataset: Dataset,
    samples: Sequence[Score],
    prompts: Sequence[Prompt],
) -> list[Passage]:
    """The clearest stretches of the worst samples, at the length of stretch that accuses most."""
    clearest = comparison.clearest
    if clearest is None:
        return []
    name = PATCHES.get(clearest.name, clearest.name)
    if name == WHOLE_COPIES:
        name = NAMES[0] if comparison.reference == "itself" else NAMES[2]
    column, bar = NAMES.index(name), dataset.bar
    library = library_of(dataset)
    known = sources(dataset)
    starts = starts_of(samples, bar)
    passages = []
    for row in np.argsort(-found.share[:, column], kind="stable")[:SHOWN].tolist():
        matched, notes = int(found.matched[row, column]), int(found.notes[row, column])
        if not matched:
            continue
        sample, first = which[row], int(found.bar[row, column])
        step = first * bar + int(found.shift[row, column])
        size = STRETCHES[column] or -(-prompts[sample].continuation.length // bar)
        source, split = "", ""
        if comparison.reference == "itself":
            source = "prompt" if step < 0 else "own bars"
            step += prompts[sample].score.length if step < 0 else 0
        elif comparison.reference == "other samples":
            piece = int(np.searchsorted(starts, step + size * bar // 2, "right")) - 1
            source, step = str(piece), step - int(starts[piece])
        else:
            piece = library.piece_at(step + size * bar // 2)
            (source, split), step = known[piece], step - int(library.start[piece])
        there = max(0, step) // bar + 1
        passages.append(
            Passage(
                sample=sample,
                reference=comparison.reference,
                form=comparison.form,
                source=source,
                split=split,
                here=(first + 1, first + size),
                there=(there, there + size - 1 + (step % bar > 0)),
                steps=step % bar,
                semitones=int(found.semitones[row, column]),
                matched=matched,
                notes=notes,
            )
        )
    return passages
