"""Finds systems, metrics and data sets through entry points, built-in ones and others alike."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import inspect
import json
import re
import sys
import tomllib
from functools import cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.contract import Budget, Metric, System
from bench.errors import BenchError, unknown

# A control is a contestant that a ranking must not reward: run on demand, never ranked.
Kind = Literal["paper", "baseline", "reference", "floor", "ceiling", "control", "external"]
Variant = Literal["corrected", "as-published"]
PresetName = Literal["smoke", "quick", "standard", "paper"]
# Of a network: which judges are of its own kind and may not score it (`bench.judges.families`).
Family = Literal["attention", "recurrent", "feed-forward"]
Direction = Literal["forward", "backward"]  # of a system's samples, seen from their prompts
Size = Literal["full", "reduced", "small"]  # of a network: the paper's, or what the preset affords
Settings = dict[str, Any]  # of a system, as catalogues and job descriptions write them


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class BudgetBlock(_Block):
    """How much each preset spends, and what the paper spent (none where there is nothing to learn)."""

    unit: Literal["updates", "passes"] = "updates"
    smoke: int = 0
    quick: int = 0
    standard: int = 0
    paper: int | None = None  # what the paper spent; none where it names nothing

    def of(self, preset: PresetName) -> Budget:
        """The budget under a preset; `paper` falls back on `standard` where no paper names one."""
        amount = self.paper if preset == "paper" and self.paper else None
        if amount is None:
            amount = self.standard if preset == "paper" else getattr(self, preset)
        return Budget(amount, self.unit, self.paper)


class CostBlock(_Block):
    """What a job takes before any was measured."""

    # Under smoke and quick on two CPU cores, measured; under standard and paper on a GPU, guessed.
    seconds: dict[PresetName, float] = Field(default_factory=dict)
    # One unit of the budget at full size on one CPU core: there standard and paper take as many.
    unit_seconds: float | None = None
    memory_mb: int = 700
    disk_mb: int = 5


class AsPublished(_Block):
    """The variant that keeps the original's defects: the settings that differ, each defect named."""

    settings: Settings
    reduced: Settings = Field(default_factory=dict)  # of the reduced network, instead of its own
    defects: tuple[str, ...] = Field(min_length=1)


