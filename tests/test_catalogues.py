"""The built-in catalogues can be read, and what they name can be built."""

from pathlib import Path

import pytest

from bench.contract import System
from bench.registry import SystemSpec, read_catalogue

ROOT = Path(__file__).parent.parent
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
def test_a_system_that_learns_has_a_budget_for_every_preset(spec: SystemSpec) -> None:
    budget = spec.budget
    assert budget.smoke <= budget.quick <= budget.standard
    assert (budget.smoke > 0) == (budget.standard > 0)


def test_no_two_catalogues_define_the_same_system() -> None:
    assert len({spec.id for spec in SPECS}) == len(SPECS)
