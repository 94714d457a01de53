"""The dashboard as a browser sees it."""

import csv
import io
import json
import os
import re
from urllib.parse import urlsplit

import browser
import pytest
import synthetic

from bench.board.rows import read_csv, to_table

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def _browser_is_there():
    why = browser.missing()
    if why and os.environ.get("CI") == "true":
        pytest.fail(why)
    if why:
        pytest.skip(why)


@pytest.fixture(scope="module")
def address(request, _browser_is_there):
    """A dashboard over the finished run, which is made only where a browser can look at it."""
    finished = request.getfixturevalue("finished")
    before = dict(os.environ)
    os.environ.update(browser.environment(finished))
    try:
        with browser.dashboard(finished / "runs") as found:
            yield found
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def chromium(_browser_is_there):
    with browser.chromium() as found:
        yield found


class Watched:
    """A page, with everything it complained of or asked from outside."""

    def __init__(self, page, address):
        self.page, self.address = page, address
        self.errors, self.outside, self.failed = [], [], []
        page.on("console", lambda m: m.type == "error" and self.errors.append(m))
        page.on("pageerror", lambda error: self.errors.append(error))
        page.on("request", self.asked)
        page.on("response", lambda r: r.status >= 400 and self.failed.append(r.url))

    def asked(self, request):
        if not request.url.startswith((self.address, "blob:", "data:")):
            self.outside.append(request.url)

    def go(self, path=""):
        self.page.goto(f"{self.address}/{path}")
        browser.ready(self.page)
        return self.page

    def clean(self):
        """No outside request, no failed one and no error, but for two that are Streamlit's own.

        Opened at the address of a page, say /model, Streamlit's client cannot know whether /model
        is a page or the folder that the whole app is served under. It asks for the server's state
        at both places and goes on with the one that answers; Chromium logs the other's two
        404s. No setting tells the client the place, and a base path only moves both.
        """
        page = urlsplit(self.page.url).path.rstrip("/")
        probes = [f"{self.address}{page}/_stcore/{name}" for name in ("health", "host-config")]
        own = probes if page else []
        assert sorted(self.failed) in ([], own), self.failed
        others = [e for e in self.errors if getattr(e, "location", {}).get("url") not in own]
        assert not others, [str(e) for e in others]
        assert not self.outside, self.outside


@pytest.fixture
def watched(chromium, address):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield Watched(context.new_page(), address)
    context.close()


PAGES = ["", "compare", "model", "metrics", "data?data=toy", "run", "survey", "about"]
PARTS = [f"model?part={part}" for part in ("Figures", "Training", "Map", "Card")]
METRICS = ["metrics?part=Do+they+notice", "metrics?part=Do+they+agree"]
VIEWS = [f"?view={view}" for view in ("Loss", "Listeners", "Speed")]


@pytest.mark.parametrize("path", PAGES + PARTS + VIEWS + METRICS)
def test_every_page_renders_without_complaint_or_outside_request(watched, path):
    page = watched.go(path)
    assert page.locator("[data-testid=stException]").count() == 0
    watched.clean()


def test_the_navigation_leads_everywhere_without_complaint(watched):
    page = watched.go()
    for name in ("Compare", "Model", "Metrics", "Data", "Run", "Survey", "About", "Leaderboard"):
        page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
        page.wait_for_function(
            "name => document.querySelector('h1')?.innerText.includes(name)",
            arg="Listening survey" if name == "Survey" else name,
        )
        browser.ready(page)
    watched.clean()
    assert not watched.failed


def test_a_views_link_reproduces_it(watched, chromium, address):
    page = watched.go()
    page.get_by_text("Loss", exact=True).first.click()
    page.get_by_role("textbox", name="Search").fill("markov")
    page.get_by_role("textbox", name="Search").press("Enter")
    page.wait_for_url(re.compile("q=markov"))
    page.wait_for_url(re.compile("view=Loss"))
    page.get_by_text("Download 1 row, all columns:").wait_for()
    other = chromium.new_context().new_page()
    other.goto(page.url)
    browser.ready(other)
    other.get_by_text("Download 1 row, all columns:").wait_for()
    assert other.get_by_role("textbox", name="Search").input_value() == "markov"
    assert "How well each system predicts" in other.inner_text("body")
    other.context.close()


def test_a_choice_follows_the_reader_to_the_next_page(watched):
    page = watched.go("model?system=human")
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Leaderboard").click()
    page.get_by_text("Download 5 rows").wait_for()
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Model").click()
    page.get_by_role("heading", name="Human").wait_for()
    page.wait_for_url(re.compile("system=human"))


