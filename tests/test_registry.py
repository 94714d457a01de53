import sys

import pytest

from bench import registry
from bench.errors import BenchError

BLOCK = """
[paper]
short = "Somebody 2020"
citation = "Somebody: Something. 2020"
[systems.x]
title = "X"
kind = "paper"
class = "somewhere:X"
published = { none = "no figures" }
"""


def test_a_catalogues_paper_fills_what_its_blocks_leave_out():
    spec = registry.read_catalogue(BLOCK, "here")["x"]
    assert (spec.id, spec.paper, spec.citation) == (
        "x",
        "Somebody 2020",
        "Somebody: Something. 2020",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("title", "titel"), r"(?s)systems\.x.*titel"),
        (("published = {", "about = {"), r"systems\.x"),
        (('published = { none = "no figures" }', "published = {}"), "give the figures"),
        (('kind = "paper"', 'kind = "thing"'), r"(?s)kind.*ceiling"),
        (("[paper]", "[paper"), "no valid TOML"),
    ],
)
def test_a_wrong_block_is_named_with_the_key_that_is_wrong(change, message):
    with pytest.raises(BenchError, match=message):
        registry.read_catalogue(BLOCK.replace(*change), "here")


def test_the_paper_budget_falls_back_on_standard_where_no_paper_names_one():
    block = registry.BudgetBlock(smoke=1, quick=2, standard=3)
    assert [block.of(preset).amount for preset in registry.PresetName.__args__] == [1, 2, 3, 3]
    assert block.of("quick").share is None
    assert registry.BudgetBlock(quick=2, paper=8).of("quick").share == 0.25


def test_a_wrapper_carries_the_settings_of_what_it_wraps(monkeypatch):
    inner = registry.read_catalogue(BLOCK + "settings = { size = 3 }", "here")["x"]
    outer = inner.model_copy(update={"id": "y", "wraps": "x", "settings": {}})
    monkeypatch.setattr(registry, "systems", lambda: {"x": inner, "y": outer})
    wrapped = outer.settings_of("corrected")["wrapped"]
    assert wrapped == {"class": "somewhere:X", "settings": {"size": 3}, "source": "version 1"}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package of somebody else's, installed beside ours."""
    package = tmp_path / "theirs"
    package.mkdir()
    (package / "__init__.py").write_text(
        "class Theirs:\n    name = 'their_metric'\n    version = 1\n"
    )
    (package / "their_paper.toml").write_text(BLOCK.replace("systems.x", "systems.their-lstm"))
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[musicbench.systems]\ntheir-system = theirs:Theirs\n"
        "[musicbench.metrics]\ntheir_metric = theirs:Theirs\n"
        "[musicbench.catalogues]\ntheir-paper = theirs\n"
        "[musicbench.datasets]\ntheir-data = theirs:Theirs\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    caches = (registry.systems, registry.metrics, registry.datasets)
    for cache in caches:
        cache.cache_clear()
    yield info
    for cache in caches:
        cache.cache_clear()
    sys.modules.pop("theirs", None)


def test_a_preset_gives_the_papers_sizes_wherever_it_can_and_says_so_where_it_cannot(monkeypatch):
    sizes = "settings = { size = 300, rate = 1 }\nreduced = { size = 60 }\nsmall = { size = 3 }\n"
    spec = registry.read_catalogue(BLOCK + sizes, "here")["x"]
    seen = {
        p: (spec.size_of(p), spec.settings_of("corrected", spec.size_of(p)))
        for p in registry.PresetName.__args__
    }
    assert seen == {
        "smoke": ("small", {"size": 3, "rate": 1}),
        "quick": ("reduced", {"size": 60, "rate": 1}),
        "standard": ("full", {"size": 300, "rate": 1}),
        "paper": ("full", {"size": 300, "rate": 1}),
    }
    published = (
        "as-published = { settings = { rate = 9 }, defects = ['d'], reduced = { size = 7 } }"
    )
    both = registry.read_catalogue(BLOCK + sizes + published, "here")["x"]
    assert both.settings_of("as-published", "full") == {"size": 300, "rate": 9}
    assert both.settings_of("as-published", "reduced") == {"size": 7, "rate": 9}
    assert both.settings_of("corrected", "reduced") == {"size": 60, "rate": 1}
    plain = registry.read_catalogue(BLOCK + "settings = { size = 3 }", "here")["x"]
    assert {plain.size_of(preset) for preset in registry.PresetName.__args__} == {"full"}
    monkeypatch.setattr(registry, "systems", lambda: {"x": spec})
    treated = registry.read_catalogue(BLOCK + 'wraps = "x"', "here")["x"]
    assert treated.size_of("quick") == "reduced"
    assert treated.settings_of("corrected", "reduced")["wrapped"]["settings"]["size"] == 60


