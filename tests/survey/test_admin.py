"""What researchers do: the life of a survey, what is counted, what is given away."""

import hashlib
import json
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError

from bench.errors import BenchError
from bench.survey import admin, listening
from bench.survey.database.opening import open_store
from bench.survey.database.restore import restore
from bench.survey.database.tables import metadata, participant, survey, trial
from bench.survey.export import CODEBOOK, codebook

on_both = pytest.mark.parametrize("kind", ["sqlite", "postgres"])


def test_a_survey_goes_one_way_only(study):
    it = study()
    for wrong in (admin.open_survey, admin.publish):
        with pytest.raises(BenchError, match="'toy' is open"):
            wrong(it.store, "toy")
    with pytest.raises(BenchError, match="stay hidden"):
        admin.export(it.store, "toy")
    admin.close(it.store, "toy")
    with pytest.raises(BenchError, match="nobody can be invited"):
        it.codes()
    for wrong in (admin.open_survey, admin.close):
        with pytest.raises(BenchError, match="'toy' is closed"):
            wrong(it.store, "toy")
    admin.publish(it.store, "toy")
    with pytest.raises(BenchError, match="'toy' is published"):
        admin.close(it.store, "toy")
    one = admin.summary(it.store, "toy")
    assert one.state == "published"
    assert one.created < one.opened < one.closed < one.published
    assert [line.action for line in admin.audit(it.store, "toy")] == [
        "published", "closed", "open", "create",
    ]  # fmt: skip


def test_a_draft_can_be_removed_and_what_people_answered_cannot(study):
    it = study()
    before = sorted(it.store.clips.iterdir())
    it.draft("second")
    admin.codes(it.store, "second", 2)
    admin.remove(it.store, "second")
    assert [one.name for one in admin.surveys(it.store)] == ["toy"]
    assert sorted(it.store.clips.iterdir()) == before
    with pytest.raises(BenchError, match="not deleted as a whole"):
        admin.remove(it.store, "toy")


def test_a_draft_lets_nobody_in(study):
    it = study()
    it.draft("second")
    code = admin.codes(it.store, "second", 1)[0]
    with pytest.raises(listening.Refused) as info:
        listening.enter(it.store, code)
    assert info.value.kind == "not-open"


def test_an_unknown_survey_is_an_error_with_the_nearest_name(study):
    it = study()
    with pytest.raises(BenchError, match="Did you mean toy"):
        admin.status(it.store, "toi")


def test_a_name_that_is_taken_leaves_no_clips_behind(study):
    it = study()
    before = sorted(it.store.clips.iterdir())
    with pytest.raises(BenchError, match="another name"):
        it.draft("toy")
    assert sorted(it.store.clips.iterdir()) == before


def test_what_was_changed_after_it_was_made_does_not_open(study):
    it = study()
    before = set(it.store.clips.iterdir())
    it.draft("other-clip")
    (set(it.store.clips.iterdir()) - before).pop().write_bytes(b"other music")
    it.draft("other-config")
    changed = it.config.model_copy(update={"name": "other-config", "seconds": 30.0})
    with it.store.writing() as connection:
        one = survey.update().where(survey.c.name == "other-config")
        connection.execute(one.values(config=changed.model_dump_json()))
    for name in ("other-clip", "other-config"):
        with pytest.raises(BenchError, match="changed"):
            admin.open_survey(it.store, name)


def test_counts_follow_people_through_the_survey(study):
    it = study()
    codes = it.codes(5)
    listening.enter(it.store, codes[1])
    it.rate(it.join(codes[2]), most=2)
    it.rate(it.join(codes[3]))
    gone = it.join(codes[4])
    it.rate(gone)
    listening.withdraw(it.store, gone)
    found = admin.status(it.store, "toy")
    assert found.summary.flow == admin.Flow(
        invited=5, started=3, finished=1, withdrawn=1, excluded=0
    )
    assert found.summary.ratings == 6
    assert [(gate.reached, gate.passed) for gate in found.gates] == [
        (5, 4), (4, 3), (3, 3), (3, 3), (2, 2), (3, 1), (6, 6), (6, 6),
    ]  # fmt: skip
    assert sum(map(sum, found.plays.values())) == 6
    assert sorted(person.stage for person in found.listeners) == [
        "consent", "finished", "invited", "rating", "withdrawn",
    ]  # fmt: skip


def test_the_embargo_holds_while_a_survey_is_open(study):
    it = study()
    assert admin.embargoed(it.store) == {"job-alpha", "job-beta"}
    admin.close(it.store, "toy")
    assert admin.embargoed(it.store) == set()


@on_both
def test_an_export_holds_every_rating_and_nothing_that_identifies(study):
    it = study(practice=1, per_system=3)
    codes = it.codes(3)
    for code in codes:
        it.rate(it.join(code))
    admin.close(it.store, "toy")
    table = admin.export(it.store, "toy")
    assert list(table.columns) == [name for name in CODEBOOK if name != "comment"]
    assert len(table) == 3 * it.config.trials == 39
    assert set(table["kind"]) == {"main", "repeat"}  # practice is no result
    assert sorted(set(table["rater"])) == [1, 2, 3]
    assert (table["date"].str.len() == len("2026-05-01")).all()
    everything = table.to_csv()
    with it.store.reading() as connection:
        secrets = [
            str(value)
            for row in connection.execute(
                select(participant.c.code_hash, participant.c.listener, participant.c.rater)
            )
            for value in row
        ]
        secrets += connection.execute(select(trial.c.token)).scalars().all()
    for word in [*codes, *secrets]:
        assert word not in everything
    about = codebook(admin.status(it.store, "toy"), list(table.columns))
    assert set(about["columns"]) == set(table.columns)
    content = json.dumps(about["config"], sort_keys=True)  # anybody can check the hash
    assert about["config_hash"] == hashlib.sha256(content.encode()).hexdigest()
    assert str(it.config.run) not in about["config"]


