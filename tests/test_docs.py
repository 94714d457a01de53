"""What the documentation shows works as it stands there, and nothing in it lags behind the code."""

import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench import registry
from bench.check import toy_dataset
from bench.cli.main import app
from bench.data import names
from bench.music import to_midi

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))

BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+?) -->\n)?"
    r"^``` ?(?P<language>\w+)(?P<info>[^\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A piece of code in a page."""

    language: str
    file: str  # what it is called, where it has a title
    text: str
    reason: str  # why it is not run; empty: it is

    @property
    def lines(self) -> list[list[str]]:
        """The words of each command of a shell."""
        if self.language != "sh":
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]

    @property
    def commands(self) -> list[list[str]]:
        """The arguments of `bench` on each line that calls it, or calls it by `./run`."""
        return [arguments_of(words) for words in self.lines if words[0] in ("bench", "./run")]

    @property
    def tests(self) -> list[list[str]]:
        """The arguments of `pytest` on each line that calls it."""
        return [words[1:] for words in self.lines if words[0] == "pytest"]


def arguments_of(words):
    """What `bench` gets; without a verb `./run` adds one, as the script does."""
    arguments = words[1:]
    if words[0] == "./run" and (not arguments or arguments[0].startswith("-")):
        return arguments if arguments == ["--version"] else ["all", *arguments]
    return arguments


def blocks(path: Path) -> list[Block]:
    """The code of a page, in order."""
    code = []
    for match in BLOCK.finditer(path.read_text(encoding="utf-8")):
        title = re.search(r'title="([^"]+)"', match["info"])
        file = title[1] if title else ""
        code.append(Block(match["language"], file, match["text"], match["reason"] or ""))
    return code


# -- running them ----------------------------------------------------------------------------------

CHEAP = ["--preset", "smoke", "--samples", "4", "--steps", "32"]


def cheap(arguments, home):
    """The same command at a price that a test can pay, within the home, on the toy data set."""
    known = set(names())
    arguments = [
        ",".join("toy" if part in known else part for part in word.split(",")) for word in arguments
    ]
    arguments = [
        str(home.path / word[1:]) if word.startswith("/shared") else word for word in arguments
    ]
    if arguments[0] in ("all", "plan"):
        chosen = [] if "--systems" in arguments else ["--systems", "noise,human,markov-chain"]
        data = [] if "--data" in arguments else ["--data", "toy"]
        return [*arguments, *chosen, *data, *CHEAP, "--device", "cpu"]
    if arguments[0] in ("prompts", "score"):
        return [*arguments, *CHEAP]
    return arguments


def affordable(text):
    """A survey's configuration that four short samples are enough for; other files as they are."""
    for setting, value in (("clips", 2), ("per_system", 2), ("seconds", 3.0)):
        text = re.sub(rf"^{setting} = [\d.]+", f"{setting} = {value}", text, flags=re.MULTILINE)
    return text


def run(arguments, home):
    """Run the command. Jobs that need the home's own package take a process that knows of it."""
    installed = (home.path / "pyproject.toml").exists()
    start = home.process if installed and arguments[0] == "all" else home.bench
    done = start(*arguments)
    assert done.returncode == 0, f"bench {shlex.join(arguments)}\n{done.stdout}{done.stderr}"


def run_tests(arguments, home):
    """Run a reader's own tests, all of which must pass."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        env=home.environment,
        cwd=home.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"pytest {shlex.join(arguments)}\n{done.stdout}{done.stderr}"


def with_given_files(home):
    """What the pages suppose that the reader has: MIDI of their own."""
    toy = toy_dataset()
    for name, count, steps in (("my_samples", 4, 32), ("path/to/midi", 14, None)):
        folder = home.path / name
        folder.mkdir(parents=True)
        for number, piece in enumerate(list(toy.pieces.values())[:count]):
            score = piece.slice(0, steps or piece.length)
            (folder / f"{number:03d}.mid").write_bytes(to_midi(score))


def install(home, monkeypatch):
    """Make the entry points of the home's pyproject.toml known, as installing it would."""
    project = tomllib.loads((home.path / "pyproject.toml").read_text())["project"]
    info = home.path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())
        for group, lines in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))
    monkeypatch.syspath_prepend(str(home.path))
    home.environment["PYTHONPATH"] += f":{home.path}"
    forget()


