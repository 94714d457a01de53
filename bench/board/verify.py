"""Whether a board file holds: its rows' hashes, and that each row follows from its jobs."""

from __future__ import annotations

from pathlib import Path

from bench.board.build import build
from bench.board.rows import column_names, hash_of, read_csv, text
from bench.jobs.run_folder import RunFolder


def verify(path: Path, runs: RunFolder | None) -> list[str]:
    """What is wrong with a board file; empty: nothing. Without a run folder no job is looked at."""
    rows = read_csv(path).rows
    places = [
        f"line {number} ({row.system} on {row.dataset})" for number, row in enumerate(rows, start=2)
    ]
    wrong = [
        f"{place}: the cells are not those that were hashed"
        for place, row in zip(places, rows, strict=True)
        if row.row_hash != hash_of(row)
    ]
    if runs is None:
        return wrong
    rebuilt = {row.jobs: row for row in build(runs).rows}
    for place, row in zip(places, rows, strict=True):
        fresh = rebuilt.get(row.jobs)
        if fresh is None:
            wrong.append(f"{place}: its jobs are not in {runs.root}")
            continue
        file, built = row.cells(), fresh.cells()
        different = [
            name
            for name in column_names([file, built])
            if text(file.get(name)) != text(built.get(name))
        ]
        if different:
            wrong.append(f"{place}: its jobs give other {', '.join(different)}")
    return wrong
