from dataclasses import FrozenInstanceError, asdict, dataclass
from typing import Literal

import pytest

from bench.errors import BenchError
from bench.training.settings import Configured


class Toy(Configured):
    @dataclass(frozen=True)
    class Settings:
        size: int = 3
        layers: tuple[int, ...] = (4, 5)
        sampler: Literal["softmax", "argmax", "mixed"] = "softmax"

    settings: Settings


class Plain(Configured):
    pass


def test_settings_that_are_not_named_have_their_defaults() -> None:
    assert Toy(size=7).settings == Toy.Settings(size=7, layers=(4, 5), sampler="softmax")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Toy().settings.size = 4  # type: ignore[misc]


def test_an_unknown_setting_names_the_known_ones() -> None:
    with pytest.raises(BenchError, match="no setting of Toy called 'siz'"):
        Toy(siz=4)
    with pytest.raises(BenchError, match="Known: layers, sampler, size"):
        Toy(colour="red")
    with pytest.raises(BenchError, match="no setting of Plain called 'size'"):
        Plain(size=4)


def test_a_value_that_is_not_among_the_choices_names_them() -> None:
    with pytest.raises(BenchError, match="sampler = 'beam': choose softmax, argmax or mixed"):
        Toy(sampler="beam")


def test_a_list_becomes_a_tuple_so_that_settings_from_json_are_equal() -> None:
    assert Toy(layers=[1, 2]).settings == Toy(layers=(1, 2)).settings
    assert asdict(Toy(layers=[1, 2]).settings)["layers"] == (1, 2)