def test_an_installed_packages_systems_metrics_and_data_come_in_by_the_same_door(installed):
    assert registry.system("their-system").kind == "external"
    assert registry.system("their-lstm").paper == "Somebody 2020"
    assert registry.metric("their_metric").__name__ == "Theirs"
    assert registry.datasets()["their-data"].__name__ == "Theirs"
    assert "markov-chain" in registry.systems()


def test_two_packages_with_one_name_are_an_error_that_names_both(installed):
    text = (installed / "entry_points.txt").read_text()
    (installed / "entry_points.txt").write_text(text.replace("their-system", "noise"))
    with pytest.raises(BenchError, match="Two packages offer a system called 'noise'"):
        registry.systems()


def test_a_users_class_is_loaded_by_path_and_known_by_its_content(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("class Mine:\n    pass\n")
    spec = registry.system(f"{file}:Mine")
    before = registry.source_hash(spec)
    assert registry.load_object(spec.class_path).__name__ == "Mine"
    file.write_text("class Mine:\n    x = 1\n")
    assert registry.source_hash(spec) != before


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("class Mine:", "Mine", "cannot be imported: IndentationError"),
        ("import nowhere_at_all", "Mine", "No module named"),
        ("class Mine:\n    pass", "Mien", "Did you mean Mine"),
    ],
)
def test_a_users_file_that_cannot_be_used_says_why(tmp_path, content, name, message):
    file = tmp_path / "mine.py"
    file.write_text(content)
    with pytest.raises(BenchError, match=message):
        registry.load_object(f"{file}:{name}")


def test_settings_that_do_not_fit_the_class_are_named(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("class Mine:\n    def __init__(self, *, size): pass\n")
    with pytest.raises(BenchError, match=r"unexpected keyword argument 'width'.*Mine are: size"):
        registry.build(f"{file}:Mine", {"size": 1, "width": 3}, "mine")
    with pytest.raises(BenchError, match="missing a required argument: 'size'"):
        registry.build(f"{file}:Mine", {}, "mine")


def test_what_a_constructor_raises_itself_is_not_taken_for_a_wrong_setting(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("class Mine:\n    def __init__(self, size=1): size + 'steps'\n")
    with pytest.raises(TypeError, match="unsupported operand"):
        registry.build(f"{file}:Mine", {}, "mine")


def test_a_name_may_carry_other_settings_which_no_preset_takes_back():
    spec = registry.system("chord-lstm+sampler=argmax+batch=25")
    assert (spec.id, spec.title) == (
        "chord-lstm+sampler=argmax+batch=25",
        "Chord LSTM (sampler=argmax, batch=25)",
    )
    plain = registry.system("chord-lstm")
    for size in ("full", "reduced"):
        own = plain.settings_of("corrected", size)
        assert spec.settings_of("corrected", size) == own | {"sampler": "argmax", "batch": 25}
    assert registry.system("midi-lstm+sampler=argmax").settings_of("as-published") == (
        registry.system("midi-lstm").settings_of("as-published") | {"sampler": "argmax"}
    )
    assert registry.system("noise+rates=shared").anchor is None  # one row only is skill 0


def test_a_treatment_may_be_given_any_other_system(tmp_path):
    spec = registry.system("rbm-window+wraps=chord-lstm")
    assert spec.settings_of("corrected")["wrapped"]["class"].endswith(":ChordLSTM")
    assert spec.budget == registry.system("chord-lstm").budget
    counted = registry.system("rbm-window+wraps=markov-chain")
    assert counted.budget == registry.system("rbm-window").budget  # the RBM's own training
    assert registry.system("biaxial-reversed+wraps=tonicnet").data == ("chorales",)
    mine = tmp_path / "mine.py"
    mine.write_text("class Mine:\n    pass\n")
    theirs = registry.system(f"rbm-window+wraps={mine}:Mine")
    assert theirs.id == "rbm-window+wraps=Mine"  # a job's folder is called so
    assert theirs.settings_of("corrected")["wrapped"]["class"] == f"{mine}:Mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chord-lstm+sampler=best", "choose softmax, argmax or mixed"),
        ("chord-lstm+samplr=argmax", "no setting of chord-lstm called 'samplr'.*sampler"),
        ("axial-transformer+blok=3", "no setting of axial-transformer called 'blok'.*blocks"),
        ("chord-lstm+hidden=many", "hidden cannot be 'many'; by default it is 128"),
        ("chord-lstm+hidden=12.5", "hidden cannot be 12.5"),
        ("rnn-nade+dropout=true", "dropout cannot be True; by default it is 0.4"),
        ("rbm-window+wrapped=3", "no setting of rbm-window called 'wrapped'"),
        ("chord-lstm+wraps=noise", "treats no other system"),
        ("rbm-window+wraps=nobody", "no system called 'nobody'"),
        ("chord-lstm+argmax", r"no system called 'chord-lstm\+argmax'"),
    ],
)
def test_a_setting_that_does_not_exist_is_told_before_anything_runs(name, message):
    with pytest.raises(BenchError, match=message):
        registry.system(name)
