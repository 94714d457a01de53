"""A survey as one self-contained page and as Markdown."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.board.report import STYLE, Figure
from bench.files import write
from bench.survey.analysis.literature import published_ratings
from bench.survey.analysis.plots import figures
from bench.survey.analysis.results import Contrast, Results, Span, Study

SIMULATED = "The listeners of this survey are simulated. It says nothing about any system."
OPEN = "This survey is not closed. What is here may change, and nobody should act on it."


@dataclass(frozen=True)
class Table:
    """Cells with their heads and what they mean."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Heading:
    """A title within the page."""

    text: str
    level: int = 2


Block = str | Table | Figure | Heading


def span(one: Span | None, digits: int = 2) -> str:
    """A figure with its interval."""
    if one is None:
        return ""
    if one.low is None or one.high is None:
        return f"{one.value:.{digits}f}"
    return f"{one.value:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"


def bounds(value: float | None, low: float | None, high: float | None) -> str:
    """The same of three figures; empty for none."""
    return "" if value is None else span(Span(value=value, low=low, high=high))


def p_value(p: float | None) -> str:
    """A p-value as people write it."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def figure(value: float | None, digits: int = 2) -> str:
    """A number, or nothing."""
    return "" if value is None else f"{value:.{digits}f}"


def blocks(results: Results) -> list[Block]:
    """The page from top to bottom."""
    about = results.about
    found: list[Block] = [Heading(about.title or about.name, 1)]
    if results.simulated:
        found.append(SIMULATED)
    if about.state not in ("closed", "published"):
        found.append(OPEN)
    for study in results.studies:
        found += _study(study)
    found += [Heading("Listeners"), results.methods, _screening(results)]
    found += [Heading("What the papers found"), _papers()]
    return found


def _study(study: Study) -> list[Block]:
    title = study.dataset or "All clips"
    found: list[Block] = [Heading(title), *study.conclusions, *study.lacking, _systems(study)]
    found += figures(study)
    if study.against_human:
        caption = (
            "p: that there is no difference, after Holm over the table. Equivalence: p that the two"
            " differ by half a point or more; below 0.05 they are equally good."
        )
        found += [Heading("Against human music", 3), _contrasts(study.against_human, caption)]
    if study.pairs:
        caption = "p after Holm over all pairs. The naive interval is what papers print."
        found += [Heading("Pairs of systems", 3), _contrasts(study.pairs, caption)]
    found += [Heading("Do listeners agree?", 3), _reliability(study)]
    found += [Heading("Would other methods say the same?", 3), *_checks(study)]
    if study.agreement:
        found += [Heading("Do metrics agree with listeners?", 3), _agreement(study)]
        if study.noise_ceiling is not None:
            found.append(
                f"Noise ceiling: ratings this uncertain correlate by {study.noise_ceiling:.2f} at"
                " most (Pearson), even with a perfect metric."
            )
    return found


def _systems(study: Study) -> Table:
    rows = [
        [
            one.system,
            one.role,
            "" if one.rank is None else f"{one.rank} ({one.rank_low}–{one.rank_high})",
            span(one.rating),
            span(one.by_clips),
            span(one.naive),
            span(one.everyone),
            span(one.believable),
            span(one.believable_model),
            f"{one.clips} / {one.ratings}",
        ]
        for one in study.systems
    ]
    heads = (
        *("system", "role", "rank", "rating", "by clip means", "if ratings were independent"),
        *("without screening", "believable", "believable, by the model", "clips / ratings"),
    )
    method = study.method or "plain means, too few for intervals"
    return Table(heads, rows, f"Means with 95 % intervals ({method}).")


def _contrasts(contrasts: Sequence[Contrast], caption: str) -> Table:
    rows = [
        [
            one.first,
            one.second,
            span(one.difference),
            p_value(one.p_holm),
            span(one.by_clips),
            span(one.naive),
            p_value(one.equivalent_p),
            span(one.believable),
        ]
        for one in contrasts
    ]
    heads = (
        *("first", "second", "difference", "p", "by clip means", "if ratings were independent"),
        *("equivalence", "believability, difference"),
    )
    return Table(heads, rows, caption)


def _reliability(study: Study) -> Table:
    found = study.reliability
    again = found.repeats
    rows = [
        ["Krippendorff's alpha, ordinal", figure(found.alpha_ordinal)],
        ["Krippendorff's alpha, interval", figure(found.alpha_interval)],
        ["ICC(2,1): one rating", figure(found.icc_single)],
        [f"ICC(2,k): mean of {found.ratings_per_clip:.1f} ratings", figure(found.icc_mean)],
        ["split half of system means", figure(found.split_half)],
        ["the same for all listeners (Spearman and Brown)", figure(found.split_half_full)],
    ]
    if again is not None:
        rows += [
            [f"{again.pairs} clips rated twice: mean change", figure(again.change)],
            ["rated alike", f"{again.same:.0%}"],
            ["weighted kappa", figure(again.kappa)],
        ]
    return Table(("measure", "value"), rows, "Taste differs: a low alpha is no fault of listeners.")


def _checks(study: Study) -> list[Block]:
    found, rows = study.checks, []
    if found.order is not None:
        order = found.order
        drift = Span(value=order.drift or 0.0, low=order.drift_low, high=order.drift_high)
        rows.append(
            ["from the first clip to the last, points", span(drift), p_value(order.drift_p)]
        )
        if order.carry is not None:
            carry = Span(value=order.carry, low=order.carry_low, high=order.carry_high)
            rows.append(["per point of the system before", span(carry), p_value(order.carry_p)])
        rows.append(["the most that a mean moves with both allowed for", figure(order.shift), ""])
    for test in (found.friedman, found.kruskal):
        if test is not None:
            name = f"{test.name}, {test.raters} listeners: {test.note}"
            rows.append([name, figure(test.statistic), p_value(test.p)])
    if found.ordinal_agreement is not None:
        what = "ordinal model: its order of systems against that of the means (tau)"
        rows.append([what, figure(found.ordinal_agreement), ""])
    blocks: list[Block] = [Table(("check", "value", "p"), rows)] if rows else []
    if found.signed_rank:
        pairs = [[one.first, one.second, p_value(one.p)] for one in found.signed_rank]
        caption = "Wilcoxon's signed ranks on listeners' means, after Holm: of these clips only."
        blocks.append(Table(("first", "second", "p"), pairs, caption))
    return blocks


def _agreement(study: Study) -> Table:
    rows = [
        [
            one.metric,
            one.direction,
            str(one.systems),
            bounds(one.tau, one.tau_low, one.tau_high),
            figure(one.spearman),
            p_value(one.p),
            p_value(one.p_fdr),
            figure(one.tau_with_references),
            bounds(one.slope, one.slope_low, one.slope_high),
            one.verdict,
        ]
        for one in study.agreement
    ]
    heads = (
        *("metric", "better", "systems", "tau", "Spearman", "p", "p, all metrics"),
        *("tau with human and anchor", "points per sd within systems", "verdict"),
    )
    return Table(heads, rows, "Positive: what the metric calls better is rated better.")


def _screening(results: Results) -> Table:
    rows = [
        [one.rule, one.text, str(one.raters), "left out" if one.excludes else "noted"]
        for one in results.screening
    ]
    caption = f"{results.left_out} of {results.listeners} listeners were left out."
    return Table(("rule", "meaning", "listeners", "what happens"), rows, caption)


def _papers() -> Table:
    rows = [
        [
            one.paper,
            one.system,
            f"{one.mean:.1f} ± {one.sd:g}",
            "" if one.believable is None else f"{one.believable:.0%}",
            f"{one.raters} / {one.clips}",
            f"{one.detectable:.1f}",
        ]
        for one in published_ratings()
    ]
    heads = ("paper", "system", "rating", "believable", "listeners / clips", "could tell apart")
    caption = "Could tell apart: points that such a design finds in four of five cases, about."
    return Table(heads, rows, caption)


# -- the two forms --------------------------------------------------------------------------------


def to_html(found: Sequence[Block], title: str) -> str:
    """The page, with its pictures inside."""
    page = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>",
    ]
    for one in found:
        if isinstance(one, str):
            page.append(f"<p>{html.escape(one)}</p>")
        elif isinstance(one, Heading):
            page.append(f"<h{one.level}>{html.escape(one.text)}</h{one.level}>")
        elif isinstance(one, Figure):
            encoded = base64.b64encode(one.png).decode()
            caption = html.escape(one.caption)
            page.append(
                f'<figure><img alt="{caption}" src="data:image/png;base64,{encoded}">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
        else:
            lines = [_line("th", one.heads), *(_line("td", row) for row in one.rows)]
            page.append(f"<table>{''.join(lines)}</table><p>{html.escape(one.caption)}</p>")
    return "".join(page) + "</html>\n"


def _line(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"


def to_markdown(found: Sequence[Block]) -> str:
    """The same as Markdown, its pictures beside it."""
    text: list[str] = []
    number = 0
    for one in found:
        if isinstance(one, str):
            text += [one, ""]
        elif isinstance(one, Heading):
            text += [f"{'#' * one.level} {one.text}", ""]
        elif isinstance(one, Figure):
            text += [f"![{one.caption}]({number}-{one.name}.png)", "", one.caption, ""]
            number += 1
        else:
            rows = [one.heads, ["---"] * len(one.heads), *one.rows]
            cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
            text += ["| " + " | ".join(row) + " |" for row in cells] + ["", one.caption, ""]
    return "\n".join(text)


def write_report(results: Results, folder: Path) -> list[Path]:
    """Write `index.html`, which holds everything, `report.md` with its pictures, `results.json`."""
    found = blocks(results)
    title = results.about.title or results.about.name
    files: list[tuple[str, bytes]] = [
        ("index.html", to_html(found, title).encode()),
        ("report.md", to_markdown(found).encode()),
        ("results.json", (results.model_dump_json(indent=1) + "\n").encode()),
    ]
    pictures = [one for one in found if isinstance(one, Figure)]
    files += [(f"{number}-{one.name}.png", one.png) for number, one in enumerate(pictures)]
    for name, content in files:
        write(folder / name, content)
    return [folder / name for name, _ in files]
