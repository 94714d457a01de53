"""How often tokens occur, counted by hand."""

from collections import Counter

import numpy as np
from lazy import Library

from bench.encodings.midi_messages import messages
from bench.music import Score
from dashboards.views import tokens

data_charts = Library("dashboards.charts.data")

RNG = np.random.default_rng(0)
PIECES = [
    Score.from_notes(np.arange(40), np.ones(40, int), RNG.choice([60, 62, 64, 65], 40), length=44),
    Score.from_notes([0, 0, 4], [4, 2, 4], [60, 64, 67], length=12),
    Score.silence(0),
]


def test_tokens_are_counted_as_a_counter_counts_them():
    chords, words = tokens.frequencies(PIECES)
    by_hand = Counter(
        tuple(np.flatnonzero(frame)) for piece in PIECES for frame in piece.sounding()
    )
    assert chords.counts.tolist() == sorted(by_hand.values(), reverse=True)
    spoken = Counter(tuple(row) for piece in PIECES for row in messages(piece).tolist())
    assert words.counts.tolist() == sorted(spoken.values(), reverse=True)
    assert f"{len(by_hand)} are different" in chords.sentence


def test_the_curve_goes_from_the_most_frequent_token_to_the_rarest():
    kinds = tokens.frequencies(PIECES)
    table = tokens.by_rank(kinds)
    for kind in kinds:
        own = table[table["tokens"] == kind.name]
        assert (own["rank"].iloc[0], own["rank"].iloc[-1]) == (1, len(kind.counts))
        assert own["count"].iloc[0] == kind.counts[0]
        assert (own["count"].diff().dropna() <= 0).all()
        assert len(own) <= tokens.POINTS
    data_charts.rank_frequency(table).to_dict()


def test_pieces_without_a_note_have_no_curve():
    kinds = tokens.frequencies([Score.silence(0)])
    assert [kind.sentence for kind in kinds] == ["Chords: none.", "MIDI messages: none."]
    assert not len(tokens.by_rank(kinds))
