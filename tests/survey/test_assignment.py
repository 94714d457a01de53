"""Who hears what: balanced, also when people leave."""

import itertools
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import select

from bench.survey import admin
from bench.survey.assignment import APART, Heard, plan, williams
from bench.survey.database.tables import clip, participant, trial


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 9])
def test_a_williams_square_balances_places_and_what_comes_before(n):
    rows = williams(n)
    assert all(sorted(row) == list(range(n)) for row in rows)
    times = len(rows) // n
    for place in range(n):
        assert set(Counter(row[place] for row in rows).values()) == {times}
    pairs = Counter(pair for row in rows for pair in itertools.pairwise(row))
    assert len(pairs) == n * (n - 1)
    assert len(set(pairs.values())) <= 1


@pytest.mark.parametrize(("systems", "pool", "listeners"), [(10, 12, 26), (9, 8, 26)])
def test_clips_places_and_carry_over_are_balanced_over_listeners(systems, pool, listeners):
    clips = {s: list(range(s * 100, s * 100 + pool)) for s in range(systems)}
    heard, places, pairs = Heard(), Counter(), Counter()
    for listener in range(listeners):
        planned = plan(clips, 3, 0, heard, np.random.default_rng(listener))
        for one in planned:
            heard.clips[one.clip] += 1
        heard.rows.update(planned[block * systems].row for block in range(3))
        order = [one.system for one in planned]
        assert len({one.clip for one in planned}) == 3 * systems
        for block in range(3):
            row = order[block * systems : (block + 1) * systems]
            assert sorted(row) == list(range(systems))
            places.update((place, system) for place, system in enumerate(row))
            pairs.update(itertools.pairwise(row))
        assert all(a != b for a, b in itertools.pairwise(order))
    plays = [heard.clips[c] for pool_of in clips.values() for c in pool_of]
    assert max(plays) - min(plays) <= 1
    # The research note's simulation of this design: 7 to 8 (10 systems), 8 to 10 (9 systems).
    assert max(places.values()) - min(places.values()) <= 2
    assert len(pairs) == systems * (systems - 1)
    assert max(pairs.values()) - min(pairs.values()) <= 2


@pytest.mark.parametrize("seed", range(20))
def test_repeats_come_late_and_beside_no_clip_of_their_system(seed):
    clips = {s: list(range(s * 100, s * 100 + 6)) for s in range(5)}
    planned = plan(clips, 4, 2, Heard(), np.random.default_rng(seed))
    assert len(planned) == 22
    assert [one.kind for one in planned].count("repeat") == 2
    for at, one in enumerate(planned):
        if one.kind == "repeat":
            first = next(i for i, other in enumerate(planned) if other.clip == one.clip)
            assert at - first >= APART
    systems = [one.system for one in planned]
    assert all(a != b for a, b in itertools.pairwise(systems))


def test_repeats_are_spread_over_systems():
    clips = {s: list(range(s * 100, s * 100 + 6)) for s in range(5)}
    heard = Heard()
    for seed in range(20):
        for one in plan(clips, 2, 1, heard, np.random.default_rng(seed)):
            heard.repeats[one.system] += one.kind == "repeat"
    assert set(heard.repeats.values()) == {4}


def test_practice_comes_first_and_is_not_scored(study):
    it = study(practice=2)
    listener = it.join()
    with it.store.reading() as connection:
        rows = connection.execute(
            select(trial, clip.c.practice).join(clip).order_by(trial.c.position)
        )
        rows = rows.mappings().all()
    assert [row["kind"] for row in rows] == ["practice"] * 2 + ["main"] * 4
    assert [row["practice"] for row in rows] == [True] * 2 + [False] * 4
    assert it.rate(listener, most=1) == [row["token"] for row in rows[:3]]


def plays(it):
    return {who: sorted(counts) for who, counts in admin.status(it.store, it.name).plays.items()}


def test_dropouts_leave_the_ratings_balanced(study):
    it = study(clips=4, per_system=2, practice=0)
    rng = np.random.default_rng(0)
    for _ in range(24):
        listener = it.join()
        if rng.random() < 0.4:
            it.rate(listener, most=int(rng.integers(0, 7)))
            it.clock.time += timedelta(hours=25)  # and never comes back
        else:
            it.rate(listener)
    counts = plays(it)
    assert all(max(own) - min(own) <= 2 for own in counts.values()), counts
    assert max(map(sum, counts.values())) - min(map(sum, counts.values())) <= 12


def test_somebody_who_is_still_there_is_counted_and_somebody_long_gone_is_not(study):
    it = study(clips=2, per_system=1, practice=0, repeats=False)

    def handed(listener):
        with it.store.reading() as connection:
            mine = select(trial.c.clip_id).join(participant)
            found = connection.execute(mine.where(participant.c.listener == listener))
            return set(found.scalars())

    first, second = it.join(), it.join()
    assert not handed(first) & handed(second)
    it.clock.time += timedelta(hours=25)
    third, fourth = it.join(), it.join()
    assert not handed(third) & handed(fourth)
    it.rate(third)
    it.rate(fourth)
    it.clock.time += timedelta(hours=25)
    it.rate(it.join())
    it.rate(it.join())
    assert set(map(tuple, plays(it).values())) == {(2, 2)}


def test_excluded_and_withdrawn_listeners_do_not_count(study):
    from bench.survey import listening

    it = study(clips=2, per_system=1, practice=0, repeats=False)
    one, two = it.join(), it.join()
    it.rate(one)
    it.rate(two)
    rater = admin.status(it.store, it.name).listeners[0].rater
    admin.exclude(it.store, it.name, rater, "told us that the sound was off")
    three = it.join()
    it.rate(three)
    listening.withdraw(it.store, two if rater_of(it, one) == rater else one)
    it.rate(it.join())
    # Two that count: each clip once.
    table = count_of_counted(it)
    assert set(table.values()) == {1}


def rater_of(it, listener):
    with it.store.reading() as connection:
        mine = select(participant.c.rater).where(participant.c.listener == listener)
        return connection.execute(mine).scalar_one()


def count_of_counted(it):
    admin.close(it.store, it.name)
    table = admin.export(it.store, it.name)
    return table[table["excluded"] == ""].groupby("clip").size().to_dict()


def test_the_order_is_drawn_anew_for_every_listener(study):
    it = study(clips=3, per_system=3, practice=0)
    for _ in range(6):
        it.rate(it.join())
    admin.close(it.store, it.name)
    table = admin.export(it.store, it.name)
    orders = table.groupby("rater")["system"].agg(tuple)
    assert len(set(orders)) > 3