class SystemSpec(_Block):
    """One contestant as its catalogue describes it."""

    id: str
    title: str
    kind: Kind
    class_path: Annotated[str, Field(alias="class")]  # module:Class, or path/to/file.py:Class
    version: int = 1  # raise it when the code changes what the system does
    settings: Settings = Field(default_factory=dict)
    reduced: Settings = Field(default_factory=dict)  # at which a CPU learns something: quick
    small: Settings = Field(default_factory=dict)  # at which tests can afford it: smoke
    family: Family | None = None  # of its network; no judge of the same family scores it
    about: str = ""
    paper: str = ""  # short form, as the board shows it
    citation: str = ""
    section: str = ""  # where in the paper
    anchor: Literal[0, 1] | None = None  # the system that is skill 0, and the one that is skill 1
    data: tuple[str, ...] | None = None  # the data sets it can learn from; none: any
    wraps: str | None = None  # the system that this one treats
    direction: Direction | None = None  # backward: its class says so too; none: that of `wraps`
    # Other sets it learns from first, by data set; "*" stands for all that are not named.
    also: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    budget: BudgetBlock = Field(default_factory=BudgetBlock)
    cost: CostBlock = Field(default_factory=CostBlock)
    published: dict[str, Any]  # the paper's figures; or {none = "reason"}
    decisions: tuple[str, ...] = ()  # what was decided where the paper is silent, and why
    as_published: AsPublished | None = Field(default=None, alias="as-published")

    @model_validator(mode="after")
    def _published_is_never_forgotten(self) -> SystemSpec:
        if not self.published:
            raise ValueError('published: give the figures, or none = "the reason"')
        return self

    def size_of(self, preset: PresetName) -> Size:
        """At which size the system runs under a preset: the paper's wherever that can be afforded."""
        treated = [self, system(self.wraps)] if self.wraps else [self]
        if preset == "smoke" and any(spec.small for spec in treated):
            return "small"
        if preset == "quick" and any(spec.reduced for spec in treated):
            return "reduced"
        return "full"

    def settings_of(self, variant: Variant, size: Size = "full") -> Settings:
        """The constructor's keywords for a variant; `wrapped` describes the system it treats."""
        settings = dict(self.settings)
        if variant == "as-published":
            if self.as_published is None:
                raise BenchError(f"{self.id} has no as-published variant: no defect of it matters.")
            settings |= self.as_published.settings
        if size != "full":
            settings |= self.small if size == "small" else self.reduced
        if variant == "as-published" and self.as_published and size == "reduced":
            settings |= self.as_published.reduced
        if self.wraps:
            inner = system(self.wraps)
            inside: Variant = variant if variant in inner.variants() else "corrected"
            settings["wrapped"] = {
                "class": inner.class_path,
                "settings": inner.settings_of(inside, size),
                "source": source_hash(inner),
            }
        return settings

    @property
    def backward(self) -> bool:
        """Whether its samples lead up to their prompts, which are then endings.

        Catalogues say so, so that planning loads no networks; of other systems, the class does.
        """
        own = self.direction
        if own is None and self.kind == "external":
            own = getattr(load_object(self.class_path), "direction", None)
        if own is None and self.wraps:
            return system(self.wraps).backward
        return own == "backward"

    def variants(self) -> tuple[Variant, ...]:
        """The variants that exist."""
        return ("corrected", "as-published") if self.as_published else ("corrected",)

    def learns_from(self, dataset: str) -> bool:
        """Whether the system can be trained on the data set."""
        named = self.data if self.data is not None else tuple(self.also) or None
        return named is None or dataset in named or "*" in named

    def also_for(self, dataset: str) -> tuple[str, ...]:
        """The other sets that it learns from first, beside this one."""
        return self.also.get(dataset, self.also.get("*", ()))

    def build(self, variant: Variant = "corrected", size: Size = "full") -> System:
        """An unfitted system."""
        return build(self.class_path, self.settings_of(variant, size), self.id)


def build(class_path: str, settings: dict[str, Any], name: str) -> System:
    """An unfitted system of that class; BenchError if the settings are not those of the class."""
    cls = load_object(class_path)
    signature = inspect.signature(getattr(cls, "Settings", cls))
    try:
        signature.bind(**settings)
    except TypeError as error:
        known = ", ".join(signature.parameters) or "none"
        raise BenchError(f"{name}: {error}. The settings of {class_path} are: {known}.") from None
    system: System = cls(**settings)
    return system


def _entry_points(group: str) -> list[importlib.metadata.EntryPoint]:
    return sorted(
        importlib.metadata.entry_points(group=f"musicbench.{group}"), key=lambda e: e.name
    )


def read_catalogue(text: str, where: str) -> dict[str, SystemSpec]:
    """The systems of one catalogue; BenchError names the block and the key that is wrong."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BenchError(f"{where} is no valid TOML: {error}") from None
    paper = content.get("paper", {})
    specs = {}
    for name, block in content.get("systems", {}).items():
        try:
            specs[name] = SystemSpec(
                id=name,
                **{"paper": paper.get("short", ""), "citation": paper.get("citation", "")} | block,
            )
        except (ValidationError, TypeError) as error:
            raise BenchError(f"{where}, [systems.{name}]: {error}") from None
    return specs


class ClaimBlock(_Block):
    """What a paper says of two systems, or of one, so that rows can be asked whether it holds."""

    paper: str = ""  # short form
    section: str = ""
    says: str
    published: str = ""  # the figures or words that it rests on
    first: str = ""  # a system's id, or id:as-published
    second: str = ""
    by: tuple[str, ...] = ()  # columns of the board, or of the training curves
    expects: Literal["better", "worse", "higher", "lower", "no different", "above"] = "better"
    than: float | None = None  # what the first is to be above, where it is compared to no system
    # "curves": two systems by what both recorded last in training. "snapshots": one system, as it
    # is at the end, against itself as it was at the first snapshot of its training.
    along: Literal["", "curves", "snapshots"] = ""
    untestable: str = ""  # why no row can answer it
    on: Literal["original keys"] | None = None  # of which data sets it speaks; none: of all
    of_silence: bool = False  # samples that are silent or repeat one pitch class answer it too
    note: str = ""  # what to know when reading the answer


def read_claims(text: str, where: str) -> list[ClaimBlock]:
    """The claims of a catalogue's paper; BenchError says what is wrong with which."""
    content = tomllib.loads(text)
    short = content.get("paper", {}).get("short", "")
    claims = []
    for number, block in enumerate(content.get("claims", []), 1):
        try:
            claims.append(ClaimBlock(**{"paper": short} | block))
        except (ValidationError, TypeError) as error:
            raise BenchError(f"{where}, claim {number}: {error}") from None
    return claims


