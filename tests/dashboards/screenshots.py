"""Pictures of every page in both themes, for the documentation and for looking at.

    python tests/dashboards/screenshots.py RUNS FOLDER [--only NAME] [--width 1280]

It starts a dashboard of its own over the run folder and needs Chromium and playwright.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from browser import chromium, dashboard, ready

PAGES = {
    "leaderboard": "",
    "loss": "?view=Loss",
    "speed": "?view=Speed",
    "compare": "compare",
    "model": "model?system=chord-lstm",
    "model-numbers": "model?system=chord-lstm&part=Figures",
    "model-training": "model?system=chord-lstm&part=Training",
    "model-map": "model?system=chord-lstm&part=Map",
    "model-card": "model?system=chord-lstm&part=Card",
    "metrics": "metrics",
    "metrics-notice": "metrics?part=Do+they+notice",
    "metrics-agree": "metrics?part=Do+they+agree",
    "data": "data",
    "run": "run",
    "survey": "survey",
    "about": "about",
}


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="the pages whose names hold this")
    parser.add_argument("--width", type=int, default=1280)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with dashboard(asked.runs) as address, chromium() as browser:
        for theme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": asked.width, "height": 900}, color_scheme=theme
            )
            page = context.new_page()
            for name, path in PAGES.items():
                if asked.only and asked.only not in name:
                    continue
                page.goto(f"{address}/{path}")
                ready(page)
                height = page.evaluate(
                    "document.querySelector('[data-testid=stMain]').scrollHeight"
                )
                page.set_viewport_size({"width": asked.width, "height": min(height, 4000)})
                page.wait_for_timeout(700)  # charts fit themselves to the new height
                file = asked.folder / f"{name}-{theme}.png"
                page.screenshot(path=file)
                page.set_viewport_size({"width": asked.width, "height": 900})
                print(f"{file}  {file.stat().st_size // 1024} KB")
            context.close()


if __name__ == "__main__":
    main()
