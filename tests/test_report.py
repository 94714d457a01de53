import base64
import re

from bench import report
from bench.store import Store


def test_a_report_is_one_page_with_its_figures_inside_and_asks_for_nothing_outside(home):
    systems = ("noise", "human", "random-chords", "markov-chain", "Raises")
    done = home.bench(*home.arguments(*systems))
    assert done.returncode == 1
    assert home.bench("report", "--out", "runs").returncode == 0
    page = (home.runs / "report" / "index.html").read_text()
    assert "toy · smoke · 4 samples of 32 steps, continuing one bar" in page
    for system in ("noise", "human", "random-chords", "markov-chain", "Raises"):
        assert f"<td>{system}</td>" in page
    images = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    # By four samples noise and human cannot be told apart in every metric: no skill to draw.
    assert len(images) >= 4
    assert all(base64.b64decode(image).startswith(b"\x89PNG") for image in images)
    assert not re.search(r'(src|href)="(?!data:)', page)
    text = (home.runs / "report" / "report.md").read_text()
    for name in re.findall(r"\]\((.+?\.png)\)", text):
        assert (home.runs / "report" / name).is_file()


def test_the_same_run_gives_the_same_report(home):
    home.bench(*home.arguments("noise", "human", "random-chords"))
    first, second = (dict(report.report(Store(home.runs))) for _ in range(2))
    assert first == second
