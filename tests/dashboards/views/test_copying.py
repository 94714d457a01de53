from made_up_jobs import job

from bench.music import Score
from bench.protocol.copy_report import Comparison, CopyReport, Measure, Passage
from bench.protocol.sampling import Prompt
from dashboards.views import copying

BAR = job().protocol.prompt


def scale(first, bars):
    """A note on the first step of each bar, one semitone higher each."""
    onset = [BAR * n for n in range(bars)]
    return Score.from_notes(onset, [2] * bars, [first + n for n in range(bars)], length=BAR * bars)


def report(**fields):
    """A report with one accused comparison and one passage."""
    passage = Passage(
        **{
            "sample": 1, "reference": "data set", "source": "piece", "split": "train",
            "bars": (2, 3), "source_bars": (3, 4), "source_offset": 0, "semitones": 0,
            "matched": 2, "notes": 2,
        }
        | fields
    )  # fmt: skip
    measure = Measure(name="whole", value=0.97, human=0.4, threshold=0.6, copies=True)
    comparison = Comparison(reference=passage.reference, measures=(measure,))
    return CopyReport(
        verdict="copies", comparisons=(comparison,), passages=(passage,), samples="", data="",
        protocol=job().protocol,
    )  # fmt: skip


SAMPLES = [scale(40, 4), scale(60, 4), None]
PROMPTS = [Prompt("a", 0, scale(70, 1), scale(0, 0)), Prompt("b", 0, scale(80, 1), scale(0, 0))]


def pitches(score):
    return score.pitch.tolist()


def test_a_passage_stands_beside_the_bars_of_the_piece_that_it_is_from():
    (pair,) = copying.pairs(report(), SAMPLES, PROMPTS, {"piece": scale(59, 6)})
    assert pitches(pair.sample) == pitches(pair.source) == [61, 62]
    assert pair.label == "Sample 2, bars 2 to 3"
    assert pair.matched == "2 of 2 notes are the same"


def test_the_source_can_be_the_prompt_own_bars_or_another_sample():
    own = report(reference="itself", source="own bars", source_bars=(1, 2))
    assert pitches(copying.pairs(own, SAMPLES, PROMPTS, {})[0].source) == [60, 61]
    prompt = report(reference="itself", source="prompt", bars=(1, 1), source_bars=(1, 1))
    assert pitches(copying.pairs(prompt, SAMPLES, PROMPTS, {})[0].source) == [80]
    other = report(reference="other samples", source="0", source_bars=(1, 2))
    assert pitches(copying.pairs(other, SAMPLES, PROMPTS, {})[0].source) == [40, 41]


def test_what_is_not_here_is_none_and_never_an_error():
    for fields in ({"sample": 2}, {"sample": 9}, {"source": "gone"}, {"source_bars": (90, 91)}):
        (pair,) = copying.pairs(report(**fields), SAMPLES, PROMPTS, {"piece": scale(59, 6)})
        assert pair.sample is None or pair.source is None or len(pair.source) == 0
    (pair,) = copying.pairs(
        report(reference="other samples", source="no number"), SAMPLES, PROMPTS, {}
    )
    assert pair.source is None
