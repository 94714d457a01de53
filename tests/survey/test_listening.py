"""What listeners can do, and what nobody can."""

import dataclasses
import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from bench.survey import admin, listening
from bench.survey.database.tables import belief, participant, rating, trial
from bench.survey.listening import Refused

on_both = pytest.mark.parametrize("kind", ["sqlite", "postgres"])


def refused(kind):
    """The block is refused for that reason, in a sentence."""

    class Checked:
        def __enter__(self):
            self.raised = pytest.raises(Refused)
            self.info = self.raised.__enter__()

        def __exit__(self, *error):
            done = self.raised.__exit__(*error)
            assert self.info.value.kind == kind
            assert str(self.info.value).endswith(".")
            return done

    return Checked()


def count(study, table):
    with study.store.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


@on_both
def test_a_listener_goes_through_every_stage_to_a_completion_code(study):
    it = study()
    code = it.codes()[0]
    listener = listening.enter(it.store, code)

    def stage():
        return listening.standing(it.store, listener).stage

    assert stage() == "consent"
    listening.consent(it.store, listener, "1")
    assert stage() == "volume"
    assert listening.volume_audio(it.store, listener)
    listening.volume_set(it.store, listener)
    assert stage() == "background"
    listening.background(it.store, listener, {"training": "none", "device": "headphones"})
    assert stage() == "practice"
    token = it.hear(listener)
    assert listening.standing(it.store, listener).trial.practice
    listening.score(it.store, listener, token, 3)
    assert listening.standing(it.store, listener).trial.question == "believable"
    listening.believe(it.store, listener, token, False)
    assert stage() == "trials"
    assert len(it.rate(listener)) == it.config.trials == 4
    end = listening.standing(it.store, listener)
    assert (end.stage, end.done, end.total, end.trial) == ("finished", 4, 4, None)
    assert end.completion_code in admin.completion_codes(it.store, it.name)


def test_the_same_code_resumes_at_the_same_clip_however_it_is_written(study):
    it = study()
    code = it.codes()[0]
    listener = it.join(code)
    it.rate(listener, most=2)
    before = listening.standing(it.store, listener)
    again = listening.enter(it.store, " " + code.lower().replace("-", " ").replace("0", "O"))
    assert again == listener
    assert listening.standing(it.store, again) == before


def test_a_clip_that_was_not_heard_cannot_be_rated(study):
    it = study()
    it.clock.step = 0
    listener = it.join()
    token = listening.standing(it.store, listener).trial.token
    with refused("not-now"):
        listening.score(it.store, listener, token, 5)
    with refused("not-now"):
        listening.heard(it.store, listener, token, 1.0, 1)  # never played
    listening.started(it.store, listener, token)
    with refused("not-now"):
        listening.heard(it.store, listener, token, 1.0, 1)  # at once
    it.clock.time += timedelta(seconds=17.9)
    with refused("not-now"):
        listening.heard(it.store, listener, token, 1.0, 1)  # before nine tenths of 20 seconds
    it.clock.time += timedelta(seconds=0.2)
    for coverage in (0.0, 0.94, float("nan"), float("inf"), -1.0, 2.0):
        with refused("not-now"):
            listening.heard(it.store, listener, token, coverage, 1)
    for coverage, plays in ((None, 1), ("1", 1), (1.0, None), (1.0, float("nan")), ([], {})):
        with refused("not-now"):
            listening.heard(it.store, listener, token, coverage, plays)
    assert not listening.standing(it.store, listener).trial.heard
    listening.heard(it.store, listener, token, 0.95, 1)
    assert listening.standing(it.store, listener).trial.heard
    listening.score(it.store, listener, token, 5)


def test_playing_again_does_not_start_the_time_anew(study):
    it = study()
    listener = it.join()
    token = it.hear(listener)
    it.clock.step = 0
    listening.started(it.store, listener, token)
    listening.heard(it.store, listener, token, 1.0, 2)


