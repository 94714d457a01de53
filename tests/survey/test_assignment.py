"""Who hears which clips: balanced, also when listeners leave."""

import itertools
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import select

from bench.survey import admin
from bench.survey.assignment import REPEAT_DISTANCE, HeardCounts, plan, williams
from bench.survey.database.tables import clip, participant, trial


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 9])
def test_a_williams_square_balances_places_and_predecessors(n):
    rows = williams(n)
    assert all(sorted(row) == list(range(n)) for row in rows)
    times = len(rows) // n
    for place in range(n):
        assert set(Counter(row[place] for row in rows).values()) == {times}
    pairs = Counter(pair for row in rows for pair in itertools.pairwise(row))
    assert len(pairs) == n * (n - 1)
    assert len(set(pairs.values())) <= 1


@pytest.mark.parametrize(("systems", "pool", "listeners"), [(10, 12, 26), (9, 8, 26)])
def test_clips_places_and_predecessors_are_balanced_over_listeners(systems, pool, listeners):
    clips = {s: list(range(s * 100, s * 100 + pool)) for s in range(systems)}
    heard, places, pairs = HeardCounts(), Counter(), Counter()
    for listener in range(listeners):
        planned = plan(clips, 3, 0, heard, np.random.default_rng(listener))
        for planned_trial in planned:
            heard.clips[planned_trial.clip] += 1
        heard.rows.update(planned[block * systems].row for block in range(3))
        order = [planned_trial.system for planned_trial in planned]
        assert len({planned_trial.clip for planned_trial in planned}) == 3 * systems
        for block in range(3):
            row = order[block * systems : (block + 1) * systems]
            assert sorted(row) == list(range(systems))
            places.update((place, system) for place, system in enumerate(row))
            pairs.update(itertools.pairwise(row))
        assert all(a != b for a, b in itertools.pairwise(order))
    plays = [heard.clips[c] for pool_of in clips.values() for c in pool_of]
    assert max(plays) - min(plays) <= 1
    # A simulation of this design, apart from this code: 7 to 8 (10 systems), 8 to 10 (9 systems).
    assert max(places.values()) - min(places.values()) <= 2
    assert len(pairs) == systems * (systems - 1)
    assert max(pairs.values()) - min(pairs.values()) <= 2


@pytest.mark.parametrize("seed", range(20))
def test_repeats_come_late_and_beside_no_clip_of_their_system(seed):
    clips = {s: list(range(s * 100, s * 100 + 6)) for s in range(5)}
    planned = plan(clips, 4, 2, HeardCounts(), np.random.default_rng(seed))
    assert len(planned) == 22
    kinds = [planned_trial.kind for planned_trial in planned]
    assert kinds.count("repeat") == 2
    heard_clips = [planned_trial.clip for planned_trial in planned]
    for at, kind in enumerate(kinds):
        if kind == "repeat":
            assert at - heard_clips.index(heard_clips[at]) >= REPEAT_DISTANCE
    systems = [planned_trial.system for planned_trial in planned]
    assert all(a != b for a, b in itertools.pairwise(systems))


def test_repeats_are_spread_over_systems():
    clips = {s: list(range(s * 100, s * 100 + 6)) for s in range(5)}
    heard = HeardCounts()
    for seed in range(20):
        for planned_trial in plan(clips, 2, 1, heard, np.random.default_rng(seed)):
            heard.repeats[planned_trial.system] += planned_trial.kind == "repeat"
    assert set(heard.repeats.values()) == {4}


def test_practice_comes_first_and_is_not_scored(make_survey):
    toy = make_survey(practice=2)
    listener = toy.join()
    with toy.store.reading() as connection:
        rows = connection.execute(
            select(trial, clip.c.practice).join(clip).order_by(trial.c.position)
        )
        rows = rows.mappings().all()
    assert [row["kind"] for row in rows] == ["practice"] * 2 + ["main"] * 4
    assert [row["practice"] for row in rows] == [True] * 2 + [False] * 4
    assert toy.rate(listener, most=1) == [row["token"] for row in rows[:3]]


def plays(toy):
    counts_of = admin.status(toy.store, toy.name).plays
    return {name: sorted(counts) for name, counts in counts_of.items()}


def test_dropouts_leave_the_ratings_balanced(make_survey):
    toy = make_survey(clips=4, per_system=2, practice=0)
    rng = np.random.default_rng(0)
    for _ in range(24):
        listener = toy.join()
        if rng.random() < 0.4:
            toy.rate(listener, most=int(rng.integers(0, 7)))
            toy.clock.time += timedelta(hours=25)  # and never comes back
        else:
            toy.rate(listener)
    counts = plays(toy)
    assert all(max(own) - min(own) <= 2 for own in counts.values()), counts
    assert max(map(sum, counts.values())) - min(map(sum, counts.values())) <= 12


def test_a_listener_who_was_seen_lately_counts_and_one_gone_for_a_day_does_not(make_survey):
    toy = make_survey(clips=2, per_system=1, practice=0, repeats=False)

    def assigned(listener):
        with toy.store.reading() as connection:
            clip_ids = select(trial.c.clip_id).join(participant)
            own = connection.execute(clip_ids.where(participant.c.listener == listener))
            return set(own.scalars())

    first, second = toy.join(), toy.join()
    assert not assigned(first) & assigned(second)
    toy.clock.time += timedelta(hours=25)
    third, fourth = toy.join(), toy.join()
    assert not assigned(third) & assigned(fourth)
    toy.rate(third)
    toy.rate(fourth)
    toy.clock.time += timedelta(hours=25)
    toy.rate(toy.join())
    toy.rate(toy.join())
    assert set(map(tuple, plays(toy).values())) == {(2, 2)}


def test_excluded_and_withdrawn_listeners_do_not_count(make_survey):
    from bench.survey import listening

    toy = make_survey(clips=2, per_system=1, practice=0, repeats=False)
    first, second = toy.join(), toy.join()
    toy.rate(first)
    toy.rate(second)
    rater = admin.status(toy.store, toy.name).listeners[0].rater
    admin.exclude(toy.store, toy.name, rater, "reported that the sound was off")
    toy.rate(toy.join())
    listening.withdraw(toy.store, second if rater_of(toy, first) == rater else first)
    toy.rate(toy.join())
    # The two listeners that count heard each clip once.
    assert set(counted_ratings(toy).values()) == {1}


def rater_of(toy, listener):
    with toy.store.reading() as connection:
        rater = select(participant.c.rater).where(participant.c.listener == listener)
        return connection.execute(rater).scalar_one()


def counted_ratings(toy):
    """The number of ratings of each clip by listeners who are not excluded."""
    admin.close(toy.store, toy.name)
    table = admin.export(toy.store, toy.name)
    return table[table["excluded"] == ""].groupby("clip").size().to_dict()


def test_every_listener_gets_another_order(make_survey):
    toy = make_survey(clips=3, per_system=3, practice=0)
    for _ in range(6):
        toy.rate(toy.join())
    admin.close(toy.store, toy.name)
    table = admin.export(toy.store, toy.name)
    orders = table.groupby("rater")["system"].agg(tuple)
    assert len(set(orders)) > 3
