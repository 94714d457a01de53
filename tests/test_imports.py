"""The folders depend on each other in one direction only."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def imported(path):
    """The modules a file names, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize(
    ("folder", "never"),
    [
        ("bench", ("metrics", "baselines", "dashboards")),
        ("metrics", ("baselines", "dashboards", "bench.architectures")),
        ("baselines", ("metrics", "dashboards")),
        ("bench/architectures", ("bench.treatments",)),
        ("dashboards", ("tests",)),
    ],
)
def test_a_folder_names_nothing_above_it(folder, never):
    for path in (ROOT / folder).rglob("*.py"):
        for module in imported(path):
            assert not any(module == name or module.startswith(f"{name}.") for name in never), (
                f"{path.relative_to(ROOT)} imports {module}"
            )


def test_music_stands_by_itself():
    for path in (ROOT / "bench" / "music").rglob("*.py"):
        ours = [m for m in imported(path) if m.split(".")[0] in ("bench", "metrics", "baselines")]
        assert all(module.startswith("bench.music") for module in ours), path.name


def test_no_file_is_named_for_nothing_in_particular():
    vague = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    for folder in ("bench", "metrics", "baselines", "dashboards", "tests"):
        assert not [path for path in (ROOT / folder).rglob("*.py") if path.name in vague]
