import numpy as np
import pytest
from made_up_rows import row

from bench import data, registry
from bench.board import order
from bench.board.rows import headline_metrics
from bench.board.skills import CHOSEN
from bench.check import toy_dataset
from bench.errors import BenchError
from bench.music import Score
from bench.protocol import corruptions
from bench.protocol.sampling import Protocol
from bench.protocol.statistics import RESAMPLES


def contestant(name, nats, system="a", kind="exact score"):
    """A contestant without samples."""
    return order.Contestant(name, [], system, nats, kind)


def test_only_a_clearly_likelier_network_must_be_the_better_one():
    made = [contestant("1", 3.0), contestant("2", 2.9), contestant("3", 2.0)]
    orders = list(order.orders_of(made))
    assert {(o.better, o.worse) for o in orders} == {("3", "1"), ("3", "2")}
    assert {o.kind for o in orders} == {"training"}


def test_a_network_that_got_worse_by_training_makes_no_order():
    assert not list(order.orders_of([contestant("early", 2.0), contestant("late", 3.0)]))


def test_likelihoods_of_two_kinds_or_of_none_make_no_order():
    made = [
        contestant("a", 2.0, "a"), contestant("b", 3.0, "b", "upper score"),
        contestant("c", None, "c"), contestant("d", 4.0, "d"),
    ]  # fmt: skip
    (only,) = order.orders_of(made)
    assert (only.better, only.worse, only.kind) == ("a", "d", "likelihood")


def test_corrupted_continuations_are_as_long_and_the_reversible_ones_are_reversible():
    piece = Score.from_notes([0, 3, 8], [3, 5, 8], [60, 64, 67], length=16)
    assert corruptions.backwards(corruptions.backwards(piece)) == piece
    assert corruptions.upside_down(corruptions.upside_down(piece)) == piece
    assert corruptions.upside_down(piece).pitch.tolist() == [67, 63, 60]
    rng = np.random.default_rng(0)
    for made in (
        corruptions.backwards(piece), corruptions.random_key(piece, rng), corruptions.random_octaves(piece, rng),
        corruptions.first_half_twice(piece), corruptions.bars_shuffled(piece, 4, rng),
    ):  # fmt: skip
        assert made.length == piece.length
    assert len(corruptions.random_octaves(piece, rng)) == len(piece)


def test_no_prompt_keeps_a_continuation_of_its_own_piece_when_they_are_swapped():
    pieces = [Score.from_notes([0], [4], [50 + i], length=4) for i in range(6)]
    sources = ["a", "b", "c", "a", "b", "c"]
    swapped = corruptions.swapped(pieces, sources)
    for place, piece in enumerate(swapped):
        assert sources[int(piece.pitch[0]) - 50] != sources[place]


def made_rows(skills):
    """Rows with this value by every headline metric."""
    rows = []
    for name, value in skills.items():
        made = row(name, jobs=name, kind={"human": "ceiling", "noise": "floor"}.get(name, "paper"))
        made.evidence.anchor = {"human": 1, "noise": 0}.get(name)
        for metric, direction in headline_metrics().items():
            exact = value if direction == "higher" else 1 - value
            made.evidence.exact[metric] = exact
            made.evidence.draws[metric] = np.full(RESAMPLES, exact)
        rows.append(made)
    return rows


@pytest.fixture(scope="module")
def table(study):
    """Its table."""
    return study.table


@pytest.fixture(scope="module")
def study():
    """A study on a toy data set, with one small network and two metrics that are quick."""
    dataset = toy_dataset(pieces=40, bars=9, held=True)
    spec = registry.system("onehot-lstm-simple")
    protocol = Protocol(samples=8, steps=64, prompt=16)
    quick = {name: registry.metric(name) for name in ("structure_gap", "polyphony_gap")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "metrics", lambda: quick)
        return order.study(dataset, protocol, [spec], preset="smoke")


def test_the_study_counts_the_same_orders_for_every_aggregate(table):
    counts = {}
    for line in table:
        counts.setdefault(line.kind, set()).add(line.orders)
        assert 0 <= line.kept <= line.orders
        assert len(line.broken) >= line.orders - line.kept
    assert all(len(numbers) == 1 for numbers in counts.values())
    assert counts["corruption"].pop() > 30


def test_every_control_is_run_and_compared_with_the_trained_network(study):
    controls = {name for name, spec in registry.systems().items() if spec.kind == "control"}
    assert set(study.accused) == controls
    assert {line.orders for line in study.table if line.kind == "control"} == {len(controls)}


def test_what_is_unranked_is_above_nobody():
    rows = made_rows({"human": 1.0, "noise": 0.0, "network": 0.2, "cheat": 0.9})
    orders = [order.Order("network", "cheat", "control")]
    for unranked, hits in (((), 0), (("cheat",), 1)):
        lines = list(order.kept("toy", rows, orders, unranked))
        assert {(line.kept, line.orders) for line in lines} == {(hits, 1)}


def test_controls_do_not_enter_the_agreement():
    lines = [
        order.Kept("x", "mean", "corruption", 1, 1),
        order.Kept("x", "mean", "control", 0, 9),
    ]
    assert order.agreement(lines, "mean") == 1


def test_a_table_survives_its_file_and_another_file_is_refused(table, tmp_path):
    path = tmp_path / "order.csv"
    path.write_text(order.to_csv(table))
    assert order.read_csv(path) == table
    path.write_text("metric,version\n1,2\n")
    with pytest.raises(BenchError, match="is no table"):
        order.read_csv(path)


def test_agreement_is_the_mean_over_data_sets_of_the_mean_over_kinds():
    lines = [
        order.Kept("x", "mean", "corruption", 1, 2),
        order.Kept("x", "mean", "training", 4, 4),
        order.Kept("y", "mean", "corruption", 1, 4),
        order.Kept("y", "grouped", "corruption", 4, 4),
    ]
    assert order.agreement(lines, "mean") == pytest.approx(((0.5 + 1) / 2 + 0.25) / 2)
    assert order.agreement(lines, "grouped") == 1


@pytest.mark.slow
def test_on_real_music_every_copy_is_accused_and_most_orders_are_kept():
    if not data.describe("jsb").where:
        pytest.skip("jsb is in no folder: set BENCH_DATA_DIR")
    protocol = Protocol(samples=24, steps=32, prompt=4)
    spec = registry.system("onehot-lstm-simple")
    study = order.study(data.load("jsb"), protocol, [spec])
    assert {name for name, sentence in study.accused.items() if not sentence} == {"control-scale"}
    assert order.agreement(study.table, CHOSEN) > 0.9
    kept = {line.kind: line.kept / line.orders for line in study.table if line.aggregate == CHOSEN}
    assert kept["corruption"] > 0.95
