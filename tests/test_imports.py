"""Modules import what lies below them: no circle between modules, no import up the floors."""

import ast
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the ground up: a room, or a file that stands by itself, imports only what is listed before
# it, and of its own room any module that does not import it.
FLOORS = (
    "bench/__init__.py",
    "bench/music",
    "bench/errors.py",
    "bench/files.py",
    "bench/wording.py",
    "bench/seeds.py",
    "bench/contract.py",
    "bench/encodings",
    "bench/registry.py",
    "bench/training",
    "bench/data",
    "bench/protocol",
    "bench/architectures",
    "bench/judges",
    "bench/jobs",
    "bench/board",
    "bench/engines",
    "bench/survey",
    "bench/suite.py",
    "bench/check.py",
    "bench/cli",
    "bench/papers",
    "bench/treatments",
    "baselines",
    "metrics",
    "dashboards/__init__.py",
    "dashboards/views",
    "dashboards/charts",
    "dashboards/parts.py",
    "dashboards/play.py",
    "dashboards/sign_in.py",
    "dashboards/listening",
    "dashboards/pages",
    "dashboards/serve.py",
)
PACKAGES = tuple(dict.fromkeys(floor.partition("/")[0] for floor in FLOORS))


@dataclass(frozen=True)
class Import:
    """A statement that imports a module of ours."""

    importer: str
    imported: str
    place: str  # file:line

    def __str__(self):
        return f"{self.importer} -> {self.imported}  ({self.place})"


def modules_of(root):
    """The file of every module, relative to the root, by the module's name."""
    return {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for file in sorted((root / package).rglob("*.py"))
        for path in [file.relative_to(root)]
    }


def names_in(file):
    """Each name that a file imports, and the line: in functions and for type checkers too.

    `from a import b` names `a.b`, which may be a module or something inside `a`.
    """
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: write the package's full name"
            yield from ((f"{node.module}.{name.name}", node.lineno) for name in node.names)


def imports_of(root):
    """The imports between modules of ours."""
    modules = modules_of(root)
    imports = {}
    for importer, path in modules.items():
        for name, line in names_in(root / path):
            imported = name if name in modules else name.rpartition(".")[0]
            if imported in modules and imported != importer:
                imports.setdefault(
                    (importer, imported), Import(importer, imported, f"{path}:{line}")
                )
    return list(imports.values())


def circles_in(imports):
    """A shortest way from each module back to itself; of a circle only one."""
    leaving = {}
    for each in imports:
        leaving.setdefault(each.importer, []).append(each)
    circles = {}
    for start in sorted(leaving):
        arrived, queue = {}, deque([start])
        while queue and start not in arrived:
            for each in leaving.get(queue.popleft(), []):
                if each.imported not in arrived:
                    arrived[each.imported] = each
                    queue.append(each.imported)
        if start in arrived:
            circle = [arrived[start]]
            while circle[0].importer != start:
                circle.insert(0, arrived[circle[0].importer])
            circles.setdefault(frozenset(each.importer for each in circle), circle)
    return list(circles.values())


def floor_of(path):
    """How high the file stands; none where no floor holds it."""
    places = (path.as_posix(), *(folder.as_posix() for folder in path.parents))
    return next((FLOORS.index(place) for place in places if place in FLOORS), None)


def upward_in(imports, modules):
    """The imports of something that stands above."""
    floors = {name: floor_of(path) for name, path in modules.items()}
    return [each for each in imports if floors[each.imported] > floors[each.importer]]


def drawn(circle):
    """The circle as it is read: where it goes, then the line that makes each step."""
    way = " -> ".join([circle[0].importer, *(each.imported for each in circle)])
    return "\n".join([way, *(f"  {each}" for each in circle)])


def test_no_modules_import_each_other_in_a_circle():
    if circles := circles_in(imports_of(ROOT)):
        pytest.fail("circles of imports:\n" + "\n".join(map(drawn, circles)), pytrace=False)


def test_nothing_imports_what_stands_above_it():
    if upward := upward_in(imports_of(ROOT), modules_of(ROOT)):
        pytest.fail("imports of what stands above:\n" + "\n".join(map(str, upward)), pytrace=False)


