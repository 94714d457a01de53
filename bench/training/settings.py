"""How a system is configured: by one frozen dataclass, which is the only list of its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from bench.errors import BenchError, unknown


@dataclass(frozen=True)
class NoSettings:
    """Of a system that cannot be configured."""


class Configured:
    """A system whose constructor takes the fields of its dataclass `Settings` as keywords.

    Catalogues, names such as `chord-lstm+batch=25` and saved systems use the same fields.
    A field of type Literal accepts only the values it lists. Lists become tuples, so that settings
    read from JSON are equal to those that were written.
    """

    Settings: ClassVar[type] = NoSettings
    settings: Any  # an instance of Settings

    def __init__(self, **settings: Any) -> None:
        types = get_type_hints(self.Settings)
        for name, value in settings.items():
            if name not in types:
                raise unknown(f"setting of {type(self).__name__}", name, types)
            choices = get_args(types[name]) if get_origin(types[name]) is Literal else ()
            if choices and value not in choices:
                listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
                raise BenchError(f"{name} = '{value}': choose {listed}.")
            settings[name] = tuple(value) if isinstance(value, list) else value
        self.settings = self.Settings(**settings)
