"""Attacks by a listener who writes the messages to the server by hand."""

import asyncio
import time

import pytest
import survey_room
from lazy import Library

from bench.survey import listening
from bench.survey.terms import LONGEST_COMMENT

raw_listener = Library("raw_listener")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    room = survey_room.room(tmp_path_factory.mktemp("survey"), people=20, practice=0)
    server = survey_room.Server(room, tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


def attack(server, play):
    """A new listener at the first clip, who does `play`; the listener and the standing after it."""
    code = server.room.codes.pop()

    async def act():
        async with raw_listener.RawListener(server.address, code) as someone:
            await someone.begin()
            await play(someone)
            return someone

    someone = asyncio.run(act())
    text = someone.words()
    assert "Traceback" not in text
    assert "site-packages" not in text
    store = server.room.store
    return someone, listening.standing(store, listening.enter(store, code))


def scored(standing):
    return standing.done or standing.trial.question == "believable"


def test_an_honest_listener_can_rate(server):
    someone, standing = attack(server, lambda listener: listener.rate(7, 3, 0))
    assert standing.done == 1, someone.words()


def test_a_score_without_listening_is_not_stored(server):
    async def skip(listener):
        listener.choose("7")
        await listener.press("Keep this score")

    _someone, standing = attack(server, skip)
    assert not scored(standing)


def test_a_score_after_a_false_report_is_not_stored(server):
    async def claim(listener):
        await listener.report(1, 0.99)
        listener.choose("7")
        await listener.press("Keep this score")

    _someone, standing = attack(server, claim)
    assert not standing.trial.heard
    assert not scored(standing)


@pytest.mark.parametrize("value", ["11", "0", "-1", "7.5", "", "x" * 100_000, "<b>", "1; DROP"])
def test_a_score_outside_the_scale_is_not_stored(server, value):
    async def score(listener):
        await listener.report(1, 0.0)
        await asyncio.sleep(2.8)
        await listener.report(1, 0.99)
        listener.choose(value)
        await listener.press("Keep this score")

    _someone, standing = attack(server, score)
    assert standing.trial.heard
    assert not scored(standing)


def test_a_comment_of_ten_megabytes_is_cut_and_the_server_survives(server):
    async def write(listener):
        await listener.report(1, 0.0)
        await asyncio.sleep(2.8)
        await listener.report(1, 0.99)
        listener.choose(listener.of("radio")[0].options[4])
        await listener.press("Keep this score")
        listener.choose("Yes")
        listener.put(listener.of("text_area")[0].id, string_value="x" * 10_000_000)
        await listener.press("Next")

    _someone, standing = attack(server, write)
    assert standing.done == 1
    with server.room.store.reading() as connection:
        longest = connection.exec_driver_sql("select max(length(comment)) from belief").scalar()
    assert longest <= LONGEST_COMMENT
    attack(server, lambda _: asyncio.sleep(0))


def test_another_listeners_clip_cannot_be_rated(server):
    other, standing = attack(server, lambda _: asyncio.sleep(0))

    async def forge(listener):
        for state in ("report", "value", "score", "belief"):
            name = f"$$ID-forged-{state}-{standing.trial.token}"
            listener.states[name] = raw_listener.WidgetState(id=name, string_value="7")
        await listener.run()

    attack(server, forge)
    store = server.room.store
    assert listening.standing(store, listening.enter(store, other.code)) == standing


def test_no_message_opens_the_admin_page(server):
    async def force():
        async with raw_listener.RawListener(server.address, "", page="survey-admin") as someone:
            for name in ("admin_seen", "listener", "entered"):
                someone.put(name, double_value=time.monotonic() + 1e6)
            await someone.run()
            return someone

    someone = asyncio.run(force())
    assert "Sign out" not in [button.label for button in someone.of("button")]
    assert server.room.name not in str(someone.elements)


def test_guessing_passwords_and_codes_is_stopped(server):
    async def guess():
        async with raw_listener.RawListener(server.address, "", page="survey-admin") as someone:
            for number in range(7):
                field = someone.of("text_input")[0].id
                someone.put(field, string_value=f"guess {number}")
                await someone.press("Sign in")
            return someone.words()

    async def guess_codes(guesser):
        """The number of guesses before the server refuses more."""
        async with raw_listener.RawListener(server.address, "") as someone:
            for number in range(50):
                someone.code = f"0000-{guesser:04d}-{number:04d}"
                await someone.run()
                if "Too many wrong codes" in someone.words():
                    return number
        return None

    async def four_at_once():  # on a slow machine too faster than the rate limit refills
        return await asyncio.gather(*(guess_codes(guesser) for guesser in range(4)))

    assert "Too many wrong passwords" in asyncio.run(guess())
    start = time.monotonic()
    guesses = asyncio.run(four_at_once())
    assert None not in guesses
    assert sum(guesses) <= 30 + 0.5 * (time.monotonic() - start)
    _, standing = attack(server, lambda _: asyncio.sleep(0))  # a real code still works
    assert standing.stage == "trials"
