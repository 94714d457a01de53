"""What listeners can do, and what they cannot."""

import dataclasses
import hashlib
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from bench.survey import admin, listening
from bench.survey.database.tables import belief, participant, rating, trial
from bench.survey.listening import Refused

on_both = pytest.mark.parametrize("kind", ["sqlite", "postgres"])


@contextmanager
def refused(kind):
    """Expects the block to be refused for that reason, in a sentence."""
    with pytest.raises(Refused) as info:
        yield
    assert info.value.kind == kind
    assert str(info.value).endswith(".")


def count(toy, table):
    with toy.store.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


@on_both
def test_a_listener_goes_through_every_stage_to_a_completion_code(make_survey):
    toy = make_survey()
    code = toy.codes()[0]
    listener = listening.enter(toy.store, code)

    def stage():
        return listening.standing(toy.store, listener).stage

    assert stage() == "consent"
    listening.consent(toy.store, listener, "1")
    assert stage() == "volume"
    assert listening.volume_audio(toy.store, listener)
    listening.volume_set(toy.store, listener)
    assert stage() == "background"
    listening.background(toy.store, listener, {"training": "none", "device": "headphones"})
    assert stage() == "practice"
    token = toy.hear(listener)
    assert listening.standing(toy.store, listener).trial.practice
    listening.score(toy.store, listener, token, 3)
    assert listening.standing(toy.store, listener).trial.question == "believable"
    listening.believe(toy.store, listener, token, False)
    assert stage() == "trials"
    assert len(toy.rate(listener)) == toy.config.trials == 4
    end = listening.standing(toy.store, listener)
    assert (end.stage, end.done, end.total, end.trial) == ("finished", 4, 4, None)
    assert end.completion_code in admin.completion_codes(toy.store, toy.name)


def test_the_same_code_resumes_at_the_same_clip_however_it_is_written(make_survey):
    toy = make_survey()
    code = toy.codes()[0]
    listener = toy.join(code)
    toy.rate(listener, most=2)
    before = listening.standing(toy.store, listener)
    again = listening.enter(toy.store, " " + code.lower().replace("-", " ").replace("0", "O"))
    assert again == listener
    assert listening.standing(toy.store, again) == before


def test_a_clip_cannot_be_rated_before_it_is_heard(make_survey):
    toy = make_survey()
    toy.clock.step = 0
    listener = toy.join()
    token = listening.standing(toy.store, listener).trial.token
    with refused("not-now"):
        listening.score(toy.store, listener, token, 5)
    with refused("not-now"):
        listening.heard(toy.store, listener, token, 1.0, 1)  # never played
    listening.started(toy.store, listener, token)
    with refused("not-now"):
        listening.heard(toy.store, listener, token, 1.0, 1)  # too early
    toy.clock.time += timedelta(seconds=17.9)
    with refused("not-now"):
        listening.heard(toy.store, listener, token, 1.0, 1)  # before nine tenths of 20 seconds
    toy.clock.time += timedelta(seconds=0.2)
    for coverage in (0.0, 0.94, float("nan"), float("inf"), -1.0, 2.0):
        with refused("not-now"):
            listening.heard(toy.store, listener, token, coverage, 1)
    for coverage, plays in ((None, 1), ("1", 1), (1.0, None), (1.0, float("nan")), ([], {})):
        with refused("not-now"):
            listening.heard(toy.store, listener, token, coverage, plays)
    assert not listening.standing(toy.store, listener).trial.heard
    listening.heard(toy.store, listener, token, 0.95, 1)
    assert listening.standing(toy.store, listener).trial.heard
    listening.score(toy.store, listener, token, 5)


def test_playing_again_does_not_reset_the_time(make_survey):
    toy = make_survey()
    listener = toy.join()
    token = toy.hear(listener)
    toy.clock.step = 0
    listening.started(toy.store, listener, token)
    listening.heard(toy.store, listener, token, 1.0, 2)


def test_a_score_outside_the_scale_is_refused(make_survey):
    toy = make_survey()
    listener = toy.join()
    token = toy.hear(listener)
    for value in (0, 11, -1, 5.0, "5", True, None, 10**30):
        with refused("not-now"):
            listening.score(toy.store, listener, token, value)
    assert count(toy, rating) == 0


