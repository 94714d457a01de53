"""Pictures of the pages, for the documentation and for looking at.

    python tests/dashboards/screenshots.py RUNS FOLDER [--only NAME] [--width 390] [--theme dark]
    python tests/dashboards/screenshots.py RUNS FOLDER --documentation

The second takes the pictures that the README and the documentation show, as small WebP files; a
survey made by `bench survey demo` is among them where BENCH_SURVEY_URL leads to one. Both start a
dashboard of their own over the run folder and need Chromium and playwright.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import survey_room
from browser import chromium, dashboard, ready

PAGES = {
    "leaderboard": "",
    "leaderboard-ties": "?ties=true",
    "loss": "?view=Loss",
    "listeners": "?view=Listeners",
    "speed": "?view=Speed",
    "compare": "compare",
    "model": "model?system={system}",
    "model-numbers": "model?system={system}&part=Figures",
    "model-training": "model?system={system}&part=Training",
    "model-map": "model?system={system}&part=Map",
    "model-card": "model?system={system}&part=Card",
    "metrics": "metrics",
    "metrics-notice": "metrics?part=Do+they+notice",
    "metrics-agree": "metrics?part=Do+they+agree",
    "data": "data",
    "run": "run",
    "survey": "survey",
    "about": "about",
}
DOCUMENTED = ("leaderboard", "compare", "model", "survey")  # and a listener's page
HEIGHT = 900  # of a window
HEIGHTS = {"listen": 720, "survey": 1500}  # of the documentation's, where 1200 does not fit
LARGEST = 150_000  # bytes of a picture in the documentation


@contextmanager
def opened(browser: Any, width: int, theme: str, scale: float = 1) -> Iterator[Any]:
    """An empty page."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT}, color_scheme=theme, device_scale_factor=scale
    )
    yield context.new_page()
    context.close()


def whole(page: Any, width: int) -> None:
    """Make the window as high as the page."""
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": max(HEIGHT, min(height, 6000))})
    page.wait_for_timeout(900)  # charts fit themselves to the new height


def every_page(browser: Any, address: str, asked: argparse.Namespace) -> None:
    """Whole pages, as PNG."""
    for theme in [asked.theme] if asked.theme else ["light", "dark"]:
        for name, path in PAGES.items():
            if asked.only and asked.only not in name:
                continue
            with opened(browser, asked.width, theme) as page:
                page.goto(f"{address}/{path.format(system=asked.system)}")
                ready(page, 120_000)
                whole(page, asked.width)
                file = asked.folder / f"{name}-{asked.width}-{theme}.png"
                page.screenshot(path=file)
                print(f"{file}  {file.stat().st_size // 1024} KB")


def documentation(browser: Any, address: str, asked: argparse.Namespace) -> None:
    """The upper part of some pages, as WebP."""
    themes = [asked.theme] if asked.theme else ["light", "dark"]
    for theme in themes:
        for name in DOCUMENTED:
            with opened(browser, 1280, theme) as page:
                page.goto(f"{address}/{PAGES[name].format(system=asked.system)}")
                ready(page, 120_000)
                keep(page, asked.folder, name, theme)
    with survey() as (room, codes):
        for theme in themes:
            with opened(browser, 1000, theme) as page:
                to_a_clip(page, room, codes.pop())
                keep(page, asked.folder, "listen", theme)


def keep(page: Any, folder: Path, name: str, theme: str) -> None:
    """Write what is seen of a page as a small picture."""
    width = page.viewport_size["width"]
    page.set_viewport_size({"width": width, "height": HEIGHTS.get(name, 1200)})
    page.wait_for_timeout(1500)
    file = folder / f"{name}{'-dark' if theme == 'dark' else ''}.webp"
    file.write_bytes(small(page.screenshot()))
    print(f"{file}  {file.stat().st_size // 1024} KB")


@contextmanager
def survey() -> Iterator[tuple[str, list[str]]]:
    """The address of a small survey and codes for it. What it plays cannot be seen."""
    with tempfile.TemporaryDirectory() as home:
        made = survey_room.room(Path(home), practice=0)
        server = survey_room.Server(made, Path(home))
        yield server.address, made.codes
        server.stop()


def to_a_clip(page: Any, address: str, code: str) -> None:
    """Take the survey until its first clip was heard."""
    page.goto(f"{address}/listen?c={code}")
    ready(page)
    page.locator("label", has_text="I am at least 18").click()
    page.get_by_role("button", name="Begin").click()
    hear(page, "I hear it well").click()
    page.get_by_text("3 to 10").click()
    page.get_by_text("headphones").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_text("How would you rate").wait_for()
    hear(page, "Keep this score")
    page.locator("label", has_text=re.compile(r"^7\b")).click()
    page.mouse.move(5, 5)


def hear(page: Any, after: str) -> Any:
    """Play the clip; the button that this makes usable."""
    page.get_by_role("button", name="Play: ").click()
    button = page.get_by_role("button", name=after)
    while button.is_disabled():
        page.wait_for_timeout(200)
    return button


def small(png: bytes) -> bytes:
    """A picture as WebP, no larger than LARGEST."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in (90, 80, 70, 60, 50, 40):
        out = io.BytesIO()
        picture.save(out, "WEBP", quality=quality, method=6)
        if out.tell() <= LARGEST:
            break
    return out.getvalue()


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="the pages whose names hold this")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--theme", choices=("light", "dark"), help="[default: both]")
    parser.add_argument("--system", default="chord-lstm", help="the one on the model page")
    parser.add_argument("--documentation", action="store_true", help="small ones, for the README")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    take = documentation if asked.documentation else every_page
    with dashboard(asked.runs) as address, chromium() as browser:
        take(browser, address, asked)


if __name__ == "__main__":
    main()
