"""What researchers do: the states of a survey, its counts, its export, its backups."""

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


def test_the_states_of_a_survey_come_in_one_order_only(make_survey):
    toy = make_survey()
    for change in (admin.open_survey, admin.publish):
        with pytest.raises(BenchError, match="'toy' is open"):
            change(toy.store, "toy")
    with pytest.raises(BenchError, match="stay hidden"):
        admin.export(toy.store, "toy")
    admin.close(toy.store, "toy")
    with pytest.raises(BenchError, match="nobody can be invited"):
        toy.codes()
    for change in (admin.open_survey, admin.close):
        with pytest.raises(BenchError, match="'toy' is closed"):
            change(toy.store, "toy")
    admin.publish(toy.store, "toy")
    with pytest.raises(BenchError, match="'toy' is published"):
        admin.close(toy.store, "toy")
    summary = admin.summary(toy.store, "toy")
    assert summary.state == "published"
    assert summary.created < summary.opened < summary.closed < summary.published
    assert [line.action for line in admin.audit(toy.store, "toy")] == [
        "published", "closed", "open", "create",
    ]  # fmt: skip


def test_a_draft_can_be_removed_and_a_survey_with_answers_cannot(make_survey):
    toy = make_survey()
    before = sorted(toy.store.clips.iterdir())
    toy.draft("second")
    admin.codes(toy.store, "second", 2)
    admin.remove(toy.store, "second")
    assert [summary.name for summary in admin.surveys(toy.store)] == ["toy"]
    assert sorted(toy.store.clips.iterdir()) == before
    with pytest.raises(BenchError, match="not deleted as a whole"):
        admin.remove(toy.store, "toy")


def test_a_draft_lets_nobody_in(make_survey):
    toy = make_survey()
    toy.draft("second")
    code = admin.codes(toy.store, "second", 1)[0]
    with pytest.raises(listening.Refused) as info:
        listening.enter(toy.store, code)
    assert info.value.kind == "not-open"


def test_an_unknown_survey_is_an_error_with_the_nearest_name(make_survey):
    toy = make_survey()
    with pytest.raises(BenchError, match="Did you mean toy"):
        admin.status(toy.store, "toi")


def test_a_name_that_is_taken_leaves_no_clips_behind(make_survey):
    toy = make_survey()
    before = sorted(toy.store.clips.iterdir())
    with pytest.raises(BenchError, match="another name"):
        toy.draft("toy")
    assert sorted(toy.store.clips.iterdir()) == before


def test_a_survey_that_was_changed_after_creation_does_not_open(make_survey):
    toy = make_survey()
    before = set(toy.store.clips.iterdir())
    toy.draft("other-clip")
    (set(toy.store.clips.iterdir()) - before).pop().write_bytes(b"other music")
    toy.draft("other-config")
    changed = toy.config.model_copy(update={"name": "other-config", "seconds": 30.0})
    with toy.store.writing() as connection:
        update = survey.update().where(survey.c.name == "other-config")
        connection.execute(update.values(config=changed.model_dump_json()))
    for name in ("other-clip", "other-config"):
        with pytest.raises(BenchError, match="changed"):
            admin.open_survey(toy.store, name)


def test_counts_follow_people_through_the_survey(make_survey):
    toy = make_survey()
    codes = toy.codes(5)
    listening.enter(toy.store, codes[1])
    toy.rate(toy.join(codes[2]), most=2)
    toy.rate(toy.join(codes[3]))
    withdrawn = toy.join(codes[4])
    toy.rate(withdrawn)
    listening.withdraw(toy.store, withdrawn)
    overview = admin.status(toy.store, "toy")
    assert overview.summary.flow == admin.Flow(
        invited=5, started=3, finished=1, withdrawn=1, excluded=0
    )
    assert overview.summary.ratings == 6
    assert [(gate.reached, gate.passed) for gate in overview.gates] == [
        (5, 4), (4, 3), (3, 3), (3, 3), (2, 2), (3, 1), (6, 6), (6, 6),
    ]  # fmt: skip
    assert sum(map(sum, overview.plays.values())) == 6
    assert sorted(person.stage for person in overview.listeners) == [
        "consent", "finished", "invited", "rating", "withdrawn",
    ]  # fmt: skip


def test_the_embargo_holds_while_a_survey_is_open(make_survey):
    toy = make_survey()
    assert admin.embargoed(toy.store) == {"job-alpha", "job-beta"}
    admin.close(toy.store, "toy")
    assert admin.embargoed(toy.store) == set()


@on_both
def test_an_export_holds_every_rating_and_nothing_that_identifies(make_survey):
    toy = make_survey(practice=1, per_system=3)
    codes = toy.codes(3)
    for code in codes:
        toy.rate(toy.join(code))
    admin.close(toy.store, "toy")
    table = admin.export(toy.store, "toy")
    assert list(table.columns) == [name for name in CODEBOOK if name != "comment"]
    assert len(table) == 3 * toy.config.trials == 39
    assert set(table["kind"]) == {"main", "repeat"}  # without practice
    assert sorted(set(table["rater"])) == [1, 2, 3]
    assert (table["date"].str.len() == len("2026-05-01")).all()
    csv = table.to_csv()
    with toy.store.reading() as connection:
        secrets = [
            str(value)
            for row in connection.execute(
                select(participant.c.code_hash, participant.c.listener, participant.c.rater)
            )
            for value in row
        ]
        secrets += connection.execute(select(trial.c.token)).scalars().all()
    for word in [*codes, *secrets]:
        assert word not in csv
    book = codebook(admin.status(toy.store, "toy"), list(table.columns))
    assert set(book["columns"]) == set(table.columns)
    content = json.dumps(book["config"], sort_keys=True)  # anybody can check the hash
    assert book["config_hash"] == hashlib.sha256(content.encode()).hexdigest()
    assert str(toy.config.run) not in book["config"]


