"""Writes the pages of commands, data sets, metrics and systems out of what is installed: run it and commit.

python docs/generate.py                              # after any change of what they show
python docs/generate.py --validity runs/validity.csv # after `bench validate`, too
"""

from __future__ import annotations

import argparse
import csv
import inspect
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from typer.models import ArgumentInfo, OptionInfo

from bench import registry
from bench.cli.main import app
from bench.contract import Metric
from bench.data.manifest import read_manifest
from bench.files import write
from bench.protocol import validity
from bench.protocol.corruptions import LADDERS
from bench.registry import SystemSpec

DOCS = Path(__file__).parent
PARTS = DOCS / "parts"  # written by hand, but for validity.csv
NOTE = "<!-- Written by docs/generate.py: change the code, run that, and commit. -->\n"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


def bullets(lines: Iterable[str]) -> str:
    """A list in Markdown."""
    return "".join(f"- {line}\n" for line in lines)


# -- commands --------------------------------------------------------------------------------------


def commands() -> str:
    """Every verb of the command line with its arguments and options."""
    parts = [NOTE, "# Commands\n", (PARTS / "commands.md").read_text()]
    verbs = list(verbs_of(app, "bench"))
    parts.append(table(("command", "what it does"), ((link(n), first(c)) for n, c in verbs)))
    for name, callback in verbs:
        parts += [
            f"## `{name}`\n",
            f"{code_spans(inspect.getdoc(callback) or '')}\n",
            verb(callback),
        ]
    return "\n".join(parts)


def verbs_of(group: typer.Typer, name: str) -> Iterator[tuple[str, Any]]:
    """The full name of every verb with its function, those of sub-commands after the others."""
    for command in group.registered_commands:
        callback = command.callback
        assert callback is not None  # noqa: S101 - only groups have none
        yield f"{name} {command.name or callback.__name__.replace('_', '-')}", callback
    for sub in group.registered_groups:
        if sub.typer_instance is not None:
            yield from verbs_of(sub.typer_instance, f"{name} {sub.name}")


def link(name: str) -> str:
    """A link to a verb's own part of the page."""
    return f"[`{name}`](#{name.replace(' ', '-')})"


def first(callback: Any) -> str:
    """The first paragraph of what a verb says of itself."""
    return code_spans((inspect.getdoc(callback) or "").split("\n\n")[0])


def code_spans(text: str) -> str:
    """Help as Markdown: its names in angle brackets would be taken for HTML."""
    return text.replace("<", "&lt;")


def verb(callback: Any) -> str:
    """A verb's arguments and options as a table."""
    rows = []
    for name, parameter in inspect.signature(callback, eval_str=True).parameters.items():
        kind, info = get_args(parameter.annotation)[:2]
        if not isinstance(info, OptionInfo | ArgumentInfo):
            raise TypeError(f"{callback.__name__}: {name} is neither an option nor an argument")
        said, default = split_default(info.help or "")
        if isinstance(info, ArgumentInfo):
            shown = (info.metavar or name.upper()).strip("[]").removesuffix("...")
        else:  # where there is an annotation, the first name stands at the place of the default
            given = [d for d in (info.default, *(info.param_decls or ())) if isinstance(d, str)]
            shown = ", ".join(given or [f"--{name.replace('_', '-')}"])
        required = parameter.default is inspect.Parameter.empty
        rows.append(
            (
                f"`{shown}`",
                takes(kind),
                "required" if required else default or shown_default(parameter.default),
                code_spans(said),
            )
        )
    return table(("", "takes", "default", "what it means"), rows) if rows else ""


def split_default(text: str) -> tuple[str, str]:
    """A help text without its `[default: ...]`, and that default."""
    found = re.search(r"\s*\[default: (.*)\]$", text)
    return (text[: found.start()], found.group(1)) if found else (text, "")


def shown_default(value: Any) -> str:
    """A default that the code gives."""
    if value is None or value is False or value == "":
        return ""
    return f"`{value}`"