def test_a_score_outside_the_scale_is_refused(study):
    it = study()
    listener = it.join()
    token = it.hear(listener)
    for value in (0, 11, -1, 5.0, "5", True, None, 10**30):
        with refused("not-now"):
            listening.score(it.store, listener, token, value)
    assert count(it, rating) == 0


@on_both
def test_the_first_answer_stands_whatever_is_sent_again(study):
    it = study()
    listener = it.join()
    token = it.hear(listener)
    listening.score(it.store, listener, token, 3)
    listening.score(it.store, listener, token, 9)
    listening.believe(it.store, listener, token, True, comment="first")
    listening.believe(it.store, listener, token, False, comment="second")
    listening.score(it.store, listener, token, 9)  # a replay, after the next clip came
    with it.store.reading() as connection:
        assert connection.execute(select(rating.c.score)).scalars().all() == [3]
        assert connection.execute(select(belief.c.comment)).scalars().all() == ["first"]


def test_believability_comes_after_the_score(study):
    it = study()
    listener = it.join()
    token = it.hear(listener)
    with refused("not-now"):
        listening.believe(it.store, listener, token, True)
    with refused("not-now"):
        listening.believe(it.store, listener, token, "yes")


@on_both
def test_a_forged_token_is_unknown_to_every_call(study):
    it = study()
    listener = it.join()
    for token in ("", "x" * 24, "x" * 10**6, "a\0b", "' OR 1=1 --", "../secret", "é"):
        for call in (
            lambda token: listening.audio(it.store, listener, token),
            lambda token: listening.started(it.store, listener, token),
            lambda token: listening.heard(it.store, listener, token, 1.0, 1),
            lambda token: listening.score(it.store, listener, token, 5),
            lambda token: listening.believe(it.store, listener, token, True),
            lambda token: listening.standing(it.store, token),
            lambda token: listening.enter(it.store, token),
        ):
            with refused("unknown"):
                call(token)


def test_nobody_reaches_somebody_elses_clip_or_one_that_is_not_due(study):
    it = study()
    mine, other = it.join(), it.join()
    theirs = listening.standing(it.store, other).trial.token
    for call in (listening.audio, listening.started):
        with refused("unknown"):
            call(it.store, mine, theirs)
    with refused("unknown"):
        listening.score(it.store, mine, theirs, 5)
    with it.store.reading() as connection:
        later = select(trial.c.token).join(participant).where(participant.c.listener == mine)
        tokens = connection.execute(later.order_by(trial.c.position)).scalars().all()
    for call in (listening.audio, listening.started):
        with refused("not-now"):
            call(it.store, mine, tokens[2])
    with refused("not-now"):
        listening.score(it.store, mine, tokens[2], 5)


@on_both
def test_a_comment_is_kept_as_it_is_and_an_endless_one_refused(study):
    it = study()
    listener = it.join()
    token = it.hear(listener)
    listening.score(it.store, listener, token, 5)
    with refused("not-now"):
        listening.believe(it.store, listener, token, True, comment="x" * 10_000_000)
    nasty = "<script>alert(1)</script>'); DROP TABLE rating; --"
    listening.believe(it.store, listener, token, True, True, f"\0{nasty}\x1b\ud800 ")
    with it.store.reading() as connection:
        assert connection.execute(select(belief.c.comment)).scalar_one() == nasty
    assert count(it, rating) == 1


def test_background_answers_are_taken_from_the_options_only(study):
    it = study()
    listener = listening.enter(it.store, it.codes()[0])
    with refused("not-now"):
        listening.volume_set(it.store, listener)  # before consent
    with refused("not-now"):
        listening.consent(it.store, listener, "0")  # another text
    listening.consent(it.store, listener, "1")
    with refused("not-now"):
        listening.background(it.store, listener, {})  # before the volume
    listening.volume_set(it.store, listener)
    for answers in ({}, {"training": "none"}, {"training": "none", "device": "<b>x</b>"}):
        with refused("not-now"):
            listening.background(it.store, listener, answers)
    assert count(it, trial) == 0


