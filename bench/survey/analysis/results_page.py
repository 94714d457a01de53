"""A survey's results as one self-contained HTML page and as Markdown."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.board.report import STYLE, Drawing
from bench.files import write
from bench.survey.analysis.checks import MARGIN
from bench.survey.analysis.literature import published_ratings
from bench.survey.analysis.plots import all_plots
from bench.survey.analysis.power import ALPHA
from bench.survey.analysis.results import Contrast, Results, Span, Study
from bench.survey.terms import shows_results
from bench.wording import span as rank_text

SIMULATED = "The listeners of this survey are simulated. It says nothing about any system."
OPEN = "This survey is not closed: its results may change, so do not rely on them."


@dataclass(frozen=True)
class TextTable:
    """A table of texts, with the heads of its columns and a caption."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Heading:
    """A heading within the page."""

    text: str
    level: int = 2


Block = str | TextTable | Drawing | Heading  # a text is a paragraph


# -- values as text --------------------------------------------------------------------------------


def number_text(value: float | None) -> str:
    """A number; empty for None."""
    return "" if value is None else f"{value:.2f}"


def interval_text(value: float | None, low: float | None, high: float | None) -> str:
    """A value with its interval; empty for None."""
    if value is None or low is None or high is None:
        return number_text(value)
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def span_text(span: Span | None) -> str:
    """A value with its interval; empty for None."""
    return "" if span is None else interval_text(span.value, span.low, span.high)


