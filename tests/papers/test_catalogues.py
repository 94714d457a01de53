"""The built-in catalogues can be read, and what they name can be built."""

import importlib
import json
import pkgutil
from dataclasses import FrozenInstanceError, asdict, fields, is_dataclass
from pathlib import Path

import pytest

import baselines
import bench.architectures
import bench.treatments
from bench.cli.listing import describe
from bench.contract import System
from bench.errors import BenchError
from bench.registry import SystemSpec, defaults, read_catalogue

ROOT = Path(__file__).parents[2]
CATALOGUES = [
    ROOT / "baselines" / "baselines.toml",
    *sorted((ROOT / "bench/papers").glob("*.toml")),
]
SPECS = [
    spec for file in CATALOGUES for spec in read_catalogue(file.read_text(), str(file)).values()
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
def test_every_variant_of_a_system_can_be_built(spec: SystemSpec) -> None:
    for variant in spec.variants():
        assert isinstance(spec.build(variant), System)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
def test_settings_are_a_frozen_dataclass_of_all_that_the_constructor_takes(
    spec: SystemSpec,
) -> None:
    for variant in spec.variants():
        system = spec.build(variant)
        cls, settings = type(system), system.settings  # type: ignore[attr-defined]
        assert is_dataclass(cls.Settings)  # type: ignore[attr-defined]
        assert type(settings) is cls.Settings  # type: ignore[attr-defined]
        names = [field.name for field in fields(settings)]
        assert names == [*(["wrapped"] if spec.wraps else []), *defaults(spec.class_path)]
        with pytest.raises((FrozenInstanceError, TypeError)):
            settings.anything = 1
        values = {name: getattr(settings, name) for name in names}
        assert cls(**values).settings == settings
        with pytest.raises(BenchError, match=r"no setting of .* called 'anything'"):
            cls(**values, anything=1)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
def test_settings_survive_json(spec: SystemSpec) -> None:
    for variant in spec.variants():
        for size in ("full", "reduced", "small"):
            system = spec.build(variant, size)
            text = json.dumps(asdict(system.settings))  # type: ignore[attr-defined]
            again = type(system)(**json.loads(text))
            assert again.settings == system.settings  # type: ignore[attr-defined]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
def test_bench_show_has_every_setting_with_its_value(spec: SystemSpec) -> None:
    settings = asdict(spec.build().settings)  # type: ignore[attr-defined]
    settings.pop("wrapped", None)
    assert json.dumps(describe(spec.id)["settings"]) == json.dumps(settings)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
def test_a_system_that_learns_has_a_budget_for_every_preset(spec: SystemSpec) -> None:
    budget = spec.budget
    assert budget.smoke <= budget.quick <= budget.standard
    assert (budget.smoke > 0) == (budget.standard > 0)


def test_no_two_catalogues_define_the_same_system() -> None:
    assert len({spec.id for spec in SPECS}) == len(SPECS)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
def test_a_system_says_where_it_is_from_and_what_was_published(spec: SystemSpec) -> None:
    # Silence, the pieces themselves and what cheats with them are from nowhere.
    assert spec.citation or spec.kind in ("floor", "ceiling", "control")
    assert spec.about
    assert spec.published
    if "none" in spec.published:
        assert spec.published.keys() == {"none"}  # no figures, and the reason
        assert spec.published["none"]
    if spec.kind == "paper":
        assert spec.section
        assert spec.decisions


def classes_of(package: object) -> set[str]:
    """The systems that a package's modules define, bases of others left out."""
    systems = []
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):  # type: ignore[attr-defined]
        content = vars(importlib.import_module(module.name)).values()
        own = [c for c in content if isinstance(c, type) and c.__module__ == module.name]
        systems += [c for c in own if all(hasattr(c, name) for name in ("fit", "sample", "load"))]
    bases = {base for c in systems for base in c.__mro__[1:]}
    leaves = [c for c in systems if c not in bases and not getattr(c, "_is_protocol", False)]
    return {f"{c.__module__}:{c.__qualname__}" for c in leaves}


@pytest.mark.parametrize(
    "package", [bench.architectures, bench.treatments, baselines], ids=lambda p: p.__name__
)
def test_no_system_is_left_out_of_the_catalogues(package: object) -> None:
    classes = classes_of(package)
    assert len(classes) > 3
    assert classes <= {spec.class_path for spec in SPECS}