def forget():
    """Let the registry look anew for what is installed."""
    for known in (registry.systems, registry.metrics):
        known.cache_clear()


# They run many jobs, or render audio. The others are what newcomers read first.
SLOW = {"data.md", "engines-local.md", "engines-slurm.md", "survey.md", "tutorial.md"}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page.name in SLOW else ())
        for page in PAGES
        if any(block.commands or block.language in ("python", "toml") for block in blocks(page))
    ],
    ids=lambda page: page.name,
)
def test_the_examples_of_a_page_run_one_after_the_other(page, home, monkeypatch):
    monkeypatch.chdir(home.path)
    home.environment["BENCH_SURVEY_DIR"] = str(home.path / "survey")
    monkeypatch.setenv("BENCH_SURVEY_DIR", str(home.path / "survey"))
    with_given_files(home)
    try:
        for block in blocks(page):
            if block.file:
                (home.path / block.file).write_text(affordable(block.text))
            if block.language == "python" and not block.file.startswith("test_"):
                exec(compile(block.text, block.file or page.name, "exec"), {"__name__": "example"})
            elif block.language == "toml":
                tomllib.loads(block.text)
            if block.file == "pyproject.toml":
                install(home, monkeypatch)
            for arguments in block.commands:
                if block.reason:
                    continue
                run(cheap(arguments, home), home)
            for arguments in block.tests:
                run_tests(arguments, home)
    finally:
        forget()


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name
)
def test_every_command_shown_has_its_verb_and_options(page):
    for block in blocks(page):
        for arguments in block.commands:
            if arguments[0] == "test":
                continue  # of ./run alone
            shown = CliRunner().invoke(app, [*arguments, "--help"])
            assert shown.exit_code == 0, f"bench {shlex.join(arguments)}\n{shown.output}"


# -- nothing lags behind ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generate():
    return registry.load_object(f"{DOCS / 'generate.py'}:main").__globals__


@pytest.mark.parametrize("name", ["commands.md", "data.md", "metrics.md", "systems.md"])
def test_a_generated_page_is_what_would_be_generated_now(generate, name):
    assert set(generate["PAGES"]) == {"commands.md", "data.md", "metrics.md", "systems.md"}
    fresh = generate["PAGES"][name]()
    assert (DOCS / name).read_text() == fresh, "it lags behind: run docs/generate.py and commit"


def test_every_metric_has_a_formula_and_every_formula_a_metric(generate):
    given = [name for family in generate["families"]() for name in family["formulas"]]
    assert sorted(given) == sorted(registry.metrics())


def test_the_validity_shown_is_that_of_the_present_metrics(generate):
    versions = {name: cls.version for name, cls in registry.metrics().items()}
    assert generate["validated_versions"]() == versions, (
        "run `bench validate`, then docs/generate.py --validity runs/validity.csv"
    )


def test_a_required_property_that_the_page_shows_is_one_that_is_required_now(generate):
    from bench.protocol import validity

    rows = validity.read_csv(DOCS / "parts" / "validity.csv")
    shown = {(row.metric, row.name) for row in rows if row.kind == "property"}
    for name, cls in registry.metrics().items():
        for statement in getattr(cls, "required", ()):
            assert (name, statement) in shown


def test_the_citation_names_the_version_that_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = dict(
        re.findall(r"^([\w-]+): *(.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    )
    assert cited["version"] == project["version"]
    assert cited["license"] == project["license"]


def test_the_container_holds_every_package_of_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    copied = (ROOT / "deploy" / "Containerfile").read_text()
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert f"COPY {package} {package}\n" in copied


# -- the site --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_site_builds_with_every_link_leading_somewhere_and_nothing_from_outside(tmp_path):
    pytest.importorskip("mkdocs", reason='pip install -e ".[docs]" builds the site')
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= len(PAGES)
    loaded = re.compile(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"?(https?:)?//[^>]+>")
    for page in pages:
        assert not loaded.search(page.read_text()), page.name
