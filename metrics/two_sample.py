"""Whether a classifier can tell the samples from real music, and how much of it they cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.contract import Direction, Floats, Measurement, Reference
from bench.music import Score
from bench.protocol.statistics import resamples
from metrics.features import Windows
from metrics.pca_distance import Compared, by_piece, few, squared
from metrics.per_piece import jackknife, weights

FOLDS, REPEATS = 5, 4
MOST = 512  # samples, and as many test excerpts, for a classifier
FEW_PIECES = "it takes samples and test excerpts of two pieces each to learn from"
NEIGHBOURS = 3  # so 50 real pieces cover 0.88 of real music, and one piece at most 0.13


class TwoSample(Compared):
    """How well a classifier tells the samples' windows from real ones."""

    name: ClassVar[str] = "two_sample"
    version: ClassVar[int] = 2
    unit: ClassVar[str] = "area under the ROC curve"
    direction: ClassVar[Direction] = "lower"
    headline: ClassVar[bool] = False
    required: ClassVar[tuple[str, ...]] = ("0.4 <= human <= 0.6", "silence > 0.95")
    measures: ClassVar[str] = (
        "How well a logistic regression on the 59 features tells the samples' windows from the test"
        " excerpts', on pieces that it was not trained on: the mean area under the ROC curve over"
        " folds, 0.5 when it cannot, 1 when it always can. As many samples as test excerpts take"
        " part; excerpts of one piece, and samples that continue one piece, are in one fold."
    )
    blind_to: ClassVar[str] = (
        "How large the difference is once it can be seen at all; order beyond four bars; copying."
        " For real music it is 0.5 only on average: between 26 pieces and 54 others, chosen at"
        " random, it varies by 0.06 (standard deviation). Its interval does not include this, as it"
        " holds for these test pieces only."
    )
    citation: ClassVar[str] = (
        "Lopez-Paz and Oquab 2017, Revisiting Classifier Two-Sample Tests; folds by piece: ours"
    )

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean area over folds and repetitions; draws from its values without each sample."""
        if reason := self.missing(samples):
            return Measurement(None, reason)
        assert self._space is not None  # noqa: S101
        made, real = self._space.windows(list(samples)), self._test
        count = min(made.pieces, real.pieces, MOST)
        sides = [(self._space.standard(side.features), side.piece) for side in (made, real)]
        sources = [
            origins(made.pieces, self._reference.prompt_pieces),
            origins(real.pieces, self._reference.test_pieces),
        ]
        rng = np.random.default_rng(0)
        areas: list[float] = []
        placed, times, taught = np.zeros((3, made.pieces))
        for _ in range(REPEATS):
            chosen = [rng.permutation(len(source))[:count] for source in sources]
            several = min(len(np.unique(s[c])) for s, c in zip(sources, chosen, strict=True))
            if several < 2:
                return Measurement(None, FEW_PIECES)
            several = min(several, FOLDS)
            folds = [
                parts(source, part, several, rng)[side.piece]
                for source, part, side in zip(sources, chosen, (made, real), strict=True)
            ]
            for fold in range(several):
                (x, held), (y, others) = (
                    (points[(own >= 0) & (own != fold)], points[own == fold])
                    for (points, _), own in zip(sides, folds, strict=True)
                )
                fit = logistic(x, y)
                ranks = places(held @ fit[:-1], others @ fit[:-1])
                areas.append(float(ranks.mean()))
                np.add.at(placed, made.piece[folds[0] == fold], ranks)
                np.add.at(times, made.piece[folds[0] == fold], 1)
                teachers = made.piece[(folds[0] >= 0) & (folds[0] != fold)]
                for sample, without in zip(
                    np.unique(teachers), left_out(x, y, fit, teachers), strict=True
                ):
                    less = places(held @ without[:-1], others @ without[:-1]).mean()
                    taught[sample] += areas[-1] - less
        value, used = float(np.mean(areas)), np.flatnonzero(times)
        # A sample's part in the value: its own place, and what the classifiers learnt from it.
        stands = (placed - times * placed.sum() / times.sum()) / times[used].mean()
        part = (stands + (len(used) - 1) * taught / len(areas))[used]
        drawn = weights(resamples(len(used)), len(used)) @ (part - part.mean())
        return Measurement(
            value,
            draws=in_unit(value, drawn),
            detail={"pieces_compared": float(count), "spread_of_folds": float(np.std(areas))},
        )


def origins(count: int, pieces: Sequence[str]) -> NDArray[np.int64]:
    """(count,) the number of the piece that each is from; without `pieces`, one for each."""
    if len(pieces) != count:
        return np.arange(count)
    return np.unique(np.array(pieces), return_inverse=True)[1].reshape(-1)


def parts(
    source: NDArray[np.int64], chosen: NDArray[np.int64], folds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """(excerpts,) the fold of each chosen excerpt, -1 for the others; a source is in one fold only.

    Sources come in random order; each joins the fold that has the fewest excerpts so far.
    """
    fold = np.full(len(source), -1)
    sizes = np.zeros(folds)
    for number in rng.permutation(np.unique(source[chosen])):
        members = chosen[source[chosen] == number]
        fold[members] = sizes.argmin()
        sizes[sizes.argmin()] += len(members)
    return fold


def logistic(x: Floats, y: Floats) -> Floats:
    """(d + 1,) the weights of an L2-penalised logistic regression of x against y, intercept last.

    Those of scikit-learn's LogisticRegression with C=1, by Newton's method.
    """
    points, target, penalty = problem(x, y)
    fit = np.zeros(points.shape[1])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-np.clip(points @ fit, -50, 50)))
        slope = points.T @ (chance - target) + penalty * fit
        curve = (points * (chance * (1 - chance))[:, None]).T @ points + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        fit -= step
        if np.abs(step).max() < 1e-8:
            break
    return fit


def problem(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """The points with a column of ones, their labels (1 for x), and the penalty of each weight."""
    points = np.vstack([x, y])
    points = np.hstack([points, np.ones((len(points), 1))])
    target = np.repeat([1.0, 0.0], [len(x), len(y)])
    return points, target, np.append(np.ones(x.shape[1]), 1e-9)  # the intercept has none


def left_out(x: Floats, y: Floats, fit: Floats, owner: NDArray[np.int64]) -> Floats:
    """(owners, d + 1) the weights without each owner's rows of x, by one step of Newton's method.

    The owners must be sorted. One step is exact for a quadratic, and close enough here, as one
    owner has few of the rows.
    """
    points, target, penalty = problem(x, y)
    chance = 1 / (1 + np.exp(-np.clip(points @ fit, -50, 50)))
    curve = (points * (chance * (1 - chance))[:, None]).T @ points + np.diag(penalty)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    own = points[: len(x)]
    spread = (chance * (1 - chance))[: len(x)]
    slopes = np.add.reduceat(own * (chance - target)[: len(x), None], starts)
    curves = np.add.reduceat(own[:, :, None] * own[:, None] * spread[:, None, None], starts)
    return np.asarray(fit + np.linalg.solve(curve - curves, slopes[:, :, None])[:, :, 0])


def in_unit(value: float, drawn: Floats) -> Floats:
    """The value moved by these amounts on the scale of its log odds, so that it stays in 0 to 1.

    An area near 1 has less room above than below, and so does its interval.
    """
    odds, room = value / max(1 - value, 1e-12), value * (1 - value)
    if room < 1e-12:
        return np.full(len(drawn), value)
    return np.asarray(1 / (1 + np.exp(-np.clip(drawn / room, -50, 50)) / odds))


def places(x: Floats, y: Floats) -> Floats:
    """(x,) the share of y that each x exceeds, ties counted half; the mean is the area."""
    order = np.sort(np.round(y, 9))  # equal windows must tie in spite of rounding
    x = np.round(x, 9)
    below, up_to = (np.searchsorted(order, x, side) for side in ("left", "right"))
    return np.asarray((below + up_to) / (2 * len(y)))


class _Neighbourhoods(Compared):
    """Which samples are in the neighbourhoods of the test excerpts' windows.

    A neighbourhood is a ball around a test window that reaches to the third nearest window of
    other test excerpts. Windows of the same excerpt do not count, as no sample is so close.
    """

    def prepare(self, reference: Reference) -> None:
        """Measure the neighbourhoods."""
        super().prepare(reference)
        if self._space is None or not self._test.pieces:
            return
        self._real = few(self._test)
        self._points = self._space.project(self._real.features)
        apart = squared(self._points, self._points)
        apart[self._real.piece[:, None] == self._real.piece] = np.inf
        if self._real.pieces > NEIGHBOURS:
            self._reach = np.sort(apart, axis=1)[:, NEIGHBOURS - 1]

    def falls_into(self, samples: Sequence[Score]) -> tuple[Floats, Windows] | str:
        """(test windows, samples) how many of a sample's windows are in each neighbourhood.

        A text says why that cannot be told.
        """
        if reason := self.missing(samples):
            return reason
        if self._real.pieces <= NEIGHBOURS:
            return f"it takes more than {NEIGHBOURS} test excerpts to have neighbours"
        assert self._space is not None  # noqa: S101
        made = few(self._space.windows(list(samples)))
        apart = squared(self._points, self._space.project(made.features))
        rows = Windows(self._points, np.arange(len(self._points)), len(self._points))
        inside = apart <= self._reach[:, None] + 1e-9  # the edge is inside
        return by_piece(inside.astype(float), rows, made), made


class Coverage(_Neighbourhoods):
    """The share of real music that has a sample near it."""

    name: ClassVar[str] = "coverage"
    version: ClassVar[int] = 2
    unit: ClassVar[str] = "share of test windows"
    direction: ClassVar[Direction] = "higher"
    headline: ClassVar[bool] = False
    required: ClassVar[tuple[str, ...]] = ("one_piece < 0.2", "human > 0.4", "human > jitter")
    measures: ClassVar[str] = (
        "The share of the test excerpts' windows with a sample's window in their neighbourhood:"
        " nearer, in the space of pca_distance, than the 3rd nearest window of other test excerpts."
    )
    blind_to: ClassVar[str] = (
        "Samples that are far from all real music, as long as other samples are near; copying;"
        " order beyond four bars. It grows with the number of samples: compare only rows of the"
        " same protocol."
    )
    citation: ClassVar[str] = (
        "Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models"
        " (neighbours of the same piece left out: ours)"
    )

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The share; draws from its values without each sample."""
        neighbours = self.falls_into(samples)
        if isinstance(neighbours, str):
            return Measurement(None, neighbours)
        near = neighbours[0] > 0  # (test windows, samples)
        value = float(near.any(axis=1).mean())
        alone = near & (near.sum(axis=1) == 1)[:, None]  # no other sample is near that window
        return Measurement(value, draws=np.clip(jackknife(value, value - alone.mean(axis=0)), 0, 1))


