"""Analyses a closed survey: writes its report, and the file that the board reads."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from bench.jobs.run_folder import RunFolder
from bench.survey.analysis.results import FOLDER, About, Results, save
from bench.survey.database.store import SurveyStore
from bench.survey.database.tables import clip, system
from bench.survey.export import export
from bench.survey.overview import status, survey_row


def conclude(store: SurveyStore, name: str) -> tuple[Results, list[Path]]:
    """Analyse a closed survey and store its results in the run folder that its clips come from.

    Returns the results and the files of the report. BenchError before the survey is closed.
    """
    from bench.board.build import build
    from bench.survey.analysis.agreement import clip_figures
    from bench.survey.analysis.analyze import analyze
    from bench.survey.analysis.results_page import write_report

    ratings = export(store, name)
    found = status(store, name)
    one, runs = found.summary, RunFolder(Path(found.summary.run))
    about = About(
        name=name,
        title=one.title,
        state=one.state,
        scale=found.config.questions.scale,
        config_hash=one.config_hash,
        invited=one.flow.invited,
        started=one.flow.started,
        finished=one.flow.finished,
        withdrawn=one.flow.withdrawn,
    )
    rows = build(runs).rows if runs.folders() else ()
    results = analyze(ratings, about, rows, clip_figures(runs, _samples(store, name)))
    save(results, runs.root)
    return results, write_report(results, runs.root / FOLDER / name)


def _samples(store: SurveyStore, name: str) -> dict[str, tuple[str, int]]:
    """The job and the number of the sample behind each clip that was cut from a sample."""
    with store.reading() as connection:
        survey_id = survey_row(connection, name).id
        rows = connection.execute(
            select(clip.c.label, system.c.job, clip.c.sample)
            .join(system, system.c.id == clip.c.system_id)
            .where(clip.c.survey_id == survey_id, clip.c.sample.is_not(None), system.c.job != "")
        ).all()
    return {row.label: (row.job, row.sample) for row in rows}
