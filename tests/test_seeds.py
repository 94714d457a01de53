from bench.music import Score
from bench.seeds import generators, named_generator, step_seed

A, B = Score.from_notes([0], [4], [60]), Score.from_notes([0], [4], [62])


def draws(prompts: list[Score], seed: int = 0) -> list[float]:
    return [rng.random() for rng in generators(prompts, seed)]


def test_a_stream_does_not_depend_on_the_prompts_beside_it() -> None:
    assert draws([A, B])[1] == draws([B])[0] == draws([B, A, A])[0]


def test_equal_prompts_get_different_streams_and_keep_them_when_more_are_asked_for() -> None:
    five = draws([A] * 5)
    assert len(set(five)) == 5
    assert draws([A] * 3) == five[:3]


def test_the_seed_changes_every_stream() -> None:
    assert set(draws([A, B], 0)).isdisjoint(draws([A, B], 1))


def test_a_named_stream_depends_on_the_seed_and_on_every_name() -> None:
    streams = [
        named_generator(*names).random()
        for names in [(0, "ab", 1), (1, "ab", 1), (0, "ba", 1), (0, "ab", 2), (0, "ab", "1"), (0,)]
    ]
    assert len(set(streams)) == len(streams)
    assert named_generator(0, "ab", 1).random() == streams[0]


def test_steps_and_seeds_have_seeds_of_their_own() -> None:
    seeds = {step_seed(seed, step) for seed in range(20) for step in range(20)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)