def p_text(p: float | None) -> str:
    """A p value; empty for None."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


# -- the page from top to bottom -------------------------------------------------------------------


def blocks(results: Results) -> list[Block]:
    """The content of the page, from top to bottom."""
    about = results.about
    page: list[Block] = [Heading(about.title or about.name, 1)]
    if results.simulated:
        page.append(SIMULATED)
    if not shows_results(about.state):
        page.append(OPEN)
    for study in results.studies:
        page += _study(study)
    page += [Heading("Listeners"), results.methods, _screening(results)]
    page += [Heading("Published ratings"), _papers()]
    return page


def _study(study: Study) -> list[Block]:
    title = study.dataset or "All clips"
    section: list[Block] = [Heading(title), *study.conclusions, *study.lacking, _systems(study)]
    section += all_plots(study)
    if study.against_human:
        caption = (
            "p: of no difference, after Holm's correction over the table. Equivalence: p of a"
            f" difference of {MARGIN} points or more; below {ALPHA} the two are equally good."
        )
        section += [Heading("Against human music", 3), _contrasts(study.against_human, caption)]
    if study.pairs:
        caption = (
            "p: of no difference, after Holm's correction over all pairs. Papers report intervals"
            " as if ratings were independent; these are too short."
        )
        section += [Heading("Pairs of systems", 3), _contrasts(study.pairs, caption)]
    section += [Heading("Do listeners agree?", 3), _reliability(study)]
    section += [Heading("Do other methods give the same result?", 3), *_checks(study)]
    if study.agreement:
        section += [Heading("Do metrics agree with listeners?", 3), _agreement(study)]
        if study.noise_ceiling is not None:
            section.append(
                "Noise ceiling: the ratings are uncertain, so that even a perfect metric would have"
                f" a correlation (Pearson) of at most {study.noise_ceiling:.2f} with them."
            )
    return section


def _systems(study: Study) -> TextTable:
    rows = [
        [
            result.system,
            result.role,
            rank_text(result.rank, result.rank_low, result.rank_high),
            span_text(result.rating),
            span_text(result.by_clips),
            span_text(result.naive),
            span_text(result.everyone),
            span_text(result.believable),
            span_text(result.believable_model),
            f"{result.clips} / {result.ratings}",
        ]
        for result in study.systems
    ]
    heads = (
        *("system", "role", "rank", "rating", "by clip means", "if ratings were independent"),
        *("without screening", "believable", "believable, by the model", "clips / ratings"),
    )
    method = study.method or "plain means: too few ratings for intervals"
    return TextTable(heads, rows, f"Means with 95 % intervals ({method}).")


def _contrasts(contrasts: Sequence[Contrast], caption: str) -> TextTable:
    rows = [
        [
            contrast.first,
            contrast.second,
            span_text(contrast.difference),
            p_text(contrast.p_holm),
            span_text(contrast.by_clips),
            span_text(contrast.naive),
            p_text(contrast.equivalent_p),
            span_text(contrast.believable),
        ]
        for contrast in contrasts
    ]
    heads = (
        *("first", "second", "difference", "p", "by clip means", "if ratings were independent"),
        *("equivalence", "difference of believability"),
    )
    return TextTable(heads, rows, caption)


def _reliability(study: Study) -> TextTable:
    measured = study.reliability
    icc_mean = f"ICC(2,k): mean of {measured.ratings_per_clip:.1f} ratings"
    rows = [
        ["Krippendorff's alpha, ordinal", number_text(measured.alpha_ordinal)],
        ["Krippendorff's alpha, interval", number_text(measured.alpha_interval)],
        ["ICC(2,1): one rating", number_text(measured.icc_single)],
        [icc_mean, number_text(measured.icc_mean)],
        ["split half of system means", number_text(measured.split_half)],
        ["the same for all listeners (Spearman and Brown)", number_text(measured.split_half_full)],
    ]
    if measured.repeats is not None:
        repeats = measured.repeats
        rows += [
            [f"{repeats.pairs} clips rated twice: mean change", number_text(repeats.change)],
            ["the same rating both times", f"{repeats.same:.0%}"],
            ["weighted kappa", number_text(repeats.kappa)],
        ]
    caption = "Tastes differ: a low alpha does not mean that the listeners were careless."
    return TextTable(("measure", "value"), rows, caption)


def _checks(study: Study) -> list[Block]:
    checks = study.checks
    rows = []
    if checks.order is not None:
        order = checks.order
        drift = interval_text(order.drift or 0.0, order.drift_low, order.drift_high)
        rows.append(
            ["change from the first clip to the last, points", drift, p_text(order.drift_p)]
        )
        if order.carry is not None:
            carry = interval_text(order.carry, order.carry_low, order.carry_high)
            rows.append(["change per point of the system before", carry, p_text(order.carry_p)])
        shift = number_text(order.shift)
        rows.append(["largest change of a mean when both are in the model", shift, ""])
    for test in (checks.friedman, checks.kruskal):
        if test is not None:
            name = f"{test.name}, {test.raters} listeners: {test.note}"
            rows.append([name, number_text(test.statistic), p_text(test.p)])
    if checks.ordinal_agreement is not None:
        name = "ordinal model: tau of its order of systems with that of the means"
        rows.append([name, number_text(checks.ordinal_agreement), ""])
    section: list[Block] = [TextTable(("check", "value", "p"), rows)] if rows else []
    if checks.signed_rank:
        pairs = [[pair.first, pair.second, p_text(pair.p)] for pair in checks.signed_rank]
        caption = (
            "Wilcoxon's signed-rank test on listeners' means, after Holm's correction; valid for"
            " these clips only."
        )
        section.append(TextTable(("first", "second", "p"), pairs, caption))
    return section


def _agreement(study: Study) -> TextTable:
    rows = [
        [
            metric.metric,
            metric.direction,
            str(metric.systems),
            interval_text(metric.tau, metric.tau_low, metric.tau_high),
            number_text(metric.spearman),
            p_text(metric.p),
            p_text(metric.p_fdr),
            number_text(metric.tau_with_references),
            interval_text(metric.slope, metric.slope_low, metric.slope_high),
            metric.verdict,
        ]
        for metric in study.agreement
    ]
    heads = (
        *("metric", "better", "systems", "tau", "Spearman", "p", "p, all metrics"),
        *("tau with human and anchor", "points per sd within systems", "verdict"),
    )
    caption = "Positive: systems that are better by the metric are rated better."
    return TextTable(heads, rows, caption)


def _screening(results: Results) -> TextTable:
    rows = [
        [rule.rule, rule.text, str(rule.raters), "excluded" if rule.excludes else "noted"]
        for rule in results.screening
    ]
    caption = f"{results.left_out} of {results.listeners} listeners were excluded."
    return TextTable(("rule", "listeners who", "number", "consequence"), rows, caption)


def _papers() -> TextTable:
    rows = [
        [
            rating.paper,
            rating.system,
            f"{rating.mean:.1f} ± {rating.sd:g}",
            "" if rating.believable is None else f"{rating.believable:.0%}",
            f"{rating.raters} / {rating.clips}",
            f"{rating.detectable:.1f}",
        ]
        for rating in published_ratings()
    ]
    heads = ("paper", "system", "rating", "believable", "listeners / clips", "detectable")
    caption = "Detectable: the difference in points that such a design finds in four of five cases."
    return TextTable(heads, rows, caption)


# -- HTML and Markdown -----------------------------------------------------------------------------


def to_html(page: Sequence[Block], title: str) -> str:
    """The page as HTML, with its pictures inside."""
    lines = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>",
    ]
    for block in page:
        if isinstance(block, str):
            lines.append(f"<p>{html.escape(block)}</p>")
        elif isinstance(block, Heading):
            lines.append(f"<h{block.level}>{html.escape(block.text)}</h{block.level}>")
        elif isinstance(block, Drawing):
            encoded = base64.b64encode(block.png).decode()
            caption = html.escape(block.caption)
            lines.append(
                f'<figure><img alt="{caption}" src="data:image/png;base64,{encoded}">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
        else:
            rows = [_html_row("th", block.heads), *(_html_row("td", row) for row in block.rows)]
            lines.append(f"<table>{''.join(rows)}</table><p>{html.escape(block.caption)}</p>")
    return "".join(lines) + "</html>\n"


def _html_row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def to_markdown(page: Sequence[Block]) -> str:
    """The page as Markdown, which shows the pictures that `write_report` puts beside it."""
    lines: list[str] = []
    number = 0
    for block in page:
        if isinstance(block, str):
            lines += [block, ""]
        elif isinstance(block, Heading):
            lines += [f"{'#' * block.level} {block.text}", ""]
        elif isinstance(block, Drawing):
            lines += [f"![{block.caption}]({number}-{block.name}.png)", "", block.caption, ""]
            number += 1
        else:
            rows = [block.heads, ["---"] * len(block.heads), *block.rows]
            cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
            lines += ["| " + " | ".join(row) + " |" for row in cells] + ["", block.caption, ""]
    return "\n".join(lines)


def write_report(results: Results, folder: Path) -> list[Path]:
    """Write index.html with everything, report.md with its pictures, and results.json."""
    page = blocks(results)
    title = results.about.title or results.about.name
    files: list[tuple[str, bytes]] = [
        ("index.html", to_html(page, title).encode()),
        ("report.md", to_markdown(page).encode()),
        ("results.json", (results.model_dump_json(indent=1) + "\n").encode()),
    ]
    pictures = [block for block in page if isinstance(block, Drawing)]
    files += [
        (f"{number}-{picture.name}.png", picture.png) for number, picture in enumerate(pictures)
    ]
    for name, content in files:
        write(folder / name, content)
    return [folder / name for name, _ in files]