def test_guessed_codes_are_refused_and_keep_nobody_out(study):
    it = study()
    code = it.codes()[0]
    it.clock.step = 0.001
    kinds = []
    for number in range(200):
        with pytest.raises(Refused) as info:
            listening.enter(it.store, f"{number:012d}")
        kinds.append(info.value.kind)
    assert kinds[0] == "unknown"
    assert set(kinds[50:]) == {"slow-down"}
    assert listening.enter(it.store, code)


def test_codes_are_kept_as_keyed_hashes_only(study):
    it = study()
    code = it.codes()[0]
    plain = code.replace("-", "")
    with it.store.reading() as connection:
        row = str(connection.execute(select(participant)).mappings().one())
    assert code not in row
    assert plain not in row
    for text in (code, plain):
        assert hashlib.sha256(text.encode()).hexdigest() not in row


def test_a_flood_of_calls_by_one_listener_is_slowed_down(study):
    it = study()
    listener = it.join()
    token = listening.standing(it.store, listener).trial.token
    it.clock.step = 0.001
    with refused("slow-down"):
        for _ in range(100):
            listening.audio(it.store, listener, token)


def test_after_the_end_nothing_is_taken_and_those_who_came_may_still_withdraw(study):
    it = study()
    unused, code = it.codes(2)
    listener = it.join(code)
    token = it.hear(listener)
    admin.close(it.store, it.name)
    for call in (listening.audio, listening.started):
        with refused("closed"):
            call(it.store, listener, token)
    with refused("closed"):
        listening.score(it.store, listener, token, 5)
    with refused("closed"):
        listening.enter(it.store, unused)
    assert listening.standing(it.store, listening.enter(it.store, code)).stage == "closed"
    listening.withdraw(it.store, listener)
    assert listening.standing(it.store, listener).stage == "withdrawn"
    with refused("used-up"):
        listening.enter(it.store, code)


@on_both
def test_withdrawing_deletes_every_answer_until_the_results_are_published(study):
    it = study()
    leaves, stays = it.join(), it.join()
    it.rate(leaves)
    it.rate(stays)
    listening.withdraw(it.store, leaves)
    listening.withdraw(it.store, leaves)
    with it.store.reading() as connection:
        kept = connection.execute(select(participant.c.listener, participant.c.answers)).all()
        people = select(trial.c.participant_id).distinct()
        assert len(connection.execute(people).all()) == 1
    assert {row.listener: row.answers is None for row in kept} == {leaves: True, stays: False}
    assert count(it, rating) == count(it, belief) == 5  # of the one who stays, practice included
    admin.close(it.store, it.name)
    admin.publish(it.store, it.name)
    with refused("closed"):
        listening.withdraw(it.store, stays)


def test_audio_of_one_clip_is_another_file_for_each_trial_and_of_one_size(study):
    it = study(clips=1)
    heard = []
    for listener in (it.join(), it.join()):
        while token := getattr(listening.standing(it.store, listener).trial, "token", None):
            heard.append(listening.audio(it.store, listener, token))
            assert heard[-1] == listening.audio(it.store, listener, token)  # no restart on a rerun
            it.hear(listener)
            listening.score(it.store, listener, token, 5)
            listening.believe(it.store, listener, token, True)
    assert len({len(audio) for audio in heard}) == 1
    assert len(set(heard)) == len(heard) == 10
    assert len({audio[-400:] for audio in heard}) == 5  # of two listeners: each clip twice


def test_nothing_that_a_listener_gets_names_a_system_a_file_or_a_run(study):
    it = study()
    listener = it.join()
    said = []
    while True:
        now = listening.standing(it.store, listener)
        said.append(repr(dataclasses.asdict(now)))
        if now.trial is None:
            break
        token = it.hear(listener)
        listening.score(it.store, listener, token, 5)
        said.append(repr(dataclasses.asdict(listening.standing(it.store, listener))))
        listening.believe(it.store, listener, token, True)
    files = [path.stem for path in it.store.clips.iterdir()]
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
        assert not any(word in text for text in said), word
