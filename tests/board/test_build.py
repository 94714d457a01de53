import csv
import io
import json
import re

import numpy as np
import pytest
from rich.console import Console

from bench import wording
from bench.board import build as board
from bench.cli import printing
from bench.errors import BenchError
from bench.jobs.run_folder import Store
from bench.protocol import statistics, validity

SYSTEMS = ("noise", "silence", "human", "random-chords", "markov-chain", "Raises")


@pytest.fixture
def finished(home):
    """A run of the baselines and of one that fails."""
    done = home.bench(*home.arguments(*SYSTEMS), "--seeds", "2")
    assert done.returncode == 1, done.stderr
    return home


def test_a_board_is_rebuilt_verified_and_shown_in_every_form(finished):
    path = finished.runs / "leaderboard.csv"
    rows = {row["system"]: row for row in board.read_csv(path)}
    assert set(rows) == set(SYSTEMS)

    # the anchors
    for metric in ("two_sample", "pca_distance"):
        assert rows["noise"][f"{metric}_skill"] == pytest.approx(0, abs=1e-9)
        assert rows["human"][f"{metric}_skill"] == pytest.approx(1)

    # four short samples a seed do not tell noise from music by every metric: so no skill, no rank
    assert all(row["isl_skill"] is row["skill"] is row["rank"] is None for row in rows.values())
    assert {row["skill_coverage"] for row in rows.values()} == {"5/6", "0/6"}
    assert rows["markov-chain"]["skill_note"] == "isl: floor and ceiling cannot be told apart"
    assert rows["Raises"]["skill_note"] == ""  # `failure` says it
    for row in rows.values():
        for name, value in row.items():
            if name.endswith("_low") and value is not None and "rank" not in name:
                middle, high = row[name.removesuffix("_low")], row[name.replace("_low", "_high")]
                assert value <= middle + 1e-9, (row["system"], name)
                assert middle <= high + 1e-9, (row["system"], name)

    # likelihoods with their tags
    assert rows["noise"]["likelihood_kind"] == "coarse"
    assert rows["markov-chain"]["likelihood_kind"] == "exact"
    assert rows["silence"]["nats_per_step"] is None
    assert "probability 0" in rows["silence"]["likelihood_note"]
    assert rows["noise"]["nats_per_step"] > rows["random-chords"]["nats_per_step"]

    # failures are rows
    assert rows["Raises"]["status"] == "failed"
    assert rows["Raises"]["seeds"] == 0
    assert rows["Raises"]["failure"].count("RuntimeError: the loss") == 2
    assert rows["noise"]["seeds"] == 2

    # written, read and rebuilt: the same file
    entries = [entry.flat() for entry in board.build(Store(finished.runs))]
    assert board.to_csv(entries) == path.read_text()
    assert board.to_csv(board.read_csv(path)) == path.read_text()
    assert board.verify(path, Store(finished.runs)) == []
    good = finished.bench("verify", str(path))
    assert good.returncode == 0
    assert "All 6 rows" in good.stdout

    # a typed-in figure is found, with and without the jobs
    forged = finished.path / "forged.csv"
    forged.write_text(path.read_text().replace(f",{rows['noise']['nats_per_step']},", ",1.5,"))
    assert "not those that were hashed" in board.verify(forged, None)[0]
    wrong = board.verify(forged, Store(finished.runs))
    assert any("its jobs give other nats_per_step" in line for line in wrong)
    assert finished.bench("verify", str(forged)).returncode == 1

    # as is a job that is gone
    other = Store(finished.path / "elsewhere")
    assert all("its jobs are not in" in line for line in board.verify(path, other))

    # every form holds the same rows
    out = ["board", "--out", str(finished.runs)]
    assert finished.bench(*out, "--format", "csv").stdout == path.read_text()
    as_json = json.loads(finished.bench(*out, "--format", "json").stdout)
    assert [row["system"] for row in as_json] == [entry["system"] for entry in entries]
    markdown = finished.bench(*out, "--format", "markdown").stdout
    assert sum(line.startswith("| ") for line in markdown.splitlines()) == 8
    latex = finished.bench(*out, "--format", "latex").stdout
    assert latex.count(r"\\") == 7
    assert not re.search(r"(?<!\\)_", latex.split("midrule")[1].split(r"\bottomrule")[0])
    table = finished.bench(*out).stdout
    assert "toy · smoke · 4 samples of 32 steps, continuing one bar" in table

    # metrics of another version are not mixed in: they are scored anew, nothing else is redone
    folder = next(f for f in Store(finished.runs).folders() if f.path.name.startswith("noise"))
    scores = json.loads(folder.scores.read_text())
    name = next(iter(scores["metrics"]))
    scores["metrics"][name]["version"] = -1
    folder.scores.write_text(json.dumps(scores))
    again = finished.bench(*finished.arguments(*SYSTEMS[:-1]), "--seeds", "2")
    assert again.returncode == 0, again.stderr
    assert "1 of 10 jobs to run" in again.stdout
    assert folder.log.read_text().count("] fit") == 1
    assert json.loads(folder.scores.read_text())["metrics"][name]["version"] != -1

    # samples that were touched are drawn anew, and give the same figures
    first = folder.samples / "000.mid"
    before = first.read_bytes()
    first.write_bytes(b"MThd")
    folder.status.unlink()
    assert finished.bench(*finished.arguments(*SYSTEMS[:-1]), "--seeds", "2").returncode == 0
    assert first.read_bytes() == before


