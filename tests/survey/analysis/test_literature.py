import pytest

from bench.survey.analysis.literature import published_ratings

# Huang & Wu 2016, section 6; Svegliato & Witty 2017, table 2.
PAPERS = {
    ("Huang & Wu 2016", "midi-lstm"): (7.0, 1.87, 1, None),
    ("Huang & Wu 2016", "RNN-NADE"): (5.3, 1.7, 1, None),
    ("Huang & Wu 2016", "chord-lstm"): (6.2, 2.4, 1, None),
    ("Svegliato & Witty 2017", "deep-jammer-large"): (6.7, 2.1, 4, 0.76),
    ("Svegliato & Witty 2017", "deep-jammer-medium"): (6.2, 2.0, 2, 0.73),
    ("Svegliato & Witty 2017", "deep-jammer-small"): (6.1, 2.1, 2, 0.67),
    ("Svegliato & Witty 2017", "deep-jammer-dropout"): (6.0, 1.9, 2, 0.69),
    ("Svegliato & Witty 2017", "deep-jammer-extended"): (4.3, 2.0, 2, 0.40),
    ("Svegliato & Witty 2017", "deep-jammer-finetune"): (4.7, 1.7, 2, 0.48),
    ("Svegliato & Witty 2017", "real classical"): (8.1, 1.4, 1, 1.0),
    ("Svegliato & Witty 2017", "real jazz"): (7.3, 1.6, 1, 0.92),
}


def test_every_published_rating_is_listed_as_printed():
    ratings = {
        (rating.paper, rating.system): (rating.mean, rating.sd, rating.clips, rating.believable)
        for rating in published_ratings()
    }
    assert ratings == PAPERS
    assert sum(p.clips for p in published_ratings() if p.paper.startswith("Svegliato")) == 16
    assert {p.raters for p in published_ratings()} == {26}


def test_more_clips_make_smaller_differences_detectable():
    by_clips = {p.clips: p.detectable for p in published_ratings()}
    assert by_clips[1] > 3 > by_clips[2] > by_clips[4]
    rating = next(rating for rating in published_ratings() if rating.system == "RNN-NADE")
    assert rating.high - rating.low == pytest.approx(2 * 2.06 * 1.7 / 26**0.5, rel=1e-3)