def test_every_export_numbers_the_listeners_anew(make_survey):
    toy = make_survey(practice=0, per_system=1)
    for score in range(1, 9):
        toy.rate(toy.join(), score=score)
    admin.close(toy.store, "toy")
    orders = {
        tuple(admin.export(toy.store, "toy").groupby("rater")["score"].first()) for _ in range(5)
    }
    assert len(orders) > 1


def test_exported_rows_hold_what_happened(make_survey):
    toy = make_survey(practice=0)
    toy.clock.step = 0
    listener = toy.join()
    tokens = []
    while (current := listening.standing(toy.store, listener).trial) is not None:
        token = current.token
        listening.started(toy.store, listener, token)
        toy.clock.time += timedelta(seconds=700 if not tokens else 33)
        listening.heard(toy.store, listener, token, 0.97, 7 if len(tokens) == 1 else 1)
        listening.score(toy.store, listener, token, 2 + len(tokens))
        comment = "<b>bold</b>" if not tokens else ""
        listening.believe(toy.store, listener, token, bool(len(tokens) % 2), True, comment)
        tokens.append(token)
    admin.close(toy.store, "toy")
    table = admin.export(toy.store, "toy", comments=True)
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


def test_an_excluded_listener_stays_in_the_table_with_the_reason(make_survey):
    toy = make_survey()
    toy.rate(toy.join())
    rater = admin.status(toy.store, "toy").listeners[0].rater
    with pytest.raises(BenchError, match="Say why"):
        admin.exclude(toy.store, "toy", rater, " ")
    with pytest.raises(BenchError, match="no listener"):
        admin.exclude(toy.store, "toy", rater + 1, "because")
    admin.exclude(toy.store, "toy", rater, "rated without sound")
    with pytest.raises(BenchError, match="already"):
        admin.exclude(toy.store, "toy", rater, "again")
    admin.close(toy.store, "toy")
    table = admin.export(toy.store, "toy")
    assert set(table["excluded"]) == {"rated without sound"}
    assert len(table) == toy.config.trials


@on_both
def test_deleting_a_participant_deletes_every_row_of_theirs(make_survey):
    toy = make_survey()
    code, other = toy.codes(2)
    toy.rate(toy.join(other))
    toy.rate(toy.join(code))
    with toy.store.reading() as connection:
        before = {t.name: connection.execute(t.select()).all() for t in metadata.sorted_tables}
    admin.delete_participant(toy.store, code)
    with toy.store.reading() as connection:
        after = {t.name: connection.execute(t.select()).all() for t in metadata.sorted_tables}
    for name in ("participant", "trial", "rating", "belief"):
        assert len(after[name]) * 2 == len(before[name]), name
    with pytest.raises(BenchError, match="No listener has this code"):
        admin.delete_participant(toy.store, code)


@on_both
def test_the_audit_can_only_grow(make_survey):
    toy = make_survey()
    for change in ("UPDATE audit SET action = 'nothing'", "DELETE FROM audit"):
        with (
            pytest.raises(DatabaseError, match="only added to"),
            toy.store.writing() as connection,
        ):
            connection.execute(text(change))
    assert len(admin.audit(toy.store)) == 2


@on_both
def test_a_backup_is_restored_completely_into_a_database_of_the_other_kind(
    make_survey, kind, tmp_path, monkeypatch, request
):
    toy = make_survey()
    code, finished_code = toy.codes(2)
    toy.rate(toy.join(finished_code))
    listener = toy.join(code)
    toy.rate(listener, most=2)
    before = listening.standing(toy.store, listener)
    file = admin.backup(toy.store, tmp_path / "backup.zip")
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(BenchError, match="into an empty one only"):
        restore(toy.store, file)

    monkeypatch.setenv("BENCH_SURVEY_DIR", str(tmp_path / "elsewhere"))
    other = f"sqlite:///{tmp_path}/other.db"
    if kind == "sqlite":
        other = request.getfixturevalue("postgres_database")
    restored = open_store(other, toy.clock)
    restore(restored, file)
    with toy.store.reading() as old, restored.reading() as new:
        for table in metadata.sorted_tables:
            select_all = table.select().order_by(table.c.id)
            assert old.execute(select_all).all() == new.execute(select_all).all(), table.name
    assert listening.enter(restored, code) == listener
    assert listening.standing(restored, listener) == before
    toy.store = restored
    toy.rate(listener)  # the clips are restored, and new rows get free ids
    assert len(toy.codes(3)) == 3
    restored.engine.dispose()


def test_a_file_that_is_not_a_backup_is_refused(make_survey, tmp_path):
    toy = make_survey()
    file = tmp_path / "backup.zip"
    file.write_bytes(b"not a zip")
    with pytest.raises(BenchError, match="not a backup"):
        restore(toy.store, file)