@on_both
def test_the_first_answer_counts_whatever_is_sent_later(make_survey):
    toy = make_survey()
    listener = toy.join()
    token = toy.hear(listener)
    listening.score(toy.store, listener, token, 3)
    listening.score(toy.store, listener, token, 9)
    listening.believe(toy.store, listener, token, True, comment="first")
    listening.believe(toy.store, listener, token, False, comment="second")
    listening.score(toy.store, listener, token, 9)  # sent again, when the next clip is current
    with toy.store.reading() as connection:
        assert connection.execute(select(rating.c.score)).scalars().all() == [3]
        assert connection.execute(select(belief.c.comment)).scalars().all() == ["first"]


def test_believability_comes_after_the_score(make_survey):
    toy = make_survey()
    listener = toy.join()
    token = toy.hear(listener)
    with refused("not-now"):
        listening.believe(toy.store, listener, token, True)
    with refused("not-now"):
        listening.believe(toy.store, listener, token, "yes")


@on_both
def test_a_forged_token_is_unknown_to_every_call(make_survey):
    toy = make_survey()
    listener = toy.join()
    for token in ("", "x" * 24, "x" * 10**6, "a\0b", "' OR 1=1 --", "../secret", "é"):
        for call in (
            lambda token: listening.audio(toy.store, listener, token),
            lambda token: listening.started(toy.store, listener, token),
            lambda token: listening.heard(toy.store, listener, token, 1.0, 1),
            lambda token: listening.score(toy.store, listener, token, 5),
            lambda token: listening.believe(toy.store, listener, token, True),
            lambda token: listening.standing(toy.store, token),
            lambda token: listening.enter(toy.store, token),
        ):
            with refused("unknown"):
                call(token)


def test_another_listener_s_clip_and_a_later_clip_are_refused(make_survey):
    toy = make_survey()
    listener, other = toy.join(), toy.join()
    foreign = listening.standing(toy.store, other).trial.token
    for call in (listening.audio, listening.started):
        with refused("unknown"):
            call(toy.store, listener, foreign)
    with refused("unknown"):
        listening.score(toy.store, listener, foreign, 5)
    with toy.store.reading() as connection:
        own = select(trial.c.token).join(participant).where(participant.c.listener == listener)
        tokens = connection.execute(own.order_by(trial.c.position)).scalars().all()
    for call in (listening.audio, listening.started):
        with refused("not-now"):
            call(toy.store, listener, tokens[2])
    with refused("not-now"):
        listening.score(toy.store, listener, tokens[2], 5)


@on_both
def test_a_comment_is_stored_as_it_is_and_a_very_long_one_is_refused(make_survey):
    toy = make_survey()
    listener = toy.join()
    token = toy.hear(listener)
    listening.score(toy.store, listener, token, 5)
    with refused("not-now"):
        listening.believe(toy.store, listener, token, True, comment="x" * 10_000_000)
    comment = "<script>alert(1)</script>'); DROP TABLE rating; --"
    listening.believe(toy.store, listener, token, True, True, f"\0{comment}\x1b\ud800 ")
    with toy.store.reading() as connection:
        assert connection.execute(select(belief.c.comment)).scalar_one() == comment
    assert count(toy, rating) == 1


def test_a_background_answer_must_be_one_of_the_options(make_survey):
    toy = make_survey()
    listener = listening.enter(toy.store, toy.codes()[0])
    with refused("not-now"):
        listening.volume_set(toy.store, listener)  # before consent
    with refused("not-now"):
        listening.consent(toy.store, listener, "0")  # another text
    listening.consent(toy.store, listener, "1")
    with refused("not-now"):
        listening.background(toy.store, listener, {})  # before the volume
    listening.volume_set(toy.store, listener)
    for answers in ({}, {"training": "none"}, {"training": "none", "device": "<b>x</b>"}):
        with refused("not-now"):
            listening.background(toy.store, listener, answers)
    assert count(toy, trial) == 0


def test_guessed_codes_are_refused_and_a_real_code_still_works(make_survey):
    toy = make_survey()
    code = toy.codes()[0]
    toy.clock.step = 0.001
    kinds = []
    for number in range(200):
        with pytest.raises(Refused) as info:
            listening.enter(toy.store, f"{number:012d}")
        kinds.append(info.value.kind)
    assert kinds[0] == "unknown"
    assert set(kinds[50:]) == {"slow-down"}
    assert listening.enter(toy.store, code)


