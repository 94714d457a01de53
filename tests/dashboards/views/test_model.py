import pytest
from lazy import Library
from made_up_rows import row

from dashboards.views import model as model_view

parts = Library("dashboards.parts")


@pytest.mark.parametrize("name", ["chord-lstm", "chord-lstm+sampler=argmax"])
def test_a_contestant_of_the_suite_is_known_with_other_settings_too(name):
    assert model_view.spec_of(row(name)).id == name


def test_what_a_board_names_is_never_read_as_a_file(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("raise SystemExit('run')")
    for name in ("nobody", f"{mine}:Mine", f"{mine}:Mine+a=1", f"rbm-window+wraps={mine}:Mine"):
        assert model_view.spec_of(row(name)) is None


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("as `chord-lstm+a=1`, *not* <b>", "as `chord-lstm+a=1`, \\*not\\* \\<b\\>"),
        ("one ` alone", "one \\` alone"),
        ("`a` and `<b>`", "`a` and `<b>`"),
    ],
)
def test_what_stands_between_backticks_is_code_and_the_rest_as_it_is(said, shown):
    assert parts.prose(said) == shown
