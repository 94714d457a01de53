"""What the README shows works as it stands there."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


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


def test_every_verb_in_the_readme_exists(home):
    verbs = set(re.findall(r"^bench ([a-z]+)", README.read_text(), re.MULTILINE))
    shown = home.bench("--help").stdout
    assert verbs
    for verb in verbs:
        assert re.search(rf"\b{verb}\b", shown), verb