class Gap:
    """A headline metric of which the lower is the better."""

    headline, direction = True, "lower"


def entries_of(floor, ceiling, *others, spread=1.0, metrics=("gap",)):
    """A group of rows with such values, and draws around them that are independent."""
    found = []
    for number, value in enumerate((floor, ceiling, *others)):
        row = board.Row(
            system=f"system{number}", kind=("floor", "ceiling", "paper")[min(number, 2)],
            variant="corrected", dataset="toy", dataset_version=1, preset="quick", status="ok",
            seeds=1, pieces=8, steps=8, prompted=True, budget=1, budget_unit="updates",
            device="cpu", dataset_fingerprint="f", jobs="j",
        )  # fmt: skip
        noise = np.random.default_rng(number).normal(scale=spread, size=(len(metrics), 1000))
        draws = {m: value + n - n.mean() for m, n in zip(metrics, noise, strict=True)}
        exact = dict.fromkeys(metrics, float(value))
        found.append(board.Entry(row, dict(exact), draws, (0, 1, None)[min(number, 2)], exact))
    return found


def test_what_does_not_tell_noise_from_music_gives_no_skill_and_says_so(monkeypatch):
    monkeypatch.setattr(board.registry, "metrics", lambda: {"gap": Gap})
    apart, chance, wrong = (entries_of(floor, 10.0, 12.0) for floor in (20.0, 11.0, 2.0))
    for rows in (apart, chance, wrong):
        board.rank(rows)
    assert [one.row.skill for one in apart] == [0, 1, 0.8]
    assert [one.row.rank for one in apart] == [None, None, 1]
    assert {one.row.skill_note for one in apart} == {""}
    for rows, note in (
        (chance, "gap: floor and ceiling cannot be told apart"),
        (wrong, "gap: the floor is better than the ceiling"),
    ):
        for one in rows:
            assert one.cells["gap_skill"] is one.row.skill is one.row.rank is None
            assert (one.row.skill_coverage, one.row.skill_note) == ("0/1", note)


def test_a_paired_difference_decides_whether_floor_and_ceiling_are_apart(monkeypatch):
    monkeypatch.setattr(board.registry, "metrics", lambda: {"gap": Gap})
    rows = entries_of(11.0, 10.0, 10.5)
    rows[0].draws["gap"] = rows[1].draws["gap"] + 1.0
    board.rank(rows)
    assert rows[2].row.skill == pytest.approx(0.5)


def test_the_rows_that_make_the_scale_are_0_and_1_in_every_draw(monkeypatch):
    monkeypatch.setattr(board.registry, "metrics", lambda: {"gap": Gap})
    rows = entries_of(20.0, 10.0, 12.0)
    board.rank(rows)
    for one, skill in zip(rows[:2], (0, 1), strict=True):
        assert np.allclose(one.draws["skill"], skill)
    assert rows[2].row.skill_low < 0.8 < rows[2].row.skill_high


