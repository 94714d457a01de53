import synthetic
from made_up_rows import row

from dashboards.views import columns
from dashboards.views.board import metric_names


def found_for(rows):
    from bench import registry

    return columns.columns(metric_names(rows), registry.metrics())


def test_losses_of_two_objects_never_share_a_column():
    rows = synthetic.rows(6)
    found = found_for(rows)
    for each in rows:
        shown = (found["nats"].value(each), found["frames"].value(each))
        assert shown.count(None) == 1
        place = 0 if each.likelihood_object == "score" else 1
        assert shown[place] == each.nats_per_step


def test_a_failed_row_is_blank_in_every_figure():
    failed = synthetic.failed(synthetic.rows(1)[0])
    figures = [c for c in found_for([failed, *synthetic.rows(1)]).values() if c.form == "figure"]
    assert len(figures) > 5
    assert all(column.value(failed) is None for column in figures)


def test_every_view_shows_columns_that_exist():
    rows = synthetic.rows(2)
    found = found_for(rows)
    for view in columns.VIEWS:
        keys = columns.of_view(view, found, ["scale_consistency_gap"], sizes=True)
        assert set(keys) <= set(found)
        assert len(set(keys)) == len(keys)
    usual = columns.of_view("Metrics", found, ["scale_consistency_gap"], sizes=False)
    assert "scale_consistency_gap.skill" in usual


def test_the_five_measures_and_the_questions_of_the_skill_are_in_the_default_view():
    measures = ("isl", "pca_distance", "scale_consistency", "polyphony")
    found = columns.columns(measures, {})
    usual = columns.of_view("Overall", found, [], sizes=False)
    assert {"nats", "likely", "notes", "form", "prompt", *measures} <= set(usual)


def test_the_size_of_networks_stands_beside_their_parameters_once_one_is_not_full():
    found = found_for(synthetic.rows(2))
    usual = columns.of_view("Overall", found, [], sizes=False)
    sized = columns.of_view("Overall", found, [], sizes=True)
    assert "size" not in usual
    assert sized[sized.index("parameters") + 1] == "size"
    assert [key for key in sized if key != "size"] == usual


def test_what_has_no_figure_comes_last_in_every_view():
    rows = [synthetic.failed(synthetic.rows(1)[0]), *synthetic.rows(6)]
    for view in columns.VIEWS:
        assert max(rows, key=columns.order(view)).status == "failed"
    best = min(rows, key=columns.order("Overall"))
    assert best.skill == max(each.skill for each in rows if each.skill is not None)


def test_speed_counts_all_steps_of_all_samples():
    timed = row(pieces=64, steps=128, sample_seconds=2.0)
    assert columns.steps_per_second(timed) == 4096  # 64 x 128 in 2 s
    assert columns.steps_per_second(row(pieces=64, steps=128)) is None
