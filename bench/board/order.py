"""Whether an order of contestants can be believed: it must keep orders that are known beforehand.

Contestants are made for a data set, such that of some pairs one must be the better whatever a metric
says: human continuations and the same made worse, step by step; a network and the same after fewer
updates; of two networks with the same kind of likelihood, the likelier; a network and a control, which
cheats. Every way to make one number of several metrics is asked how many of these orders it keeps.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError

from bench import registry
from bench.board.rows import Group, Row, headline_metrics
from bench.board.skills import AGGREGATES, questions_of, skills_of
from bench.contract import Budget, Floats, Metric, NoLog
from bench.data.dataset import Dataset
from bench.errors import BenchError
from bench.music import Score, concatenate
from bench.protocol import corruptions, sampling
from bench.protocol.copying import make_report
from bench.protocol.corruptions import LADDERS, Material, noise
from bench.protocol.measuring import draws_of
from bench.protocol.sampling import Protocol
from bench.registry import PresetName, SystemSpec
from bench.seeds import named_generator

FILE = "order.csv"  # beside the board

Kind = Literal["corruption", "training", "likelihood", "control"]
KINDS: tuple[Kind, ...] = ("corruption", "training", "likelihood", "control")
DECIDING: tuple[Kind, ...] = KINDS[:3]  # those that the choice of an aggregate rests on

SHARES = (1 / 16, 1 / 4, 1.0)  # of a preset's budget
CLEARLY = 0.05  # of the nats: a smaller difference in likelihood says nothing of the samples
AFFORDABLE = 20.0  # seconds under quick: the systems that are trained unless some are named
LEVELS = 3  # of each ladder
EXCLUDED = ("training copies", "transposition")  # ladders along which music does not get worse


class Contestant(NamedTuple):
    """A set of samples with a name."""

    name: str
    samples: Sequence[Score]
    system: str = ""  # that made them; empty: they were made from human music
    nats: float | None = None  # per step of the validation pieces
    kind: str = ""  # of the likelihood, with its object


@dataclass(frozen=True)
class Order:
    """A pair of contestants of which the first must be the better one."""

    better: str
    worse: str
    kind: Kind


@dataclass(frozen=True)
class Study:
    """What came out on one data set."""

    table: list[Kept]
    accused: dict[str, str]  # each control, and the copying report's sentence; empty: none


@dataclass(frozen=True)
class Kept:
    """How many of the orders of one kind an aggregate keeps on a data set. Ties count half."""

    dataset: str
    aggregate: str
    kind: Kind
    kept: float
    orders: int
    broken: tuple[str, ...] = ()  # "A is not above B"


# -- contestants made from human music ----------------------------------------------------------------


def made_worse(
    human: Sequence[Score], prompts: Sequence[sampling.Prompt], music: Material, seed: int
) -> Iterator[tuple[list[str], Contestant]]:
    """Contestants made from human continuations, each with the names of those that are better."""
    yield [], Contestant("human", human)
    bar = music.bar
    sources = [prompt.piece for prompt in prompts]

    def rng(name: str) -> np.random.Generator:
        return named_generator(seed, name)

    for ladder in LADDERS:
        if ladder.name in EXCLUDED:
            continue
        places = np.linspace(0, len(ladder.levels) - 1, LEVELS + 1).round().astype(int)[1:]
        better = "human"
        for level in (ladder.levels[place] for place in places):
            name = f"{ladder.name} {level:g}"
            yield [better], Contestant(name, ladder.corrupt(music, level, rng(name)))
            better = name
    key, order, octaves = rng("random key"), rng("order of bars"), rng("random octaves")
    changed: dict[str, list[Score]] = {
        "continuation of another prompt": corruptions.swapped(human, sources),
        "second half of another": corruptions.halves_exchanged(human, sources),
        "random key": [corruptions.random_key(piece, key) for piece in human],
        "bars in random order": [corruptions.bars_shuffled(piece, bar, order) for piece in human],
        "backwards": [corruptions.backwards(piece) for piece in human],
        "upside down": [corruptions.upside_down(piece) for piece in human],
        "random octaves": [corruptions.random_octaves(piece, octaves) for piece in human],
        "first half twice": [corruptions.first_half_twice(piece) for piece in human],
        "prompt over and over": [
            concatenate([prompt.score] * -(-piece.length // bar)).slice(0, piece.length)
            for prompt, piece in zip(prompts, human, strict=True)
            if prompt.score.length
        ],
        "one piece for all": [human[0]] * len(human),
        "silence": [Score.silence(piece.length, piece.grid) for piece in human],
        "noise": noise(music, rng("noise")),
    }
    for name, pieces in changed.items():
        if len(pieces) == len(human):
            yield ["human"], Contestant(name, pieces)


# -- contestants that are trained ---------------------------------------------------------------------


def affordable(dataset: Dataset) -> list[SystemSpec]:
    """The systems that learn something from the data set within seconds."""
    return [
        spec
        for spec in registry.systems().values()
        if spec.budget.quick
        and spec.learns_from(dataset.name)
        and not spec.also_for(dataset.name)
        and not spec.backward  # it would need prompts of its own
        and spec.cost.seconds.get("quick", AFFORDABLE + 1) <= AFFORDABLE
    ]


def trained(
    spec: SystemSpec, dataset: Dataset, prompts: Sequence[sampling.Prompt], protocol: Protocol,
    preset: PresetName, seed: int,
) -> Iterator[Contestant]:  # fmt: skip
    """The system after growing shares of a preset's budget; once where there is nothing to learn."""
    whole = spec.budget.of(preset)
    valid = dataset.split("valid")
    amounts = [max(1, round(whole.amount * share)) for share in SHARES] if whole.amount else [0]
    for amount in dict.fromkeys(amounts):
        budget = Budget(amount, whole.unit, whole.paper)
        system = spec.build(size=spec.size_of(preset))
        system.fit(dataset.split("train"), valid, budget, seed, NoLog())
        samples = system.sample([prompt.score for prompt in prompts], protocol.steps, seed)
        nats = None
        if system.likelihood.kind != "none":
            logs = system.log_likelihood(valid)
            nats = -float(np.sum(logs)) / sum(piece.length for piece in valid)
        name = f"{spec.id} {amount} {budget.unit}" if amount else spec.id
        kind = f"{system.likelihood.kind} {system.likelihood.object}"
        yield Contestant(name, samples, spec.id, nats, kind)


