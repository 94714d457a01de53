"""The systems, metrics, data sets and presets as `bench list` and `bench show` print them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bench import data, registry
from bench.errors import unknown
from bench.jobs.plan import PRESETS


def listing(what: str) -> list[dict[str, Any]]:
    """One row per system, metric, preset or data set, all with the same keys."""
    if what == "systems":
        return [
            {"name": spec.id, "kind": spec.kind, "paper": spec.paper, "title": spec.title}
            | {"variants": ", ".join(spec.variants())}
            for spec in registry.systems().values()
        ]
    if what == "metrics":
        return [
            {"name": name, "version": cls.version, "unit": cls.unit, "better": cls.direction}
            | {"headline": "yes" if cls.headline else "", "measures": cls.measures}
            for name, cls in registry.metrics().items()
        ]
    if what == "presets":
        return [
            {"name": name, "samples": preset.samples, "bars": preset.bars, "seeds": preset.seeds}
            | {"about": preset.about}
            for name, preset in PRESETS.items()
        ]
    infos = [data.describe(name) for name in data.names()]
    return [
        {"name": info.name, "title": info.title, "pieces": sum(info.counts.values())}
        | {"where": info.here}
        for info in infos
    ]


def data_card(info: data.Info) -> dict[str, Any]:
    """Everything about a data set, and where it is."""
    return {**asdict(info), "where": info.here}


def describe(name: str) -> dict[str, Any]:
    """Everything about the system, metric, data set or preset of that name."""
    if name in registry.systems() or "+" in name:
        spec = registry.system(name)
        about = spec.model_dump(by_alias=True)
        about["settings"] = registry.defaults(spec.class_path) | spec.settings
        return {"kind of thing": "system", **about}
    if name in registry.metrics():
        cls = registry.metrics()[name]
        keys = ("version", "unit", "direction", "headline", "measures", "blind_to", "citation")
        return {"kind of thing": "metric", "name": name, **{key: getattr(cls, key) for key in keys}}
    if name in data.names():
        return {"kind of thing": "data set", **data_card(data.describe(name))}
    if name in PRESETS:
        return {"kind of thing": "preset", "name": name, **PRESETS[name].model_dump()}
    known = [*registry.systems(), *registry.metrics(), *data.names(), *PRESETS]
    raise unknown("system, metric, data set or preset", name, known)
