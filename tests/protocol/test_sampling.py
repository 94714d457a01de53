import numpy as np
import pytest

from bench.check import toy_dataset
from bench.errors import BenchError
from bench.music import Score
from bench.protocol import sampling


def protocol(samples=6, steps=32, unprompted=False):
    return sampling.Protocol(samples=samples, steps=steps, prompt=16, unprompted=unprompted)


def test_prompts_come_from_half_of_the_validation_pieces_and_tuning_from_the_other():
    toy = toy_dataset()
    prompts = sampling.prompts(toy, protocol(samples=4))
    prompting = {prompt.piece for prompt in prompts}
    reference = sampling.reference(toy, protocol(samples=4), prompts)
    assert prompting < set(toy.valid)
    others = [toy.pieces[piece] for piece in toy.valid if piece not in prompting]
    assert list(reference.tuning) == sampling.excerpts(others, protocol())
    assert len(reference.tuning) > 0


def test_the_reference_says_which_piece_every_prompt_and_excerpt_is_from():
    toy = toy_dataset()
    prompts = sampling.prompts(toy, protocol())
    reference = sampling.reference(toy, protocol(steps=16), prompts)
    assert list(reference.prompt_pieces) == [prompt.piece for prompt in prompts]
    assert len(reference.test_pieces) == len(reference.test) > len(set(reference.test_pieces))
    for name, excerpt in zip(reference.test_pieces, reference.test, strict=True):
        piece = toy.pieces[name]
        cuts = (piece.slice(at, at + 16) for at in range(16, piece.length - 15, 16))
        assert name in toy.test
        assert excerpt in list(cuts)


def test_prompt_and_continuation_are_neighbours_in_the_piece():
    toy = toy_dataset()
    for prompt in sampling.prompts(toy, protocol()):
        piece = toy.pieces[prompt.piece].sounding()
        assert prompt.start % toy.bar == 0
        assert (prompt.score.sounding() == piece[prompt.start : prompt.start + 16]).all()
        after = piece[prompt.start + 16 : prompt.start + 48]
        assert (prompt.continuation.sounding() == after).all()


def test_prompts_are_the_same_every_time_and_all_different():
    toy = toy_dataset()
    first, second = (sampling.prompts(toy, protocol()) for _ in range(2))
    assert first == second
    assert len({(prompt.piece, prompt.start) for prompt in first}) == 6


def test_more_prompts_begin_with_the_same_prompts_as_fewer():
    toy = toy_dataset()
    assert sampling.prompts(toy, protocol(samples=6))[:3] == sampling.prompts(toy, protocol(3))


def test_without_prompts_the_continuations_stay():
    toy = toy_dataset()
    prompted = sampling.prompts(toy, protocol())
    unprompted = sampling.prompts(toy, protocol(unprompted=True))
    assert all(prompt.score == Score.silence(0) for prompt in unprompted)
    assert [p.continuation for p in prompted] == [p.continuation for p in unprompted]


def test_too_many_prompts_are_refused_with_the_number_there_are():
    with pytest.raises(BenchError, match=r"toy can give 6 prompts .* not 7.*--samples"):
        sampling.prompts(toy_dataset(), protocol(samples=7))


def test_excerpts_are_cut_as_continuations_are():
    piece = toy_dataset(bars=8).pieces["toy00"]
    excerpts = sampling.excerpts([piece, Score.silence(8)], protocol(steps=40))
    assert [score.length for score in excerpts] == [40, 40]
    sounding = piece.sounding()
    assert (excerpts[0].sounding() == sounding[16:56]).all()  # after the bar that would prompt it
    assert (excerpts[1].sounding() == sounding[64:104]).all()  # from a bar line, without overlap


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ("no list", "must return a list of Score"),
        ([Score.silence(32)] * 5, r"sample\(\) returned 5 samples for 6 prompts"),
        ([Score.silence(32)] * 5 + [Score.silence(31)], "Sample 5 has 31 steps"),
        ([Score.silence(32, 2)] * 6, "Sample 0 has 32 steps at 2 per quarter"),
    ],
)
def test_samples_that_break_the_protocol_are_named(samples, message):
    with pytest.raises(BenchError, match=message):
        sampling.check_samples(samples, protocol(), 4)


def test_the_test_split_never_gives_a_prompt():
    toy = toy_dataset()
    test = {score.content_hash for score in toy.split("test")}
    for prompt in sampling.prompts(toy, protocol()):
        assert toy.pieces[prompt.piece].content_hash not in test
    assert np.all([piece not in toy.test for piece in toy.valid])


def backward(samples=6, steps=32):
    return protocol(samples, steps).model_copy(update={"backward": True})


def test_backward_prompts_are_the_last_bars_of_the_same_pieces():
    toy = toy_dataset()
    forward, endings = (sampling.prompts(toy, each) for each in (protocol(), backward()))
    assert [prompt.piece for prompt in endings] == [prompt.piece for prompt in forward]
    for prompt in endings[: len({prompt.piece for prompt in endings})]:
        piece = toy.pieces[prompt.piece]
        assert prompt.start == piece.length - 16
        assert prompt.score == piece.slice(piece.length - 16, piece.length)


def test_what_precedes_an_ending_is_its_continuation():
    toy = toy_dataset()
    for prompt in sampling.prompts(toy, backward()):
        piece = toy.pieces[prompt.piece]
        assert prompt.backward
        assert prompt.continuation_start == prompt.start - 32
        assert prompt.continuation == piece.slice(prompt.start - 32, prompt.start)
    reference = sampling.reference(toy, backward(), sampling.prompts(toy, backward()))
    assert reference.backward


def test_a_forward_protocol_is_written_as_it_was_before_there_were_backward_ones():
    assert set(protocol().model_dump()) == {
        "samples",
        "steps",
        "prompt",
        "unprompted",
        "test_pieces",
    }
    for each in (protocol(), backward()):
        assert sampling.Protocol.model_validate_json(each.model_dump_json()) == each
    assert backward().model_dump()["backward"]
