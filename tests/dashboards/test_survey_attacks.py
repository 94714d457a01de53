"""What a listener can try who writes the messages to the server by hand."""

import asyncio
import time

import pytest
import survey_room

pytest.importorskip("streamlit")
from raw_listener import RawListener
from streamlit.proto.WidgetStates_pb2 import WidgetState

from bench.survey import listening

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    room = survey_room.room(tmp_path_factory.mktemp("survey"), people=20, practice=0)
    made = survey_room.Server(room, tmp_path_factory.mktemp("server"))
    yield made
    made.stop()


def attack(server, play):
    """A new listener at the first clip, who then does this; where the listener stands after it."""
    code = server.room.codes.pop()

    async def act():
        async with RawListener(server.address, code) as someone:
            await someone.begin()
            await play(someone)
            return someone

    someone = asyncio.run(act())
    said = someone.words()
    assert "Traceback" not in said
    assert "site-packages" not in said
    store = server.room.store
    return someone, listening.standing(store, listening.enter(store, code))


def scored(standing):
    return standing.done or standing.trial.question == "believable"


def test_an_honest_one_gets_through(server):
    someone, standing = attack(server, lambda one: one.rate(7, 3, 0))
    assert standing.done == 1, someone.words()


def test_skipping_the_listening_rates_nothing(server):
    async def skip(one):
        one.choose("7")
        await one.press("Keep this score")

    _someone, standing = attack(server, skip)
    assert not scored(standing)


def test_claiming_to_have_heard_it_at_once_rates_nothing(server):
    async def claim(one):
        await one.report(1, 0.99)
        one.choose("7")
        await one.press("Keep this score")

    _someone, standing = attack(server, claim)
    assert not standing.trial.heard
    assert not scored(standing)


@pytest.mark.parametrize("value", ["11", "0", "-1", "7.5", "", "x" * 100_000, "<b>", "1; DROP"])
def test_a_score_off_the_scale_rates_nothing(server, value):
    async def score(one):
        await one.report(1, 0.0)
        await asyncio.sleep(2.8)
        await one.report(1, 0.99)
        one.choose(value)
        await one.press("Keep this score")

    _someone, standing = attack(server, score)
    assert standing.trial.heard
    assert not scored(standing)


def test_a_ten_megabyte_comment_is_cut_and_the_server_lives(server):
    async def write(one):
        await one.report(1, 0.0)
        await asyncio.sleep(2.8)
        await one.report(1, 0.99)
        one.choose(one.of("radio")[0].options[4])
        await one.press("Keep this score")
        one.choose("Yes")
        one.put(one.of("text_area")[0].id, string_value="x" * 10_000_000)
        await one.press("Next")

    _someone, standing = attack(server, write)
    assert standing.done == 1
    with server.room.store.reading() as connection:
        longest = connection.exec_driver_sql("select max(length(comment)) from belief").scalar()
    assert longest <= 500
    attack(server, lambda one: asyncio.sleep(0))


def test_someone_elses_clip_cannot_be_rated(server):
    other, theirs = attack(server, lambda one: asyncio.sleep(0))

    async def forge(one):
        for state in ("report", "value", "score", "belief"):
            name = f"$$ID-forged-{state}-{theirs.trial.token}"
            one.states[name] = WidgetState(id=name, string_value="7")
        await one.run()

    attack(server, forge)
    store = server.room.store
    assert listening.standing(store, listening.enter(store, other.code)) == theirs


def test_no_message_opens_the_admin_page(server):
    async def force():
        async with RawListener(server.address, "", page="survey-admin") as someone:
            for name in ("admin_seen", "listener", "entered"):
                someone.put(name, double_value=time.monotonic() + 1e6)
            await someone.run()
            return someone

    someone = asyncio.run(force())
    assert "Sign out" not in [one.label for one in someone.of("button")]
    assert server.room.name not in str(someone.elements)


def test_passwords_and_codes_cannot_be_tried_for_long(server):
    async def guess():
        async with RawListener(server.address, "", page="survey-admin") as someone:
            for number in range(7):
                field = someone.of("text_input")[0].id
                someone.put(field, string_value=f"guess {number}")
                await someone.press("Sign in")
            return someone.words()

    async def stopped(guesser):
        async with RawListener(server.address, "") as someone:
            for number in range(50):
                someone.code = f"0000-{guesser:04d}-{number:04d}"
                await someone.run()
                if "Too many wrong codes" in someone.words():
                    return number
        return None

    async def four_at_once():  # faster than the limit forgets, on a slow machine too
        return await asyncio.gather(*(stopped(guesser) for guesser in range(4)))

    assert "Too many wrong passwords" in asyncio.run(guess())
    begun = time.monotonic()
    tried = asyncio.run(four_at_once())
    assert None not in tried
    assert sum(tried) <= 30 + 0.5 * (time.monotonic() - begun)
    _, standing = attack(server, lambda one: asyncio.sleep(0))  # who has a code gets in
    assert standing.stage == "trials"