def test_an_export_numbers_listeners_anew(study):
    it = study(practice=0, per_system=1)
    for score in range(1, 9):
        it.rate(it.join(), score=score)
    admin.close(it.store, "toy")
    orders = {
        tuple(admin.export(it.store, "toy").groupby("rater")["score"].first()) for _ in range(5)
    }
    assert len(orders) > 1


def test_exported_rows_say_what_happened(study):
    it = study(practice=0)
    it.clock.step = 0
    listener = it.join()
    trials = []
    while (now := listening.standing(it.store, listener).trial) is not None:
        listening.started(it.store, listener, now.token)
        it.clock.time += timedelta(seconds=700 if not trials else 33)
        listening.heard(it.store, listener, now.token, 0.97, 7 if len(trials) == 1 else 1)
        listening.score(it.store, listener, now.token, 2 + len(trials))
        comment = "<b>bold</b>" if not trials else ""
        listening.believe(it.store, listener, now.token, bool(len(trials) % 2), True, comment)
        trials.append(now.token)
    admin.close(it.store, "toy")
    table = admin.export(it.store, "toy", comments=True)
    assert table["score"].tolist() == [2, 3, 4, 5]
    assert table["position"].tolist() == [1, 2, 3, 4]
    assert table["answer_seconds"].tolist() == [700, 33, 33, 33]
    assert table["believable"].tolist() == [False, True, False, True]
    assert table["flags"].tolist() == ["pause", "plays", "", ""]
    assert table["previous_system"].tolist() == ["", *table["system"][:3]]
    assert table["coverage"].tolist() == [0.97] * 4
    assert table["known"].all()
    assert table["comment"].tolist() == ["<b>bold</b>", "", "", ""]
    assert set(zip(table["system"], table["job"], table["role"], strict=True)) == {
        ("alpha", "job-alpha", "system"),
        ("beta", "job-beta", "system"),
        ("human", "", "human"),
        ("random notes", "", "anchor"),
    }


def test_an_excluded_listener_stays_in_the_table_with_the_reason(study):
    it = study()
    it.rate(it.join())
    rater = admin.status(it.store, "toy").listeners[0].rater
    with pytest.raises(BenchError, match="Say why"):
        admin.exclude(it.store, "toy", rater, " ")
    with pytest.raises(BenchError, match="no listener"):
        admin.exclude(it.store, "toy", rater + 1, "because")
    admin.exclude(it.store, "toy", rater, "rated without sound")
    with pytest.raises(BenchError, match="already"):
        admin.exclude(it.store, "toy", rater, "again")
    admin.close(it.store, "toy")
    table = admin.export(it.store, "toy")
    assert set(table["excluded"]) == {"rated without sound"}
    assert len(table) == it.config.trials


@on_both
def test_deleting_a_participant_leaves_no_row_of_theirs(study):
    it = study()
    code, other = it.codes(2)
    it.rate(it.join(other))
    it.rate(it.join(code))
    with it.store.reading() as connection:
        before = {t.name: connection.execute(t.select()).all() for t in metadata.sorted_tables}
    admin.delete_participant(it.store, code)
    with it.store.reading() as connection:
        after = {t.name: connection.execute(t.select()).all() for t in metadata.sorted_tables}
    for name in ("participant", "trial", "rating", "belief"):
        assert len(after[name]) * 2 == len(before[name]), name
    with pytest.raises(BenchError, match="No listener has this code"):
        admin.delete_participant(it.store, code)


@on_both
def test_the_record_of_who_did_what_can_only_grow(study):
    it = study()
    for change in ("UPDATE audit SET action = 'nothing'", "DELETE FROM audit"):
        with (
            pytest.raises(DatabaseError, match="only added to"),
            it.store.writing() as connection,
        ):
            connection.execute(text(change))
    assert len(admin.audit(it.store)) == 2


@on_both
def test_a_backup_comes_back_whole_into_a_database_of_the_other_kind(
    study, kind, tmp_path, monkeypatch, request
):
    it = study()
    going_on, done = it.codes(2)
    it.rate(it.join(done))
    listener = it.join(going_on)
    it.rate(listener, most=2)
    before = listening.standing(it.store, listener)
    file = admin.backup(it.store, tmp_path / "backup.zip")
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(BenchError, match="into an empty one"):
        restore(it.store, file)

    monkeypatch.setenv("BENCH_SURVEY_DIR", str(tmp_path / "elsewhere"))
    other = f"sqlite:///{tmp_path}/other.db"
    if kind == "sqlite":
        other = request.getfixturevalue("postgres_database")
    there = open_store(other, it.clock)
    restore(there, file)
    with it.store.reading() as old, there.reading() as new:
        for table in metadata.sorted_tables:
            select_all = table.select().order_by(table.c.id)
            assert old.execute(select_all).all() == new.execute(select_all).all(), table.name
    assert listening.enter(there, going_on) == listener
    assert listening.standing(there, listener) == before
    it.store = there
    it.rate(listener)  # clips are there, and new rows find free numbers
    assert len(it.codes(3)) == 3
    there.engine.dispose()


def test_what_is_no_backup_is_refused(study, tmp_path):
    it = study()
    file = tmp_path / "backup.zip"
    file.write_bytes(b"not a zip")
    with pytest.raises(BenchError, match="no backup"):
        restore(it.store, file)
