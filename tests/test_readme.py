"""What the README shows works as it stands there."""

import re
import tomllib
from pathlib import Path

from bench.board.rows import read_csv

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def test_the_readmes_model_keeps_the_contract_and_runs(home):
    code = re.search(r"```python\n(# mine.py\n.*?)```", README.read_text(), re.DOTALL)
    (home.path / "mine.py").write_text(code.group(1))
    checked = home.bench("check", "mine.py:Repeater")
    assert checked.returncode == 0, checked.stdout
    assert "keeps the contract" in checked.stdout
    run = home.arguments("noise", "human")
    done = home.bench(*run, "--systems", "mine.py:Repeater")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Repeater" in done.stdout
    assert f"Next: `bench dashboard --out {home.runs}`" in done.stdout


def test_every_verb_in_the_readme_exists(home):
    verbs = set(re.findall(r"^bench ([a-z]+)", README.read_text(), re.MULTILINE))
    shown = home.bench("--help").stdout
    assert verbs
    for verb in verbs:
        assert re.search(rf"\b{verb}\b", shown), verb


def test_the_readmes_figures_are_those_of_the_board_and_of_the_catalogue():
    table = re.findall(
        r"^\| `([a-z-]+)` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$",
        README.read_text(),
        re.MULTILINE,
    )
    rows = {
        (row.system, row.dataset): row
        for row in read_csv(ROOT / "leaderboard.csv").rows
        if row.preset == "standard"
    }
    catalogue = ROOT / "bench" / "papers" / "boulanger_lewandowski_2012.toml"
    nade = tomllib.loads(catalogue.read_text())["systems"]["rnn-nade"]["published"]
    assert {data for data, *_ in table} == {"jsb", "nottingham", "musedata", "piano-midi"}
    for data, reference, published, reproduced in table:
        for system, figure in (("axial-transformer", reference), ("rnn-nade", reproduced)):
            row = rows[system, data]
            assert (row.likelihood_kind, f"{row.nats_per_step:.2f}") == ("exact", figure)
        assert float(published) == nade["nats_per_step"][data]