class Density(_Neighbourhoods):
    """How many samples are near real music."""

    name: ClassVar[str] = "density"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "samples per neighbour"
    direction: ClassVar[Direction] = "higher"
    headline: ClassVar[bool] = False
    required: ClassVar[tuple[str, ...]] = ("human > jitter",)
    measures: ClassVar[str] = (
        "The mean number of test windows whose neighbourhood (see coverage) contains a sample's"
        " window, over the number of neighbours: near 1 for real music, 0 far from it."
    )
    blind_to: ClassVar[str] = (
        "Variety: many samples near one dense region exceed 1; copying; order beyond four bars."
    )
    citation: ClassVar[str] = Coverage.citation

    def score(self, samples: Sequence[Score]) -> Measurement:
        """The mean over the samples' windows."""
        neighbours = self.falls_into(samples)
        if isinstance(neighbours, str):
            return Measurement(None, neighbours)
        inside, made = neighbours
        sizes = np.bincount(made.piece)
        per_piece = inside.sum(axis=0) / (NEIGHBOURS * sizes)
        share = weights(resamples(made.pieces), made.pieces)
        drawn = share @ (per_piece * sizes) / (share @ sizes)
        value = float((per_piece * sizes).sum() / sizes.sum())
        return Measurement(value, draws=drawn)
