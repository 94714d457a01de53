"""Whether a contestant's continuations are its own.

They are compared with three references: the pieces of the data set (all splits: what it was trained
on, and what really follows the prompts), their own prompt and earlier bars, and the contestant's
other samples. `bench.protocol.passages` computes which share of each sample's notes is explained by
stretches of a reference. The same is measured for held-out human music, where each excerpt is
compared with everything but the piece that it is from. A contestant copies if a mean over its
samples is above what sets of as many human excerpts reach by chance, by a margin. So a formulaic
data set does not make its honest contestants copyists.

The verdict is about a contestant, never about a single sample: that one alone proves little.
"""

from __future__ import annotations

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from bench.contract import Floats
from bench.data.dataset import SPLITS, Dataset
from bench.data.folders import cache_dir
from bench.files import read_json, write_json
from bench.music import Score
from bench.protocol import copy_report
from bench.protocol.copy_report import (
    BAR,
    BAR_PAIRS,
    COPIED_SAMPLES,
    FOUR_BARS,
    PAIR,
    SINGLE_BARS,
    SPLICES,
    WHOLE,
    Comparison,
    CopyReport,
    Measure,
    Passage,
    Reference,
    Verdict,
    samples_hash,
)
from bench.protocol.passages import (
    STRETCH_NAMES,
    STRETCHES,
    Ints,
    Library,
    Mask,
    Matches,
    melody,
    notes_per_stretch,
    repetitions,
    starts_of,
)
from bench.protocol.sampling import Prompt, Protocol

EXCERPTS = 256  # of held-out human music, at most
FEWEST_EXCERPTS = 16  # with fewer the verdict is unknown
DRAWS = 4000  # sets of human excerpts
QUANTILE = 0.999  # the share of sets that stay below a threshold
MARGIN = 0.2  # of the distance from the human mean to exact copies
LEAST_MARGIN = 0.05  # above the human mean, however near that is to exact copies
SPLICE_MARGIN = 0.08  # above human, of the share that is lost when bars are taken together
SPLICE_SLACK = 0.1  # a share that is further below the human mean is no sign of a splice
COPIED = 0.9  # a sample with four bars of this share counts as a copy
COPIED_MARGIN = 0.15  # share of samples, above human
SPARSE = 0.6  # of the notes of human excerpts: below, human melodies are the measure too
DISGUISED_SAMPLES = 16  # that are looked at in each disguise
PASSAGES = 8  # per comparison, in a report

# -- disguises --------------------------------------------------------------------------------------


def _rebuilt(
    piece: Score, onset: NDArray[np.integer], pitch: NDArray[np.integer], length: int
) -> Score:
    return Score.from_notes(
        onset, np.ones_like(onset), pitch, length=max(1, length), grid=piece.grid
    )


