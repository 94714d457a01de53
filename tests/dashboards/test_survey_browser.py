"""The survey in a listener's browser, also when the server or the connection fails."""

import os
import re
import signal
import time
import urllib.error
import urllib.request

import browser
import pytest
import survey_room

from bench.survey import admin, listening

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def _browser_is_there():
    missing = "" if browser.chromium_path() else "there is no Chromium"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        missing = "playwright is not installed"
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="module")
def chromium(_browser_is_there):
    with browser.chromium() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    return survey_room.room(tmp_path_factory.mktemp("survey"), people=30, practice=0)


@pytest.fixture(scope="module")
def server(room, tmp_path_factory):
    server = survey_room.Server(room, tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


class Seat:
    """A listener's browser, with everything that it received."""

    def __init__(self, chromium, server, code, **context):
        size = {"viewport": {"width": 1000, "height": 900}}
        self.server, self.code = server, code
        self.context = chromium.new_context(**{**size, **context})
        self.page = self.context.new_page()
        self.frames, self.addresses, self.errors = [], [], []
        self.page.on("websocket", self.listen)
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def listen(self, socket):
        def keep(frame):
            self.frames.append(frame if isinstance(frame, bytes) else str(frame).encode())

        socket.on("framereceived", keep)
        socket.on("framesent", keep)

    @property
    def standing(self):
        store = self.server.room.store
        return listening.standing(store, listening.enter(store, self.code))

    def go(self):
        self.page.goto(f"{self.server.address}/listen?c={self.code}")
        browser.ready(self.page)
        return self

    def button(self, name):
        return self.page.get_by_role("button", name=name)

    def begin(self):
        self.page.locator("label", has_text="I am at least 18").click()
        self.button("Begin").click()
        self.button("Play: ").click()
        self.wait_enabled("I hear it well")
        self.button("I hear it well").click()
        self.page.get_by_text("3 to 10").click()
        self.page.get_by_text("headphones").click()
        self.button("Continue").click()
        self.page.get_by_text("How would you rate").wait_for()
        return self

    def wait_enabled(self, name, timeout=15_000):
        self.page.wait_for_function(
            "name => { const b = [...document.querySelectorAll('button')]"
            ".find(b => b.innerText.includes(name)); return b && !b.disabled; }",
            arg=name,
            timeout=timeout,
        )

    def hear(self):
        self.button("Play: ").click()
        self.wait_enabled("Keep this score")

    def score(self, value=7):
        self.page.locator("label", has_text=re.compile(rf"^{value}\b")).click()
        self.button("Keep this score").click()
        self.page.get_by_text("Could a human").wait_for()

    def believe(self):
        before = self.standing.done, self.standing.trial
        self.page.get_by_text("Yes", exact=True).click()
        self.button("Next").click()
        deadline = time.monotonic() + 15
        while (self.standing.done, self.standing.trial) == before and time.monotonic() < deadline:
            time.sleep(0.1)
        self.page.wait_for_timeout(300)

    def ratings(self):
        listener = listening.enter(self.server.room.store, self.code)
        with self.server.room.store.reading() as connection:
            rows = connection.exec_driver_sql(
                "select trial.position, rating.score from rating join trial on trial.id = trial_id"
                " join participant on participant.id = participant_id where listener = ?"
                " order by position",
                (listener,),
            ).all()
        return [tuple(row) for row in rows]


@pytest.fixture
def seat(chromium, server, room):
    seats = []

    def sit(code=None, **context):
        seats.append(Seat(chromium, server, code or room.codes.pop(), **context))
        return seats[-1].go()

    yield sit
    for taken in seats:
        taken.context.close()


def test_nothing_that_the_browser_receives_names_a_system_a_file_or_a_run(seat, room):
    someone = seat().begin()
    sizes = set()
    while someone.standing.stage == "trials":
        sizes.add(len(listening.audio(room.store, *listener_and_token(someone))))
        someone.hear()
        someone.score()
        someone.believe()
    someone.page.get_by_text("Your completion code").wait_for()
    received = b"\n".join(someone.frames)
    assert len(received) > 4 * 61_000  # the sound is included
    texts = [someone.page.content(), *someone.addresses]
    leaks = [
        word
        for word in room.hidden
        if word.encode() in received or any(word in text for text in texts)
    ]
    assert not leaks
    assert b"How does this music sound" in received  # so the search would find such words
    assert b"Traceback" not in received
    assert len(sizes) == 1
    assert not someone.errors
    assert all(
        url.startswith((someone.server.address, "blob:", "data:")) for url in someone.addresses
    )
    assert not [u for u in someone.addresses if u.startswith(f"{someone.server.address}/media/")]


def listener_and_token(someone):
    listener = listening.enter(someone.server.room.store, someone.code)
    return listener, someone.standing.trial.token


def test_the_same_clip_has_other_bytes_for_every_trial_and_no_address(seat, room):
    from hashlib import blake2b, sha256

    first, second = seat().begin(), seat().begin()
    first_audio = listening.audio(room.store, *listener_and_token(first))
    second_audio = listening.audio(room.store, *listener_and_token(second))
    assert len(first_audio) == len(second_audio)
    assert first_audio != second_audio
    for content in (first_audio, second_audio):
        assert content in b"".join(first.frames + second.frames)
        for digest in (
            sha256(content).hexdigest()[:32],
            blake2b(content, digest_size=16).hexdigest(),
        ):
            for ending in (".mp3", ""):
                with pytest.raises(urllib.error.HTTPError, match=r"40[034]"):
                    urllib.request.urlopen(f"{first.server.address}/media/{digest}{ending}")
    for file in room.store.clips.iterdir():
        for place in ("media", "app/static", "clips", "static"):
            assert not sound_at(f"{first.server.address}/{place}/{file.name}")


def sound_at(address):
    """Whether the address serves anything but a page of the dashboard."""
    try:
        with urllib.request.urlopen(address) as answer:
            return not answer.headers["content-type"].startswith("text/html")
    except urllib.error.HTTPError:
        return False


def test_two_clicks_or_two_tabs_give_one_rating(seat):
    someone = seat().begin()
    someone.hear()
    other = seat(someone.code)
    other.page.locator("label", has_text=re.compile(r"^2\b")).click()
    someone.page.locator("label", has_text=re.compile(r"^9\b")).click()
    someone.button("Keep this score").dblclick()
    someone.page.get_by_text("Could a human").wait_for()
    other.button("Keep this score").click()
    other.page.get_by_text("Could a human").wait_for()
    assert someone.ratings() == [(1, 9)]
    someone.page.get_by_text("No", exact=True).click()
    someone.button("Next").dblclick()
    other.page.get_by_text("Yes", exact=True).click()
    other.button("Next").click()
    for tab in (someone, other):
        tab.page.get_by_text("Clip 2 of 4").wait_for()
    assert someone.standing.done == 1


def test_after_a_reload_the_same_clip_is_current_and_still_heard(seat):
    someone = seat().begin()
    token = someone.standing.trial.token
    someone.hear()
    someone.page.reload()
    browser.ready(someone.page)
    assert someone.standing.trial.token == token
    someone.wait_enabled("Keep this score")
    someone.score(4)
    someone.page.reload()
    browser.ready(someone.page)
    someone.page.get_by_text("Could a human").wait_for()
    assert someone.ratings() == [(1, 4)]


def test_a_restarted_server_and_a_kill_lose_no_rating_and_no_listener(chromium, tmp_path):
    room = survey_room.room(tmp_path / "survey", people=1, practice=0)
    (tmp_path / "home").mkdir()
    server = survey_room.Server(room, tmp_path / "home")
    try:
        someone = Seat(chromium, server, room.codes[0]).go().begin()
        someone.hear()
        someone.page.locator("label", has_text=re.compile(r"^6\b")).click()
        server.stop()
        server.start()
        someone.page.wait_for_timeout(4000)  # the browser reconnects by itself
        someone.button("Keep this score").click()
        someone.page.get_by_text("Could a human").wait_for()
        server.stop(signal.SIGKILL)
        assert someone.ratings() == [(1, 6)]
        server.start()
        someone.page.wait_for_timeout(4000)
        someone.believe()
        someone.page.get_by_text("Clip 2 of 4").wait_for()
        someone.hear()
        someone.score(3)
        server.stop(signal.SIGKILL)
        assert someone.ratings() == [(1, 6), (2, 3)]
        someone.context.close()
    finally:
        server.stop()


def test_a_lost_connection_loses_no_answer(seat):
    someone = seat().begin()
    someone.button("Play: ").click()
    someone.page.wait_for_timeout(700)
    someone.context.set_offline(True)
    cut(someone)
    someone.page.wait_for_timeout(4000)  # the clip ends meanwhile
    someone.context.set_offline(False)
    someone.wait_enabled("Keep this score", 30_000)
    someone.score(5)
    assert someone.ratings() == [(1, 5)]


def cut(someone):
    """Close the open websocket too, which going offline alone does not do."""
    session = someone.context.new_cdp_session(someone.page)
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    session.detach()


def test_the_keyboard_alone_is_enough(seat):
    someone = seat()
    page = someone.page

    def tab_to(name, role="button"):
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(
                "([name, role]) => { let e = document.activeElement;"
                " while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;"
                " const text = (e?.getAttribute('aria-label') || e?.innerText || '')"
                " + [...(e?.labels || [])].map(l => l.innerText).join(' ');"
                " const kind = e?.getAttribute('role') || e?.type || e?.tagName.toLowerCase();"
                " return text.includes(name) && (kind === role || role === 'button'"
                " && e.tagName === 'BUTTON'); }",
                [name, role],
            ):
                return
        raise AssertionError(f"the Tab key never reaches {name}")

    def go_on(name):
        tab_to(name)
        page.keyboard.press("Enter")

    tab_to("I am at least 18", "checkbox")
    page.keyboard.press("Space")
    go_on("Begin")
    page.get_by_text("Set your volume").wait_for()
    page.wait_for_timeout(500)
    page.keyboard.press("Space")  # the player has the focus already
    someone.wait_enabled("I hear it well")
    go_on("I hear it well")
    page.get_by_text("About you").wait_for()
    page.wait_for_timeout(500)
    for answer in ("none", "headphones"):
        tab_to(answer, "radio")
        page.keyboard.press("Space")
    go_on("Continue")
    page.get_by_text("How would you rate").wait_for()
    page.wait_for_timeout(500)
    page.keyboard.press("Space")
    someone.wait_enabled("Keep this score")
    tab_to("1 – completely", "radio")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    go_on("Keep this score")
    page.get_by_text("Could a human").wait_for()
    page.wait_for_timeout(500)
    tab_to("Yes", "radio")
    page.keyboard.press("Space")
    go_on("Next")
    page.get_by_text("Clip 2 of 4").wait_for()
    assert [score for _, score in someone.ratings()] in ([2], [3])


def widths(page):
    return page.evaluate(
        "() => ['html', '[data-testid=stMain]'].map(s => {"
        " const e = document.querySelector(s); return [e.scrollWidth, e.clientWidth]; })"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling_and_shows_player_and_scale_together(seat, scheme):
    someone = seat(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, color_scheme=scheme
    )
    assert all(content <= visible for content, visible in widths(someone.page))
    someone.begin()
    assert all(content <= visible for content, visible in widths(someone.page))
    last = someone.page.get_by_text("10 – composed by a novice composer").bounding_box()
    assert last["y"] + last["height"] < 844
    someone.hear()
    someone.score()
    assert all(content <= visible for content, visible in widths(someone.page))


def test_the_survey_has_no_links_to_other_pages(seat):
    someone = seat()
    assert not someone.page.get_by_test_id("stSidebar").is_visible()
    assert someone.page.get_by_role("link", name="Compare").count() == 0
    assert someone.page.get_by_role("link", name="Survey admin").count() == 0


def test_a_clip_can_be_neither_sought_nor_saved(seat):
    page = seat().begin().page
    assert page.locator("audio").count() == 0
    assert page.locator("a[download]").count() == 0
    assert page.get_by_role("slider").count() == 0


def test_withdrawing_deletes_everything_after_confirmation(seat):
    someone = seat().begin()
    someone.hear()
    someone.score()
    someone.button("Withdraw from the survey").click()
    someone.button("Go on with the survey").click()
    someone.page.get_by_text("cannot be undone").wait_for(state="detached")
    assert someone.ratings() == [(1, 7)]
    someone.button("Withdraw from the survey").click()
    someone.button("Delete my answers").click()
    someone.page.get_by_text("You have withdrawn").wait_for()
    store = someone.server.room.store
    with pytest.raises(listening.Refused, match="withdrawn") as refused:
        listening.enter(store, someone.code)
    assert refused.value.kind == "used-up"
    someone.page.reload()
    someone.page.get_by_text("withdrawn with this code").wait_for()


def test_a_wrong_code_shows_nothing_of_the_survey(seat):
    someone = seat("0000-1111-2222")
    someone.page.get_by_text("not known").wait_for()
    assert "How does this music" not in someone.page.content()


def test_the_admin_page_exists_only_after_signing_in(chromium, server, room):
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    frames = []
    page.on("websocket", lambda s: s.on("framereceived", lambda f: frames.append(f)))
    page.goto(f"{server.address}/survey-admin")
    page.get_by_label("Password").first.wait_for()
    page.get_by_label("Password").first.fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("not the password").wait_for()
    received = b"".join(f if isinstance(f, bytes) else f.encode() for f in frames)
    assert room.name.encode() not in received
    assert b"survey_admin" not in received
    page.get_by_label("Password").first.fill(survey_room.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()
    page.get_by_text("Who passed each step").wait_for()
    page.get_by_role("tab", name="Invite").click()
    page.get_by_label("How many codes").fill("2")
    page.get_by_role("button", name="Make codes").click()
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download codes and links").click()
    lines = caught.value.path().read_text().splitlines()
    code, link = lines[1].split(",")
    assert link == f"{server.address}/listen?c={code}"
    assert listening.enter(room.store, code)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Password").first.wait_for()
    context.close()


def test_a_closed_survey_stops_all_listeners(chromium, tmp_path):
    room = survey_room.room(tmp_path / "survey", people=2, practice=0)
    (tmp_path / "home").mkdir()
    server = survey_room.Server(room, tmp_path / "home")
    try:
        someone = Seat(chromium, server, room.codes[0]).go().begin()
        someone.hear()
        admin.close(room.store, room.name)
        someone.page.locator("label", has_text=re.compile(r"^6\b")).click()
        someone.button("Keep this score").click()
        someone.page.get_by_text("closed").first.wait_for()
        late = Seat(chromium, server, room.codes[1]).go()
        late.page.get_by_text("This study is over").wait_for()
        for seat_to_close in (someone, late):
            seat_to_close.context.close()
    finally:
        server.stop()