def takes(kind: Any) -> str:
    """What an option takes, in words."""
    if get_origin(kind) is Annotated:
        return takes(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) is list:
        return f"{takes(get_args(kind)[0])}; one or several"
    inner = [one for one in get_args(kind) if one is not type(None)]
    if inner:
        return " or ".join(takes(one) for one in inner)
    words = {bool: "nothing", int: "a whole number", float: "a number", str: "text", Path: "a path"}
    return words[kind]


# -- metrics ---------------------------------------------------------------------------------------


def families() -> list[dict[str, Any]]:
    """The families of metrics with their formulas, as formulas.toml has them."""
    return list(tomllib.loads((PARTS / "formulas.toml").read_text(encoding="utf-8"))["family"])


def metrics() -> str:
    """Every metric: what it declares, its formula, what must hold of it and whether it does."""
    known = registry.metrics()
    parts = [NOTE, "# Metrics\n", (PARTS / "metrics.md").read_text()]
    parts.append(
        table(
            ("metric", "unit", "better", "headline"),
            (
                (f"[`{n}`](#{n})", c.unit, better(c), "yes" if c.headline else "")
                for f in families()
                for n in f["formulas"]
                for c in (known[n],)
            ),
        )
    )
    for family in families():
        parts += [f"## {family['title']}\n", f"{family['text'].strip()}\n"]
        for name, formula in family["formulas"].items():
            parts += [f"### `{name}`\n", metric(known[name], formula)]
    parts += ["## Validity\n", (PARTS / "validity.md").read_text(), validity_tables()]
    return "\n".join(parts)


def better(cls: type[Metric]) -> str:
    """Which way is better."""
    return "neither" if cls.direction == "none" else cls.direction


def metric(cls: type[Metric], formula: str) -> str:
    """One metric."""
    required = [validity.MEASURED, *([validity.KNOWS] if cls.headline else [])]
    required += [f"`{statement}`" for statement in getattr(cls, "required", ())]
    facts = {
        "Unit": cls.unit,
        "Better": better(cls),
        "Version": cls.version,
        "Headline": "yes, it enters the skill" if cls.headline else "no",
        "Blind to": cls.blind_to,
        "Must hold": "; ".join(required),
        "After": cls.citation,
    }
    listed = bullets(f"**{name}:** {value}" for name, value in facts.items())
    return f"{cls.measures}\n\n```text\n{formula.strip()}\n```\n\n{listed}"


def validity_tables() -> str:
    """What `bench validate` found, from the rows kept in validity.csv."""
    rows = validity.read_csv(PARTS / "validity.csv")
    ladders = [ladder.name for ladder in LADDERS]
    seen: dict[str, dict[str, str]] = {}
    for row in rows:
        if row.kind == "summary":
            level = "–" if row.detected is None else f"{row.detected:g}"
            seen.setdefault(row.metric, {})[row.name] = level
    first_levels = table(
        ("metric", *ladders),
        ((f"[`{name}`](#{name})", *(seen[name][one] for one in ladders)) for name in seen),
    )
    judged = table(
        ("metric", "what must hold", "holds", "figures"),
        (
            (f"`{r.metric}`", r.name if " is " in r.name else f"`{r.name}`", holds(r), r.note)
            for r in rows
            if r.kind == "property" and r.name != validity.MEASURED
        ),
    )
    heading = "### The first level that each notices\n"
    return f"{heading}\n{first_levels}\n### What must hold, and does\n\n{judged}"


def holds(row: validity.Row) -> str:
    """Whether a property holds."""
    return "yes" if row.holds else "**no**"


def keep_validity(path: Path) -> None:
    """Take from a table of `bench validate` the rows that the page shows."""
    rows = [row for row in validity.read_csv(path) if row.kind in ("summary", "property")]
    order = [name for family in families() for name in family["formulas"]]
    rows.sort(key=lambda row: order.index(row.metric))
    write(PARTS / "validity.csv", validity.to_csv(rows))


def validated_versions() -> dict[str, int]:
    """The metrics of validity.csv with the versions that were validated."""
    with (PARTS / "validity.csv").open(newline="", encoding="utf-8") as file:
        return {row["metric"]: int(row["version"]) for row in csv.DictReader(file)}


# -- systems ---------------------------------------------------------------------------------------


