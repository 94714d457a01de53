import re

import pytest
from made_up_rows import row

from bench.survey.analysis.analyze import analyze
from bench.survey.analysis.results import About, read
from bench.survey.analysis.results_page import OPEN, SIMULATED, write_report
from bench.survey.analysis.simulation import survey

EFFECTS = {"human": 8.0, "chord-lstm": 6.5, "<b>bold</b>|x": 5.0, "c": 4.0, "anchor": 2.0}
ABOUT = About(name="toy", title="A toy & its survey", state="closed")


@pytest.fixture(scope="module")
def simulated():
    return analyze(survey(EFFECTS, clips=4, raters=8, repeats=2, seed=1), ABOUT)


def test_the_page_holds_everything_and_loads_nothing(simulated, tmp_path):
    files = {path.name: path for path in write_report(simulated, tmp_path)}
    page = files["index.html"].read_text()
    assert not re.search(r"https?://|<script|<link", page)
    assert page.count("data:image/png;base64,") == len([f for f in files if f.endswith(".png")])
    assert "<h1>A toy &amp; its survey</h1>" in page
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page
    for part in ("alpha", "Wilcoxon", "if ratings were independent", "Svegliato", "Friedman"):
        assert part in page, part
    assert not re.search(r"\bnan\b|\binf\b|None", re.sub(r"base64,[^\"]*", "", page))


def test_markdown_shows_the_same_tables_and_links_its_pictures(simulated, tmp_path):
    files = {path.name for path in write_report(simulated, tmp_path)}
    text = (tmp_path / "report.md").read_text()
    assert set(re.findall(r"\]\((.*?\.png)\)", text)) == {f for f in files if f.endswith(".png")}
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table
    assert read(tmp_path / "results.json") == simulated


def test_simulated_and_open_surveys_are_marked_at_the_top(simulated, tmp_path):
    write_report(simulated, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert text.splitlines()[2] == SIMULATED
    assert OPEN not in text
    real = simulated.model_copy(
        update={"simulated": False, "about": ABOUT.model_copy(update={"state": "open"})}
    )
    write_report(real, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert text.splitlines()[2] == OPEN
    assert SIMULATED not in text


def test_the_smallest_survey_has_a_report_too(tmp_path):
    smallest = analyze(survey({"a": 5.0}, clips=1, raters=1, heard=1), ABOUT)
    write_report(smallest, tmp_path)
    assert "an interval needs at least 1 more" in (tmp_path / "report.md").read_text()


def test_metrics_that_were_compared_with_the_ratings_are_in_the_report(tmp_path):
    effects = {f"s{n}": 2.5 + 0.7 * n for n in range(8)}
    table = survey(effects, clips=4, raters=8, seed=2)
    rows = [
        row(name, jobs=f"{name}.toy", metrics={"polyphony_gap": 8.0 - number, "polyphony": 3.0})
        for number, name in enumerate(effects)
    ]
    results = analyze(table, ABOUT, rows)
    agreements = {result.metric: result for result in results.studies[0].agreement}
    gap = agreements["polyphony_gap"]
    assert gap.tau > 0.7  # lower is better
    assert gap.systems == 8
    names = {path.name.partition("-")[2] for path in write_report(results, tmp_path)}
    assert {"metrics.png", "metrics-and-ratings.png"} <= names
    text = (tmp_path / "report.md").read_text()
    assert "| polyphony_gap | lower | 8 |" in text
    assert "no answer: the metric or the rating is equal for all systems" in text