def test_every_module_stands_on_a_floor_and_every_floor_holds_one():
    modules = modules_of(ROOT)
    assert [name for name, path in modules.items() if floor_of(path) is None] == []
    assert {floor_of(path) for path in modules.values()} == set(range(len(FLOORS)))


def test_systems_and_metrics_are_loaded_by_name_and_imported_by_nobody():
    for each in imports_of(ROOT):
        for offered in ("bench.architectures", "bench.treatments", "baselines", "metrics"):
            inside = f"{each.imported}.".startswith(f"{offered}.")
            same = f"{each.importer}.".startswith(f"{offered}.")
            report = offered == "metrics" and each.importer.startswith("dashboards.")
            judge = offered == "bench.architectures" and each.importer.startswith("bench.judges.")
            assert not inside or same or report or judge, each


def test_nothing_imports_tests():
    tests = {path.stem for path in (ROOT / "tests").rglob("*.py")} - {"__init__"} | {"tests"}
    for path in modules_of(ROOT).values():
        for name, line in names_in(ROOT / path):
            assert name.partition(".")[0] not in tests, f"{path}:{line} imports {name}"


def test_no_file_is_named_for_nothing_in_particular():
    vague = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    for folder in (*PACKAGES, "tests"):
        assert not [path for path in (ROOT / folder).rglob("*.py") if path.name in vague]


# -- what the tests above would say ---------------------------------------------------------------


@pytest.fixture
def planted(tmp_path):
    """A tree of a few modules: writes a file of it."""

    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return tmp_path

    return write


def test_a_planted_circle_is_shown_with_every_line_that_makes_it(planted):
    planted("bench/jobs/job.py", "import json\nfrom bench.jobs import log\n")
    planted("bench/jobs/log.py", "def write():\n    from bench.jobs.plan import plan\n")
    root = planted("bench/jobs/plan.py", "if TYPE_CHECKING:\n\n    import bench.jobs.job\n")
    planted("bench/jobs/store.py", "from bench.jobs.plan import plan\n")  # beside the circle
    (circle,) = circles_in(imports_of(root))
    assert drawn(circle) == (
        "bench.jobs.job -> bench.jobs.log -> bench.jobs.plan -> bench.jobs.job\n"
        "  bench.jobs.job -> bench.jobs.log  (bench/jobs/job.py:2)\n"
        "  bench.jobs.log -> bench.jobs.plan  (bench/jobs/log.py:2)\n"
        "  bench.jobs.plan -> bench.jobs.job  (bench/jobs/plan.py:3)"
    )


def test_two_planted_circles_are_two(planted):
    planted("bench/jobs/a.py", "from bench.jobs import b, c\n")
    planted("bench/jobs/b.py", "from bench.jobs import a\n")
    root = planted("bench/jobs/c.py", "from bench.jobs import a\n")
    assert [drawn(circle).splitlines()[0] for circle in circles_in(imports_of(root))] == [
        "bench.jobs.a -> bench.jobs.b -> bench.jobs.a",
        "bench.jobs.c -> bench.jobs.a -> bench.jobs.c",
    ]


def test_a_planted_import_of_something_above_is_shown_with_its_line(planted):
    planted("bench/music/__init__.py", "")
    planted("bench/music/midi.py", "import numpy\n\ndef read():\n    from bench.jobs import job\n")
    root = planted("bench/jobs/job.py", "from bench import music\nfrom bench.music import midi\n")
    assert circles_in(imports_of(root))  # midi and job, too
    assert list(map(str, upward_in(imports_of(root), modules_of(root)))) == [
        "bench.music.midi -> bench.jobs.job  (bench/music/midi.py:4)"
    ]


def test_a_tree_without_circles_has_none(planted):
    planted("bench/music/score.py", "import json\n")
    planted("bench/jobs/job.py", "from bench.music.score import Score\n")
    root = planted(
        "bench/jobs/log.py", "from bench.jobs import job\nfrom bench.music import score\n"
    )
    assert circles_in(imports_of(root)) == []
    assert upward_in(imports_of(root), modules_of(root)) == []
