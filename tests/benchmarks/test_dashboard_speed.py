"""How soon the dashboard shows a large board, in a real browser."""

import sys
from pathlib import Path

import numpy as np
import pytest

from bench import registry
from dashboards.views.columns import VIEW_WORDS

sys.path.insert(0, str(Path(__file__).parent.parent / "dashboards"))

import browser
import synthetic

DATASETS = ("chorales", "jsb", "nottingham", "musedata", "piano-midi")
# Milliseconds from the start, which is the opening or the click on `view`, until the page shows
# these words and its script is done. Taken in the page: a robot's own steps are nobody's wait.
DRAWN = """async ([view, words]) => {
  const begun = view ? performance.now() : 0;
  if (view) [...document.querySelectorAll('button')].find(b => b.innerText === view).click();
  const drawn = () =>
    document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-testid=stSkeleton]')
    && document.querySelector('[data-testid=stMain]').innerText.includes(words);
  while (!drawn()) await new Promise(next => setTimeout(next, 5));
  return performance.now() - begun;
}"""
WORDS = {view: words.split(".")[0] for view, words in VIEW_WORDS.items()}  # each view's own

pytestmark = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing())


def test_a_board_of_60_systems_5_data_sets_and_3_seeds(tmp_path, measured):
    names = [name for name, metric in registry.metrics().items() if metric.headline]
    board = synthetic.write(
        tmp_path / "leaderboard.csv", synthetic.rows(60, DATASETS, metrics=names)
    )
    opened, switched = [], []
    with browser.dashboard(tmp_path / "none", board) as address, browser.chromium() as chromium:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        for _ in range(4):
            page = context.new_page()
            page.goto(address, wait_until="commit")
            opened.append(page.evaluate(DRAWN, ["", WORDS["Overall"]]) / 1000)
            for name in ("Loss", "Speed", "Overall"):
                switched.append(page.evaluate(DRAWN, [name, WORDS[name]]) / 1000)
            page.close()
    for what, seconds, aim in (
        ("opening the leaderboard", opened[1:], 2.0),
        ("switching views", switched[3:], 0.5),
    ):
        measured(
            "dashboard",
            what,
            size=f"60 systems, 5 data sets; wall clock, slowest of {len(seconds)}"
            f" {max(seconds):.2f} s, the aim is {aim:g} s",
            ours=float(np.median(seconds)),
        )