@pytest.mark.parametrize("quality", [0.0, 0.5, 0.95])
def test_the_interval_of_the_skill_covers_that_of_the_populations(monkeypatch, quality):
    """Every system is 30 pieces of its population; floor and ceiling are too."""
    monkeypatch.setattr(board.registry, "metrics", lambda: {"gap": Gap, "other": Gap})
    rng, means = np.random.default_rng(5), (4.0, 0.0, 4.0 * (1 - quality))
    covered = 0
    for _ in range(300):
        rows = entries_of(*means, metrics=("gap", "other"))
        difficulty = rng.normal(size=30)  # of the prompts, which all share
        for one, mean in zip(rows, means, strict=True):
            for metric in ("gap", "other"):
                pieces = mean + difficulty + rng.normal(scale=1.5, size=30)
                one.exact[metric] = float(pieces.mean())
                one.draws[metric] = statistics.mean_draws(pieces)
        board.rank(rows)
        covered += rows[2].row.skill_low <= quality <= rows[2].row.skill_high
    assert 0.90 <= covered / 300 <= 0.98


def test_a_board_with_a_missing_column_or_a_word_for_a_number_is_named(tmp_path):
    row = dict.fromkeys(board.Row.model_fields, "") | {
        "system": "x", "kind": "paper", "variant": "corrected", "dataset": "toy",
        "dataset_version": "1", "preset": "quick", "status": "ok", "seeds": "1", "pieces": "4",
        "steps": "32", "prompted": "true", "budget": "0", "budget_unit": "updates",
        "device": "cpu", "dataset_fingerprint": "f", "jobs": "j", "row_hash": "h",
    }  # fmt: skip
    path = tmp_path / "board.csv"

    def write(cells):
        out = io.StringIO()
        writer = csv.DictWriter(out, cells)
        writer.writeheader()
        writer.writerow(cells)
        path.write_text(out.getvalue())

    write({name: value for name, value in row.items() if name != "skill"})
    with pytest.raises(BenchError, match="lacks the columns skill"):
        board.read_csv(path)
    write(row | {"skill": "good"})
    with pytest.raises(BenchError, match=r"(?s)line 2.*skill"):
        board.read_csv(path)
    write(row)
    assert board.read_csv(path)[0]["skill"] is None
    with pytest.raises(BenchError, match="cannot be read"):
        board.read_csv(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("cells", "shown"),
    [((None,), ""), ((0.1234,), "0.123"), ((12.345, 1.0, 20.0), "12.35 [1.00, 20.00]")],
)
def test_figures_are_shown_with_their_interval_and_missing_ones_are_blank(cells, shown):
    assert wording.number(*cells) == shown


def test_all_seeds_of_a_system_are_one_row(home):
    done = home.bench(*home.arguments("noise"), "--seeds", "2")
    assert done.returncode == 0, done.stderr
    (row,) = board.read_csv(home.runs / "leaderboard.csv")
    assert row["seeds"] == len(row["jobs"].split()) == 2


def test_metrics_that_lost_a_required_property_are_starred_and_grey(tmp_path):
    rows = [one.flat() for one in entries_of(20.0, 10.0, 12.0)]
    (tmp_path / validity.FILE).write_text(
        validity.to_csv(
            [
                validity.Row("gap", 1, "property", "human > noise", holds=False),
                validity.Row("other", 1, "property", "human > noise", holds=True),
            ]
        )
    )
    lost = validity.lost(tmp_path / "leaderboard.csv")
    assert lost == {"gap"}
    assert validity.lost(tmp_path / "elsewhere" / "leaderboard.csv") == set()

    def shown(lost):
        screen = {"force_terminal": True, "color_system": "standard"}  # whatever TERM says
        console = Console(width=200, file=io.StringIO(), **screen)
        printing.print_board(console, rows, ["gap", "other"], lost)
        return console.file.getvalue()

    assert "gap *" in shown(lost)
    assert "other *" not in shown(lost)
    assert "\x1b[90m" in shown(lost)
    assert "* gap lost a property required of a metric" in shown(lost)
    assert "*" not in shown(set())