@cache
def claims() -> list[ClaimBlock]:
    """What the papers of every installed catalogue claim."""
    return [
        claim
        for file in _catalogues()
        for claim in read_claims(file.read_text(encoding="utf-8"), str(file))
    ]


def _catalogues() -> list[Traversable]:
    return [
        importlib.resources.files(entry.value) / f"{entry.name.replace('-', '_')}.toml"
        for entry in _entry_points("catalogues")
    ]


@cache
def systems() -> dict[str, SystemSpec]:
    """Every system of every installed catalogue, by id, in catalogue order."""
    specs: dict[str, SystemSpec] = {}
    for file in _catalogues():
        for name, spec in read_catalogue(file.read_text(encoding="utf-8"), str(file)).items():
            if name in specs:
                raise BenchError(
                    f"Two catalogues define the system '{name}'; {file} is the second."
                )
            specs[name] = spec
    for entry in _entry_points("systems"):
        if entry.name in specs:
            raise BenchError(f"Two packages offer a system called '{entry.name}': {entry.value}.")
        specs[entry.name] = external(entry.name, entry.value)
    return specs


def external(name: str, class_path: str) -> SystemSpec:
    """The entry of a system that came without a catalogue."""
    return SystemSpec(
        id=name,
        title=name,
        kind="external",
        class_path=class_path,
        published={"none": "not from a paper of the suite"},
        budget=BudgetBlock(smoke=20, quick=400, standard=5000),
    )


def system(name: str) -> SystemSpec:
    """The system of that id or of `path/to/file.py:Class`, other settings after it: `id+key=value`."""
    name, *changes = re.split(r"\+(?=[a-z_]+=)", name)
    if changes:
        return changed(system(name), dict(change.split("=", 1) for change in changes))
    if ".py:" in name:
        path, _, cls = name.rpartition(":")
        if not Path(path).is_file():
            raise BenchError(f"{path} does not exist; give --systems path/to/file.py:ClassName.")
        return external(cls, f"{Path(path).resolve()}:{cls}")
    known = systems()
    if name not in known:
        raise unknown("system", name, known)
    return known[name]


def changed(spec: SystemSpec, changes: dict[str, str]) -> SystemSpec:
    """The system with other settings, which are part of its new id; `wraps`: what it treats.

    BenchError for a setting that the system does not have, and for a value of another type.
    """
    usual = defaults(spec.class_path) | spec.settings
    values = {name: _value(text) for name, text in changes.items() if name != "wraps"}
    for name, value in values.items():
        if name not in usual:
            raise unknown(f"setting of {spec.id}", name, usual)
        if not _alike(value, usual[name]):
            raise BenchError(
                f"{spec.id}: {name} cannot be {value!r}; by default it is {usual[name]!r}."
            )
    update: dict[str, Any] = {
        "settings": spec.settings | values,
        "reduced": {k: v for k, v in spec.reduced.items() if k not in values},
        "small": {k: v for k, v in spec.small.items() if k not in values},
        "anchor": None,
        "published": {"none": f"not as in the paper: {', '.join(changes)}"},
    }
    if spec.as_published:
        published = spec.as_published
        update["as_published"] = published.model_copy(
            update={
                "settings": {k: v for k, v in published.settings.items() if k not in values},
                "reduced": {k: v for k, v in published.reduced.items() if k not in values},
            }
        )
    if "wraps" in changes:
        if not spec.wraps:
            raise BenchError(f"{spec.id} treats no other system: leave out wraps.")
        inner = system(changes["wraps"])
        learns = inner.budget.standard > 0  # a system that only counts has no budget
        update |= {"wraps": changes["wraps"], "data": inner.data}
        update |= {"budget": inner.budget if learns else spec.budget}
        changes = changes | {"wraps": inner.id}
    words = [f"{name}={value}" for name, value in changes.items()]
    update["id"] = "+".join([spec.id, *words])
    update["title"] = f"{spec.title} ({', '.join(words)})"
    new = spec.model_copy(update=update)
    new.build()
    return new


