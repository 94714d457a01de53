import pytest

from bench import registry
from bench.jobs.plan import Options, jobs_of
from bench.judges.families import FAMILIES, family_of, judges_for


def test_no_judge_scores_its_own_family():
    for family in FAMILIES:
        assert family not in judges_for(family)
        assert len(judges_for(family)) == len(FAMILIES) - 1


def test_every_family_has_the_metric_of_its_judge():
    judges = [getattr(cls, "judge", "") for cls in registry.metrics().values()]
    assert sorted(filter(None, judges)) == sorted(FAMILIES)


def test_what_has_no_family_is_scored_by_all():
    assert judges_for("") == FAMILIES
    for name in ("human", "noise", "markov-chain", "somebody-s-entry"):
        assert family_of(name) == ""
        assert len(judges_for(family_of(name))) == len(FAMILIES)


def test_every_network_of_the_catalogues_has_a_family():
    untold = [
        name
        for name, spec in registry.systems().items()
        if spec.class_path.startswith(("bench.architectures", "bench.treatments"))
        and family_of(name) not in FAMILIES
    ]
    assert untold == []


@pytest.mark.parametrize(
    ("system", "family"),
    [
        ("axial-transformer", "attention"),
        ("axial-transformer+size=32", "attention"),
        ("remi-transformer-simple", "attention"),
        ("rnn-nade", "recurrent"),
        ("lstm-curriculum", "recurrent"),
        ("rbm-window+wraps=axial-transformer", "attention"),
        ("note-logistic", "feed-forward"),
    ],
)
def test_a_system_s_family_is_that_of_its_network(system, family):
    assert family_of(system) == family
    assert len(judges_for(family_of(system))) == len(FAMILIES) - 1


def test_a_family_is_no_part_of_a_job(monkeypatch):
    options = Options(preset="smoke", systems=("rnn-nade",))
    before = [job.id for job in jobs_of(options)]
    spec = registry.system("rnn-nade").model_copy(update={"family": None})
    monkeypatch.setattr(registry, "system", lambda name: spec)
    assert [job.id for job in jobs_of(options)] == before