def test_codes_are_stored_as_keyed_hashes_only(make_survey):
    toy = make_survey()
    code = toy.codes()[0]
    plain = code.replace("-", "")
    with toy.store.reading() as connection:
        row = str(connection.execute(select(participant)).mappings().one())
    assert code not in row
    assert plain not in row
    for text in (code, plain):
        assert hashlib.sha256(text.encode()).hexdigest() not in row


def test_a_flood_of_calls_by_one_listener_is_slowed_down(make_survey):
    toy = make_survey()
    listener = toy.join()
    token = listening.standing(toy.store, listener).trial.token
    toy.clock.step = 0.001
    with refused("slow-down"):
        for _ in range(100):
            listening.audio(toy.store, listener, token)


def test_a_closed_survey_takes_no_answers_and_its_listeners_may_still_withdraw(make_survey):
    toy = make_survey()
    unused, code = toy.codes(2)
    listener = toy.join(code)
    token = toy.hear(listener)
    admin.close(toy.store, toy.name)
    for call in (listening.audio, listening.started):
        with refused("closed"):
            call(toy.store, listener, token)
    with refused("closed"):
        listening.score(toy.store, listener, token, 5)
    with refused("closed"):
        listening.enter(toy.store, unused)
    assert listening.standing(toy.store, listening.enter(toy.store, code)).stage == "closed"
    listening.withdraw(toy.store, listener)
    assert listening.standing(toy.store, listener).stage == "withdrawn"
    with refused("used-up"):
        listening.enter(toy.store, code)


@on_both
def test_withdrawing_deletes_every_answer_until_the_results_are_published(make_survey):
    toy = make_survey()
    leaving, staying = toy.join(), toy.join()
    toy.rate(leaving)
    toy.rate(staying)
    listening.withdraw(toy.store, leaving)
    listening.withdraw(toy.store, leaving)
    with toy.store.reading() as connection:
        rows = connection.execute(select(participant.c.listener, participant.c.answers)).all()
        participants = select(trial.c.participant_id).distinct()
        assert len(connection.execute(participants).all()) == 1
    assert {row.listener: row.answers is None for row in rows} == {leaving: True, staying: False}
    assert count(toy, rating) == count(toy, belief) == 5  # of `staying`, practice included
    admin.close(toy.store, toy.name)
    admin.publish(toy.store, toy.name)
    with refused("closed"):
        listening.withdraw(toy.store, staying)


def test_audio_has_other_bytes_for_each_trial_and_always_the_same_size(make_survey):
    toy = make_survey(clips=1)
    heard = []
    for listener in (toy.join(), toy.join()):
        while token := getattr(listening.standing(toy.store, listener).trial, "token", None):
            heard.append(listening.audio(toy.store, listener, token))
            assert heard[-1] == listening.audio(
                toy.store, listener, token
            )  # a rerun of the page does not restart it
            toy.hear(listener)
            listening.score(toy.store, listener, token, 5)
            listening.believe(toy.store, listener, token, True)
    assert len({len(audio) for audio in heard}) == 1
    assert len(set(heard)) == len(heard) == 10
    assert len({audio[-400:] for audio in heard}) == 5  # two listeners heard each of five clips


def test_nothing_that_a_listener_gets_names_a_system_a_file_or_a_run(make_survey):
    toy = make_survey()
    listener = toy.join()
    texts = []
    while True:
        standing = listening.standing(toy.store, listener)
        texts.append(repr(dataclasses.asdict(standing)))
        if standing.trial is None:
            break
        token = toy.hear(listener)
        listening.score(toy.store, listener, token, 5)
        texts.append(repr(dataclasses.asdict(listening.standing(toy.store, listener))))
        listening.believe(toy.store, listener, token, True)
    files = [path.stem for path in toy.store.clips.iterdir()]
    hidden = [
        "alpha",
        "beta",
        "human/",
        "random notes",
        "job-",
        "runs",
        "toy",
        "c0",
        ".mp3",
        *files,
    ]
    for word in hidden:
        assert not any(word in text for text in texts), word
