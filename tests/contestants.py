"""Contestants that misbehave, for the tests of the harness. Loaded by path, as a user's file is."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from bench import data
from bench.contract import Likelihood
from bench.files import read_json, write_json
from bench.music import Score


class Quiet:
    """Keeps the contract with the least effort."""

    likelihood = Likelihood("none", reason="a test")
    parameter_count = 0

    def fit(self, train, valid, budget, seed, log):
        log.progress(1, 1, music_steps=sum(score.length for score in train))

    def sample(self, prompts, steps, seed):
        return [Score.from_notes([0], [1], [60], length=steps) for _ in prompts]

    def log_likelihood(self, scores):
        return np.zeros(len(scores))

    def save(self, folder):
        write_json(folder / "system.json", {})

    @classmethod
    def load(cls, folder):
        if read_json(folder / "system.json") is None:
            raise ValueError("half-written")
        return cls()


class Raises(Quiet):
    def fit(self, train, valid, budget, seed, log):
        raise RuntimeError("the loss\nis wrong")


class Exits(Quiet):
    def sample(self, prompts, steps, seed):
        raise SystemExit(0)


class Segfaults(Quiet):
    def sample(self, prompts, steps, seed):
        os.kill(os.getpid(), signal.SIGSEGV)


class Hangs(Quiet):
    def fit(self, train, valid, budget, seed, log):
        while True:
            time.sleep(0.1)


class EatsMemory(Quiet):
    def fit(self, train, valid, budget, seed, log):
        held = []
        while True:
            held.append(np.ones(2_000_000))
            time.sleep(0.01)


class Short(Quiet):
    def sample(self, prompts, steps, seed):
        return [Score.silence(steps - 1) for _ in prompts]


class Cheats(Quiet):
    def fit(self, train, valid, budget, seed, log):
        data.load("toy").split("test")


class ImprobablyGood(Quiet):
    likelihood = Likelihood("exact", "score")

    def log_likelihood(self, scores):
        return np.full(len(scores), 3.0)


class DiesWhileSaving(Quiet):
    """Killed once, in the middle of saving."""

    def save(self, folder):
        flag = Path(os.environ["TEST_FLAG"])
        if not flag.exists():
            flag.touch()
            (folder / "system.json").write_text('{"half": ')
            os.kill(os.getpid(), signal.SIGKILL)
        super().save(folder)


class Learner(Quiet):
    """Learns for a while, with a curve and checkpoints, so that it can be killed on the way."""

    STEPS = 60

    def fit(self, train, valid, budget, seed, log):
        state = log.resume()
        weights = np.array(state["weights"]) if state else np.zeros(3)
        begin = state["step"] if state else 0
        for step in range(begin, self.STEPS):
            weights = 0.9 * weights + np.random.default_rng([seed, step]).normal(size=3)
            log.record(step, train_loss=float(weights.sum()))
            log.progress(step, self.STEPS)
            done, now = step + 1, weights
            log.checkpoint(lambda done=done, now=now: {"step": done, "weights": now})
            if not state:  # only who waits for the kill has to go slowly
                time.sleep(float(os.environ.get("TEST_PACE", "0")))
        self.weights = weights
        print(f"learnt from step {begin}", flush=True)

    def save(self, folder):
        write_json(folder / "system.json", {"weights": self.weights.tolist()})


class BigSaver(Quiet):
    """Needs more disk than a small one has."""

    def save(self, folder):
        (folder / "weights").write_bytes(b"x" * 3_000_000)
        super().save(folder)