def defaults(class_path: str) -> dict[str, Any]:
    """The settings of a class with their default values, none where a value is required.

    They are the fields of its dataclass `Settings`, or else the parameters of its constructor;
    `wrapped`, which the catalogue fills in, is left out.
    """
    cls = load_object(class_path)
    parameters = inspect.signature(getattr(cls, "Settings", cls)).parameters
    return {
        name: None if parameter.default is parameter.empty else parameter.default
        for name, parameter in parameters.items()
        if name != "wrapped"
    }


def _alike(value: Any, default: Any) -> bool:
    """Whether a value has the type of the default value; none is alike to everything."""
    if value is None or default is None:
        return True
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, tuple):
        return isinstance(value, list)
    return type(value) is type(default)


def _value(text: str) -> Any:
    """A number, a list, true, false or null, as JSON has them; otherwise the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def source_hash(spec: SystemSpec) -> str:
    """What identifies a system's code: its version, and the file itself where it is the user's."""
    path, _, _ = spec.class_path.rpartition(":")
    if path.endswith(".py"):
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return f"version {spec.version}"


def load_object(path: str) -> Any:
    """What `module:name` or `path/to/file.py:name` points to."""
    where, _, name = path.rpartition(":")
    try:
        if where.endswith(".py"):
            module_name = f"_musicbench_user_{Path(where).stem}"
            spec = importlib.util.spec_from_file_location(module_name, where)
            if spec is None or spec.loader is None:
                raise BenchError(f"{where} cannot be read as a Python file.")
            module = importlib.util.module_from_spec(spec)
            sys.modules[module_name] = module
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(where)
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        raise unknown(f"class in {where}", name, [n for n in vars(module) if not n.startswith("_")])
    return getattr(module, name)


@cache
def metrics() -> dict[str, type[Metric]]:
    """Every installed metric's class, by the name it declares."""
    classes: dict[str, type[Metric]] = {}
    for entry in _entry_points("metrics"):
        cls = load_object(entry.value)
        if cls.name != entry.name:
            raise BenchError(
                f"The metric {entry.value} is called '{cls.name}', not '{entry.name}'."
            )
        classes[entry.name] = cls
    return classes


def metric(name: str) -> type[Metric]:
    """The metric of that name."""
    known = metrics()
    if name not in known:
        raise unknown("metric", name, known)
    return known[name]


def app(name: str) -> Any:
    """What starts an application that stands on top of us, such as the dashboard."""
    known = {entry.name: entry for entry in _entry_points("apps")}
    if name not in known:
        raise unknown("application", name, known)
    return load_object(known[name].value)


@cache
def report_parts() -> dict[str, Any]:
    """What installed packages add to reports, by name:

    `feature_map(reference, samples)` gives two coordinates for windows of the test excerpts and of
    the samples; `in_words(values, human_values)` says in a line what figures by metric mean.
    """
    return {entry.name: load_object(entry.value) for entry in _entry_points("report")}


@cache
def datasets() -> dict[str, Any]:
    """The `bench.data.Source` of every installed data set, by name; `bench.data` adds the user's own."""
    return {entry.name: load_object(entry.value) for entry in _entry_points("datasets")}