def orders_of(made: Sequence[Contestant]) -> Iterator[Order]:
    """The orders that the likelihoods of trained contestants tell beforehand."""
    for a in made:
        for b in made:
            if a.nats is None or b.nats is None or a.nats >= b.nats * (1 - CLEARLY):
                continue
            same = a.system == b.system
            if same and made.index(a) > made.index(b):  # trained longer, and likelier for it
                yield Order(a.name, b.name, "training")
            elif not same and a.kind == b.kind:
                yield Order(a.name, b.name, "likelihood")


# -- the table ----------------------------------------------------------------------------------------


def study(
    dataset: Dataset,
    protocol: Protocol,
    specs: Sequence[SystemSpec],
    preset: PresetName = "quick",
    seed: int = 0,
    on_step: Callable[[str], None] = lambda _: None,
) -> Study:
    """How many orders each aggregate keeps on the data set; the same seed gives the same study."""
    prompts = sampling.prompts(dataset, protocol)
    compared = sampling.reference(dataset, protocol, prompts)
    human = [prompt.continuation for prompt in prompts]
    music = Material(human, compared.train, [], dataset.bar)
    contestants, orders = [], []
    for better, contestant in made_worse(human, prompts, music, seed):
        contestants.append(contestant)
        orders += [Order(name, contestant.name, "corruption") for name in better]
    learnt: list[Contestant] = []
    for spec in specs:
        on_step(f"Training {spec.id}")
        learnt += trained(spec, dataset, prompts, protocol, preset, seed)
    orders += orders_of(learnt)
    controls, accused = [], {}
    for spec in registry.systems().values():
        if spec.kind == "control":
            on_step(f"Running {spec.id}")
            (control,) = trained(spec, dataset, prompts, protocol, preset, seed)
            report = make_report(dataset, protocol, list(control.samples), prompts)
            controls.append(control)
            accused[control.name] = report.sentence
    final = {contestant.system: contestant.name for contestant in learnt}  # the last of each
    orders += [Order(name, cheat.name, "control") for name in final.values() for cheat in controls]
    metrics = [registry.metric(name)() for name in headline_metrics()]
    for metric in metrics:
        metric.prepare(compared)  # once: judges listen to all true continuations
    rows = []
    for contestant in [*contestants, *learnt, *controls]:
        on_step(f"Scoring {contestant.name}")
        rows.append(_row(contestant, dataset, protocol, metrics))
    unranked = {name for name, sentence in accused.items() if sentence}
    return Study(list(kept(dataset.name, rows, orders, unranked)), accused)