# What undoes them, by what they are called: a copy at half the speed is played twice as fast.
DISGUISES: Mapping[str, Callable[[Score], Score]] = {
    "at half the speed": lambda p: _rebuilt(p, p.onset // 2, p.pitch, p.length // 2),
    "at twice the speed": lambda p: _rebuilt(p, p.onset * 2, p.pitch, p.length * 2),
    "backwards": lambda p: _rebuilt(p, p.length - p.end, p.pitch, p.length),
    "upside down": lambda p: _rebuilt(p, p.onset, 128 - p.pitch, p.length),
}


def reference_of(name: str) -> Reference:
    """The reference of a comparison; samples in a disguise are compared with the data set."""
    references: dict[str, Reference] = {"itself": "itself", "other samples": "other samples"}
    return references.get(name, "data set")


# -- measures ---------------------------------------------------------------------------------------


def measure_values(matches: Matches, name: str) -> dict[str, Floats]:
    """(samples,) of each measure, from the matches with the reference, or in the disguise, `name`.

    A splice of bars from many pieces is explained bar by bar, but not in longer stretches. So the
    share that is lost when bars are taken together is larger than in music that goes on.
    """
    values = {stretch: matches.share[:, column] for column, stretch in enumerate(STRETCH_NAMES)}
    if name in DISGUISES:  # few samples are looked at: only the plainest evidence counts
        return {WHOLE: values[WHOLE]}
    if name == "data set":
        values[SINGLE_BARS] = values[BAR] - values[PAIR]
        values[BAR_PAIRS] = values[PAIR] - values[FOUR_BARS]
    if name == "itself":  # four bars that return are form: all bars must
        copied = values[BAR]
        del values[WHOLE]  # nothing comes before the whole
    else:
        copied = matches.peak[:, STRETCH_NAMES.index(FOUR_BARS)]
    if name == "other samples":  # a single bar is easily like one of another sample
        del values[BAR]
    values[COPIED_SAMPLES] = (copied >= COPIED).astype(np.float64)
    return values


def threshold_of(measure: str, human: float, reached: float) -> float:
    """The largest value that is not accused: what human sets reach by chance, or human + margin."""
    if measure in SPLICES:
        return max(reached, human + SPLICE_MARGIN)
    if measure == COPIED_SAMPLES:
        return max(reached, human + COPIED_MARGIN)
    return max(reached, human + max(LEAST_MARGIN, MARGIN * (1 - human)))


# -- the data set -----------------------------------------------------------------------------------


def library_of(dataset: Dataset) -> Library:
    """The index of all pieces, in the order of `sources`; kept for the next call in this process."""
    key = dataset.fingerprint
    if key not in _libraries:
        if len(_libraries) >= 2:
            _libraries.popitem(last=False)
        pieces = [dataset.pieces[name] for name, _ in sources(dataset)]
        _libraries[key] = Library(pieces, dataset.bar)
    return _libraries[key]


_libraries: OrderedDict[str, Library] = OrderedDict()


def sources(dataset: Dataset) -> list[tuple[str, str]]:
    """Every piece with its split."""
    return [(name, split) for split in SPLITS for name in getattr(dataset, split)]


def _own_pieces(dataset: Dataset, names: Sequence[str]) -> Mask:
    """(names, pieces) which piece of the library has each name."""
    columns = {name: column for column, (name, _) in enumerate(sources(dataset))}
    own = np.zeros((len(names), len(columns)), dtype=bool)
    own[np.arange(len(names)), [columns[name] for name in names]] = True
    return own


def _same_piece(names: Sequence[str]) -> Mask:
    """(names, names) which are equal: samples whose prompts are from one piece."""
    _, number = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    return np.asarray(number[:, None] == number[None])


# -- matches ----------------------------------------------------------------------------------------


def match_samples(
    library: Library,
    samples: Sequence[Score],
    prompts: Sequence[Score],
    same_piece: Mask,
    fewest: Floats,
    own: Mask | None = None,
    disguised: int = DISGUISED_SAMPLES,
) -> dict[str, tuple[Matches, Ints]]:
    """The matches of the samples by reference and disguise, with the numbers of these samples.

    `same_piece` (samples, samples): samples that are not compared with each other. `own` (samples,
    pieces): pieces of the library that a sample is not compared with.
    """
    every = np.arange(len(samples))
    matches = {
        "data set": (library.match(samples, fewest, own), every),
        "itself": (repetitions(prompts, samples, library.bar, fewest), every),
        "other samples": (Library(samples, library.bar).match(samples, fewest, same_piece), every),
    }
    some = every[:: max(1, len(samples) // disguised)]
    for name, undo in DISGUISES.items():
        forbidden = None if own is None else own[some]
        matches[name] = (library.match([undo(samples[i]) for i in some], fewest, forbidden), some)
    return matches


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
    """Excerpts as long as a sample: the first of each held-out piece, then the second of each ..."""
    bar, steps = protocol.prompt, protocol.steps
    names = sorted(
        (name for split in splits for name in getattr(dataset, split)),
        key=lambda name: hashlib.sha256(name.encode()).digest(),
    )
    stride = bar * -(-steps // bar)
    places = {name: range(bar, dataset.pieces[name].length - steps + 1, stride) for name in names}
    excerpts: list[Excerpt] = []
    for turn in range(max((len(starts) for starts in places.values()), default=0)):
        for name in names:
            if turn < len(places[name]) and len(excerpts) < EXCERPTS:
                piece, start = dataset.pieces[name], places[name][turn]
                music = piece.slice(start, start + steps)
                prompt = piece.slice(start - bar, start)
                if protocol.unprompted:
                    prompt = Score.silence(0, dataset.grid)
                if len(music):
                    excerpts.append(Excerpt(name, prompt, music))
    return excerpts


@dataclass(frozen=True)
class Baseline:
    """The measures of held-out human music, excerpt by excerpt."""

    values: dict[str, dict[str, Floats]]  # (excerpts,) by reference or disguise, then by measure
    pieces: dict[str, Ints]  # (excerpts,) the number of the piece that each is from
    notes: float  # of an excerpt, the mean
    fewest: Floats  # (stretches,) notes that a stretch counts as, at least


def measure_human(
    dataset: Dataset,
    protocol: Protocol,
    splits: Sequence[str] = ("valid", "test"),
    change: Callable[[Score], Score] = lambda music: music,
) -> Baseline:
    """The measures of held-out human music, after a `change` of it."""
    library = library_of(dataset)
    excerpts = held_out(dataset, protocol, splits)
    names = [excerpt.piece for excerpt in excerpts]
    number = np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1]
    fewest = notes_per_stretch([excerpt.music for excerpt in excerpts], dataset.bar) / 4
    values: dict[str, list[dict[str, Floats]]] = {}
    pieces: dict[str, list[Ints]] = {}
    # In groups, so that each is compared with as many others as a contestant's samples are.
    groups = max(1, round(len(excerpts) / protocol.samples))
    for group in range(groups):
        rows = list(range(group, len(excerpts), groups))
        group_names = [names[i] for i in rows]
        matches_by_name = match_samples(
            library,
            [change(excerpts[i].music) for i in rows],
            [change(excerpts[i].prompt) for i in rows],
            _same_piece(group_names),
            fewest,
            _own_pieces(dataset, group_names),
            2 * DISGUISED_SAMPLES,
        )
        for name, (matches, which) in matches_by_name.items():
            values.setdefault(name, []).append(measure_values(matches, name))
            pieces.setdefault(name, []).append(number[rows][which])
    return Baseline(
        values={
            name: {each: np.concatenate([part[each] for part in parts]) for each in parts[0]}
            for name, parts in values.items()
        },
        pieces={name: np.concatenate(parts) for name, parts in pieces.items()},
        notes=float(np.mean([len(e.music) for e in excerpts])) if excerpts else 0.0,
        fewest=fewest,
    )


# -- thresholds -------------------------------------------------------------------------------------


class _Kept(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Limit(_Kept):
    """The human mean of a measure, and the largest value that is not accused."""

    human: float
    threshold: float


Table = dict[str, dict[str, Limit]]  # by reference or disguise, then by measure


class Limits(_Kept):
    """The limits of all measures on one data set under one protocol."""

    excerpts: int  # of human music that they rest on
    notes: float  # of an excerpt, the mean
    fewest: tuple[float, ...]  # by stretch, see Baseline
    full: Table
    melodies: Table  # of the melodies of the same excerpts: sparse music is explained more often


def set_means(pieces: Ints, values: Floats, samples: int, count: int, seed: int = 0) -> Floats:
    """(DRAWS, measures) means of `values` (excerpts, measures) over random sets of excerpts.

    A set is drawn as the protocol draws prompts: `samples` excerpts, in equal parts from `count`
    pieces. `pieces` (excerpts,) says which piece each excerpt is from.
    """
    rng = np.random.default_rng([seed, samples, count])
    order = np.argsort(pieces, kind="stable")
    _, first, size = np.unique(pieces[order], return_index=True, return_counts=True)
    drawn = rng.integers(len(first), size=(DRAWS, max(1, min(count, samples))))
    drawn = drawn[:, np.arange(samples) % drawn.shape[1]]
    excerpt = first[drawn] + (rng.random(drawn.shape) * size[drawn]).astype(np.int64)
    weights = np.zeros((DRAWS, len(pieces)))
    np.add.at(weights, (np.arange(DRAWS)[:, None], excerpt), 1 / samples)
    return np.asarray(weights @ values[order])


def limits_table(human: Baseline, samples: int, count: int) -> Table:
    """The limits for a contestant with so many samples, whose prompts are from `count` pieces."""
    table: Table = {}
    for name, by_measure in human.values.items():
        values = np.stack(list(by_measure.values()), axis=1)
        size = min(samples, DISGUISED_SAMPLES) if name in DISGUISES else samples
        means = set_means(human.pieces[name], values, size, count)
        reached = np.quantile(means, QUANTILE, axis=0)
        table[name] = {
            measure: Limit(human=mean, threshold=threshold_of(measure, mean, top))
            for measure, mean, top in zip(
                by_measure, values.mean(axis=0).tolist(), reached.tolist(), strict=True
            )
        }
    return table


def limits_of(dataset: Dataset, protocol: Protocol, count: int) -> Limits:
    """The limits for a contestant whose prompts are from `count` pieces."""
    full = measure_human(dataset, protocol)
    melodies = measure_human(dataset, protocol, change=melody)
    excerpts = len(full.pieces["data set"])
    enough = excerpts >= FEWEST_EXCERPTS
    return Limits(
        excerpts=excerpts,
        notes=full.notes,
        fewest=tuple(full.fewest.tolist()),
        full=limits_table(full, protocol.samples, count) if enough else {},
        melodies=limits_table(melodies, protocol.samples, count) if enough else {},
    )


def cached_limits(dataset: Dataset, protocol: Protocol, count: int) -> Limits:
    """The same, computed once and kept in the cache folder."""
    shape = (protocol.samples, protocol.steps, protocol.prompt, protocol.unprompted, count)
    key = f"{copy_report.VERSION} {dataset.fingerprint} {shape}"
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = cache_dir() / "copying" / f"{dataset.name}-{name}.json"
    try:
        return Limits.model_validate(read_json(path))
    except (ValidationError, OSError):
        limits = limits_of(dataset, protocol, count)
    try:
        write_json(path, limits.model_dump(mode="json"))
    except OSError as error:
        sys.stderr.write(
            f"{path} cannot be written ({error.strerror}): the thresholds for copying are"
            " computed again next time.\n"
        )
    return limits


# -- the verdict ------------------------------------------------------------------------------------


def compare(values: Mapping[str, Floats], name: str, tables: Sequence[Table]) -> Comparison:
    """The means of the samples' `values` (samples,), by measure, beside their limits.

    `name` is a reference or a disguise. Of several tables, each threshold is the highest.
    """
    limits = tables[0][name]
    means = {measure: float(each.mean()) for measure, each in values.items()}
    measures = []
    for measure, value in means.items():
        threshold = max(table[name][measure].threshold for table in tables)
        copies = value > threshold
        if measure in SPLICES:
            share = SPLICES[measure]
            copies &= means[share] >= limits[share].human - SPLICE_SLACK
        human = limits[measure].human
        measures.append(
            Measure(name=measure, value=value, human=human, threshold=threshold, copies=copies)
        )
    disguise = name if name in DISGUISES else ""
    return Comparison(reference=reference_of(name), disguise=disguise, measures=tuple(measures))


def make_report(
    dataset: Dataset,
    protocol: Protocol,
    samples: Sequence[Score],
    prompts: Sequence[Prompt],
    *,
    human: bool = False,
) -> CopyReport:
    """Whether the samples are the contestant's own.

    `human`: they are the true continuations, which are not compared with their own pieces.
    """
    names = [prompt.piece for prompt in prompts]

    def report(verdict: Verdict, **fields: Any) -> CopyReport:
        return CopyReport(
            version=copy_report.VERSION,
            verdict=verdict,
            samples=samples_hash([sample.content_hash for sample in samples]),
            data=dataset.fingerprint,
            protocol=protocol,
            **fields,
        )

    limits = cached_limits(dataset, protocol, len(set(names)))
    if limits.excerpts < FEWEST_EXCERPTS:
        return report(
            "unknown",
            reason=f"{dataset.name} has {limits.excerpts} held-out excerpts as long as a sample;"
            f" thresholds take at least {FEWEST_EXCERPTS}",
        )
    matches_by_name = match_samples(
        library_of(dataset),
        samples,
        [prompt.score for prompt in prompts],
        _same_piece(names),
        np.array(limits.fewest),
        _own_pieces(dataset, names) if human else None,
    )
    sparse = np.mean([len(sample) for sample in samples]) < SPARSE * limits.notes
    tables = [limits.full, limits.melodies] if sparse else [limits.full]
    plain = matches_by_name["data set"][0].share[:, STRETCH_NAMES.index(WHOLE)]
    comparisons = []
    passages: list[Passage] = []
    for name, (matches, which) in matches_by_name.items():
        values = measure_values(matches, name)
        if name in DISGUISES:
            # Simple music is explained in any disguise: only a gain over the plain notes counts.
            values[WHOLE] = np.where(values[WHOLE] > plain[which], values[WHOLE], 0)
        comparison = compare(values, name, tables)
        comparisons.append(comparison)
        if comparison.copies:
            passages += _passages(comparison, matches, which.tolist(), dataset, samples, prompts)
    verdict: Verdict = "copies" if any(each.copies for each in comparisons) else "own"
    return report(verdict, comparisons=tuple(comparisons), passages=tuple(passages))


def _passages(
    comparison: Comparison,
    matches: Matches,
    which: Sequence[int],
    dataset: Dataset,
    samples: Sequence[Score],
    prompts: Sequence[Prompt],
) -> list[Passage]:
    """The clearest stretches of the samples with the highest share, for the clearest measure."""
    clearest = comparison.clearest
    if clearest is None:
        return []
    stretch = SPLICES.get(clearest.name, clearest.name)
    if stretch == COPIED_SAMPLES:
        stretch = BAR if comparison.reference == "itself" else FOUR_BARS
    column, bar = STRETCH_NAMES.index(stretch), dataset.bar
    library, pieces = library_of(dataset), sources(dataset)
    sample_starts = starts_of(samples, bar)
    passages = []
    for row in np.argsort(-matches.share[:, column], kind="stable")[:PASSAGES].tolist():
        matched = int(matches.matched[row, column])
        if not matched:
            continue
        sample, first = which[row], int(matches.bar[row, column])
        step = first * bar + int(matches.shift[row, column])  # on the timeline of the reference
        size = STRETCHES[column] or -(-prompts[sample].continuation.length // bar)
        middle = step + size * bar // 2
        source, split = "", ""
        if comparison.reference == "itself":
            source = "prompt" if step < 0 else "own bars"
            step += prompts[sample].score.length if step < 0 else 0
        elif comparison.reference == "other samples":
            number = int(np.searchsorted(sample_starts, middle, "right")) - 1
            source, step = str(number), step - int(sample_starts[number])
        else:
            number = library.piece_at(middle)
            (source, split), step = pieces[number], step - int(library.start[number])
        source_bar = max(0, step) // bar + 1
        passages.append(
            Passage(
                sample=sample,
                reference=comparison.reference,
                disguise=comparison.disguise,
                source=source,
                split=split,
                bars=(first + 1, first + size),
                source_bars=(source_bar, source_bar + size - 1 + (step % bar > 0)),
                source_offset=step % bar,
                semitones=int(matches.semitones[row, column]),
                matched=matched,
                notes=int(matches.notes[row, column]),
            )
        )
    return passages