def test_downloads_hold_the_numbers_of_the_board(watched, finished):
    page = watched.go()
    content = {}
    for name in ("CSV", "JSON", "Markdown", "LaTeX"):
        with page.expect_download() as caught:
            page.get_by_role("button", name=name, exact=True).click()
        assert caught.value.suggested_filename.startswith("leaderboard.toy-smoke.")
        content[name] = caught.value.path().read_text()
    path = finished / "runs" / "leaderboard.csv"
    written = {row["jobs"]: row for row in csv.DictReader(path.open())}
    given = {row["jobs"]: row for row in csv.DictReader(io.StringIO(content["CSV"]))}
    assert given == written
    rows = {row["jobs"]: row for row in to_table(read_csv(path).rows)}
    assert {row["jobs"]: row for row in json.loads(content["JSON"])} == rows
    for row in rows.values():
        if row["skill"] is not None:
            assert f"{row['skill']:.2f}" in content["Markdown"]
            assert f"{row['skill']:.2f}" in content["LaTeX"]


def playing(page):
    """Which players play, by the words on their buttons."""
    names = [b.inner_text() for b in page.locator("figure.player button").all()]
    return ["Pause" in name for name in names]


def test_one_player_stops_another_and_the_cursor_moves_with_the_sound(watched):
    page = watched.go("compare?systems=markov-chain&systems=random-chords")
    page.locator("figure.player button").nth(1).wait_for()
    first, second = (page.locator("figure.player button").nth(i) for i in (0, 1))
    assert playing(page) == [False, False]
    before = page.locator("figure.player canvas").first.screenshot()
    first.click()
    page.wait_for_function(
        "() => { const c = document.querySelectorAll('*');"
        " for (const e of c) { const s = e.shadowRoot?.querySelector('figure.player canvas')"
        " ?? (e.matches('figure.player canvas') ? e : null);"
        " if (s && Number(s.getAttribute('aria-valuenow')) > 0.5) return true; } return false; }"
    )
    assert playing(page) == [True, False]
    assert page.locator("figure.player canvas").first.screenshot() != before
    second.click()
    page.wait_for_timeout(300)
    assert playing(page) == [False, True]
    second.click()
    page.wait_for_timeout(300)
    assert playing(page) == [False, False]
    watched.clean()


def test_the_player_answers_to_the_keyboard(watched):
    page = watched.go("compare?systems=markov-chain&systems=human")
    roll = page.locator("figure.player canvas").first
    roll.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(150)
    assert float(roll.get_attribute("aria-valuenow")) == pytest.approx(2, abs=0.2)
    page.keyboard.press("Home")
    page.wait_for_timeout(150)
    assert float(roll.get_attribute("aria-valuenow")) == 0
    page.keyboard.press("Space")
    page.wait_for_timeout(300)
    assert playing(page)[0]
    page.keyboard.press("Space")
    assert "notes" in roll.get_attribute("aria-label")


@pytest.mark.parametrize("path", [*PAGES, *PARTS, "model?system=Raises"])
def test_a_phone_needs_no_sideways_scroll(chromium, address, path):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, is_mobile=True)
    page = context.new_page()
    page.goto(f"{address}/{path}")
    browser.ready(page)
    widths = page.evaluate(
        "() => ['html', '[data-testid=stMain]'].map(s => {"
        " const e = document.querySelector(s); return [e.scrollWidth, e.clientWidth]; })"
    )
    assert all(needed <= there for needed, there in widths), widths
    context.close()


def test_nothing_that_a_browser_can_tab_to_is_without_a_name(watched):
    page = watched.go("compare")
    for role in ("button", "combobox", "textbox", "slider", "spinbutton", "checkbox"):
        for element in page.get_by_role(role).all():
            if element.is_visible():
                name = element.evaluate(
                    "e => e.getAttribute('aria-label') || e.innerText || e.title ||"
                    " (e.getAttribute('aria-labelledby') || '') ||"
                    " [...(e.labels || [])].map(l => l.innerText).join('')"
                )
                assert name, f"{role}: {element.evaluate('e => e.outerHTML')[:300]}"


def test_an_error_shows_no_traceback_to_visitors(chromium, finished, tmp_path):
    with browser.dashboard(tmp_path, tmp_path / "leaderboard.csv") as address:
        rows = synthetic.rows(2)
        synthetic.write(tmp_path / "leaderboard.csv", rows)
        (tmp_path / "jobs").write_text("a file where a folder should be")
        page = chromium.new_context().new_page()
        for path in PAGES:
            page.goto(f"{address}/{path}")
            browser.ready(page)
            assert "Traceback" not in page.inner_text("body")
            assert str(tmp_path) not in page.inner_text("body")
        page.context.close()