def _row(
    contestant: Contestant, dataset: Dataset, protocol: Protocol, metrics: Sequence[Metric]
) -> Row:
    """The row of a contestant with its headline metrics, which are prepared."""
    row = Row(
        system=contestant.system or contestant.name,
        kind=_kind(contestant),
        variant="corrected",
        dataset=dataset.name,
        dataset_version=dataset.version,
        preset="order",
        status="ok",
        seeds=1,
        pieces=protocol.samples,
        steps=protocol.steps,
        prompted=not protocol.unprompted,
        budget=0,
        budget_unit="updates",
        device="cpu",
        dataset_fingerprint="",
        jobs=contestant.name,
    )
    anchors: Mapping[str, Literal[0, 1]] = {"human": 1, "noise": 0}
    row.evidence.anchor = anchors.get(contestant.name)
    for metric in metrics:
        measured = metric.score(contestant.samples)
        draws = draws_of(measured)
        if measured.value is not None and draws is not None:
            row.evidence.exact[metric.name] = measured.value
            row.evidence.draws[metric.name] = draws
    return row


def _kind(contestant: Contestant) -> str:
    anchors = {"human": "ceiling", "noise": "floor"}
    if contestant.system:
        return registry.system(contestant.system).kind
    return anchors.get(contestant.name, "external")


def kept(
    dataset: str, rows: Sequence[Row], orders: Sequence[Order], unranked: Collection[str] = ()
) -> Iterator[Kept]:
    """Count the orders that hold, by aggregate and kind. What is unranked is above nobody."""
    group = Group("order", tuple(rows))
    skills = skills_of(group, [row for row in rows if row.competes])
    counting = skills.counting
    if not counting:
        raise BenchError(f"No headline metric separates human music from noise on {dataset}.")
    questions = questions_of([skills.metrics[i] for i in counting])
    place = {row.jobs: number for number, row in enumerate(rows)}
    for name, aggregate in AGGREGATES.items():
        values: Floats = aggregate(skills.values[:, counting], questions)
        hits: dict[Kind, list[float]] = defaultdict(list)
        broken: dict[Kind, list[str]] = defaultdict(list)
        for order in orders:
            gap = values[place[order.better]] - values[place[order.worse]]
            gap = np.inf if order.worse in unranked else gap
            hits[order.kind].append(float(gap > 0) + 0.5 * float(gap == 0))
            if not gap > 0:
                broken[order.kind].append(f"{order.better} is not above {order.worse}")
        for kind in KINDS:
            if hits[kind]:
                yield Kept(
                    dataset, name, kind, sum(hits[kind]), len(hits[kind]), tuple(broken[kind])
                )


def agreement(table: Sequence[Kept], aggregate: str) -> float:
    """The share of orders that an aggregate keeps: the mean over data sets of that over kinds."""
    shares: dict[str, list[float]] = defaultdict(list)
    for line in table:
        if line.aggregate == aggregate and line.kind in DECIDING:
            shares[line.dataset].append(line.kept / line.orders)
    return float(np.mean([np.mean(each) for each in shares.values()])) if shares else float("nan")


# -- files ----------------------------------------------------------------------------------------------


def to_csv(table: Sequence[Kept]) -> str:
    """The table as CSV; the broken orders are joined with semicolons."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [field.name for field in fields(Kept)], lineterminator="\n")
    writer.writeheader()
    for line in table:
        writer.writerow(asdict(line) | {"kept": f"{line.kept:g}", "broken": "; ".join(line.broken)})
    return out.getvalue()


def read_csv(path: Path) -> list[Kept]:
    """The table of a file that `to_csv` made; BenchError says what is wrong with any other file."""
    try:
        lines = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        return [
            _LINE.validate_python(
                cells | {"broken": tuple(filter(None, cells["broken"].split("; ")))}
            )
            for cells in lines
        ]
    except (OSError, KeyError, AttributeError, UnicodeDecodeError, ValidationError) as error:
        raise BenchError(f"{path} is no table of `bench validate --order`: {error}") from None


_LINE = TypeAdapter(Kept)
