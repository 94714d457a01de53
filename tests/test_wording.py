import pytest

from bench import wording


@pytest.mark.parametrize(
    ("cells", "shown"),
    [((None,), ""), ((0.1234,), "0.123"), ((12.345, 1.0, 20.0), "12.35 [1.00, 20.00]")],
)
def test_figures_are_shown_with_their_interval_and_missing_ones_are_blank(cells, shown):
    assert wording.number(*cells) == shown
