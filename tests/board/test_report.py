import base64
import re

from bench.board import report
from bench.check import toy_dataset
from bench.jobs.run_folder import RunFolder


def test_a_report_is_one_page_with_its_figures_inside_and_asks_for_nothing_outside(home):
    pieces = toy_dataset(pieces=40, bars=9, held=True).pieces
    ids = tuple(pieces)
    home.add("music", pieces, train=ids[:20], valid=ids[20:28], test=ids[28:])
    systems = ("noise", "human", "random-chords", "markov-chain", "Raises")
    run = ["music" if argument == "toy" else argument for argument in home.arguments(*systems)]
    done = home.bench(*run, "--samples", "12", "--steps", "64")  # enough to tell them apart
    assert done.returncode == 1
    assert len(list((home.runs / "jobs").iterdir())) == len(systems)
    assert home.bench("report", "--out", "runs").returncode == 0
    page = (home.runs / "report" / "index.html").read_text()
    assert "music · smoke · 12 samples of 64 steps, continuing one bar" in page
    for system in systems:
        assert f"<td>{system}</td>" in page
    images = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(images) >= 5
    assert all(base64.b64decode(image).startswith(b"\x89PNG") for image in images)
    assert not re.search(r'(src|href)="(?!data:)', page)
    text = (home.runs / "report" / "report.md").read_text()
    for name in re.findall(r"\]\((.+?\.png)\)", text):
        assert (home.runs / "report" / name).is_file()


def test_the_same_run_gives_the_same_report(home):
    home.bench(*home.arguments("noise", "human", "random-chords"))
    first, second = (dict(report.report(RunFolder(home.runs))) for _ in range(2))
    assert first == second