def systems() -> str:
    """Every system: settings, budgets, the paper's figures, and what was decided."""
    known = list(registry.systems().values())
    parts = [NOTE, "# Systems\n", (PARTS / "systems.md").read_text()]
    parts.append(
        table(
            ("system", "title", "kind", "from", "variants"),
            ((f"[`{s.id}`](#{s.id})", s.title, s.kind, s.paper, variants(s)) for s in known),
        )
    )
    for paper, group in groupby(known, key=lambda spec: spec.paper):
        specs = list(group)
        usual = Counter(spec.citation for spec in specs).most_common(1)[0][0]
        parts += [f"## {paper[0].upper()}{paper[1:]}\n", f"{usual}\n" if usual else ""]
        for spec in specs:
            parts += [f"### `{spec.id}`\n", system(spec, usual)]
    return "\n".join(parts)


def variants(spec: SystemSpec) -> str:
    """The variants of a system that exist beside the corrected one."""
    return "also as published" if spec.as_published else ""


def system(spec: SystemSpec, usual: str) -> str:
    """One system; the citation that is usual in its paper is left out."""
    facts = {
        "Kind": spec.kind,
        "Section": spec.section,
        "After": spec.citation if spec.citation != usual else "",
        "Code": f"`{spec.class_path}`",
        "Treats": f"[`{spec.wraps}`](#{spec.wraps})" if spec.wraps else "",
        "Only on": ", ".join(spec.data or ()),
        "Learns first from": "; ".join(
            f"{', '.join(others)} (on {name})" for name, others in spec.also.items()
        ),
        "Settings": settings(spec.settings),
        "Reduced under `quick`": settings(spec.reduced),
        "Small under `smoke`": settings(spec.small),
        "Training": training(spec),
        "Published": "" if "none" in spec.published else settings(spec.published),
        "No published figures": spec.published.get("none", ""),
    }
    about = f"**{spec.title}.** {spec.about}".strip()
    parts = [about, bullets(f"**{name}:** {value}" for name, value in facts.items() if value)]
    if spec.decisions:
        parts += ["What was decided where the paper is silent:", bullets(spec.decisions)]
    if spec.as_published:
        changed = settings(spec.as_published.settings)
        parts += [
            f"As published ({changed}), it keeps these defects:",
            bullets(spec.as_published.defects),
        ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def settings(values: dict[str, Any]) -> str:
    """Settings in one line."""
    return ", ".join(f"`{name} = {json.dumps(value)}`" for name, value in values.items())


def training(spec: SystemSpec) -> str:
    """What each preset spends."""
    spent = spec.budget.model_dump(exclude={"unit"})
    said = [f"{amount} {name}" for name, amount in spent.items() if amount]
    return f"{', '.join(said)} ({spec.budget.unit})" if said else ""


# -- data sets -------------------------------------------------------------------------------------


def data_sets() -> str:
    """Every data set that is installed, with its terms."""
    parts = [NOTE, "# Data\n", (PARTS / "data.md").read_text()]
    known = registry.datasets()
    counts = {name: read_manifest(source.manifest).counts for name, source in known.items()}
    parts.append(
        table(
            ("name", "train / valid / test", "grid", "object", "what"),
            (
                (link(n), " / ".join(str(c) for c in counts[n].values()), s.grid, s.object, s.title)
                for n, s in known.items()
            ),
        )
    )
    for name, source in known.items():
        facts = {
            "Terms": source.licence,
            "After": source.citation,
            "How to get it": source.obtain.replace("<", "&lt;"),
            "Steps": f"{source.grid} per quarter, {source.bar} per bar",
            "Version": source.version,
        }
        parts += [f"### `{name}`\n", f"{source.title}.\n"]
        parts.append(bullets(f"**{key}:** {value}" for key, value in facts.items()))
    return "\n".join(parts)


PAGES = {
    "commands.md": commands,
    "data.md": data_sets,
    "metrics.md": metrics,
    "systems.md": systems,
}


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--validity", type=Path, help="a table that `bench validate` wrote")
    chosen = parser.parse_args()
    if chosen.validity:
        keep_validity(chosen.validity)
    for name, page in PAGES.items():
        write(DOCS / name, page())


if __name__ == "__main__":
    main()
