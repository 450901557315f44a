"""Point estimates and bootstrap intervals of a few seeds' scores, as pure functions of arrays.

The method follows Agarwal et al. (2021). It computes the interquartile mean in addition to mean and
median, and intervals by the percentile bootstrap (Efron 1979). The bootstrap is *stratified*: it draws
seeds with replacement within each environment, never across environments. The seed is the replicate; a
run's episodes only make its score. `scores` are lists with one float64 array [number of seeds] per
environment. Environments may have different numbers of seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

FEWEST_SEEDS = 3  # for an interval: two seeds have only three different bootstrap means
RESAMPLES = 10_000
_SHARE_CUT = 0.25  # cut off at either end for the interquartile mean
_LEVEL = 0.95

Scores = Sequence[np.ndarray]


class Estimate(NamedTuple):
    """A number and its 95 % interval. If there is no interval, both ends are NaN."""

    value: float
    low: float
    high: float


def mean(*scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """The mean over environments of the mean over seeds."""
    return np.mean([each.mean(axis) for each in scores], axis=0)


def median(*scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """The median over environments of the mean over seeds; in one environment, the median over seeds."""
    if len(scores) == 1:
        return np.median(scores[0], axis)
    return np.median([each.mean(axis) for each in scores], axis=0)


def iqm(*scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """The interquartile mean: the mean of the middle half of all runs of all environments.

    A quarter of the runs, rounded down, is left out at either end (`scipy.stats.trim_mean`).
    """
    return scipy.stats.trim_mean(np.concatenate(scores, axis), _SHARE_CUT, axis)


STATISTICS: dict[str, Callable[..., np.ndarray]] = {"iqm": iqm, "mean": mean, "median": median}


def estimate(
    statistic: Callable[..., np.ndarray], scores: Scores, resamples: int, seed: int
) -> Estimate:
    """`statistic` of the scores of all environments, with its stratified bootstrap interval.

    If an environment has fewer than three seeds, there is no interval. The order of the seeds makes no
    difference.
    """
    scores = [np.sort(each) for each in scores]
    value = float(statistic(*scores))
    if not has_interval(scores):
        return Estimate(value, np.nan, np.nan)
    low, high = interval(statistic, scores, resamples, seed)
    return Estimate(value, float(low), float(high))


def interval(
    statistic: Callable[..., np.ndarray], scores: Scores, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The 2.5th and 97.5th percentile of `statistic` over `resamples` resamples of the seeds.

    Each array of `scores` is resampled by itself along its last axis, the seeds. All other axes, such as
    the points of a curve, are resampled together.
    """
    found = scipy.stats.bootstrap(
        tuple(scores),
        statistic,
        n_resamples=resamples,
        batch=max(1, 4_000_000 // max(1, sum(each.size for each in scores))),
        vectorized=True,
        axis=-1,
        confidence_level=_LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return found.low, found.high


def has_interval(scores: Scores) -> bool:
    """Whether every environment has the three seeds that an interval needs."""
    return min((each.shape[-1] for each in scores), default=0) >= FEWEST_SEEDS


def probability_of_improvement(
    scores: Scores, others: Scores, resamples: int, seed: int
) -> Estimate:
    """P(X > Y): the probability that a run of X scores higher than a run of Y.

    In each environment, it is U / (n m) of Mann and Whitney (1947) for n runs of X and m runs of Y,
    where ties count half. The result is the mean over environments (Agarwal et al. 2021, section 4.3).
    Resamples draw the seeds of X and the seeds of Y independently, within each environment.
    """
    wins = [_wins(np.sort(x), np.sort(y)) for x, y in zip(scores, others, strict=True)]
    value = float(np.mean([_u(x, y) for x, y in zip(scores, others, strict=True)]))
    if not (has_interval(scores) and has_interval(others)):
        return Estimate(value, np.nan, np.nan)
    generator = np.random.default_rng(seed)
    drawn = np.mean([_resampled(each, resamples, generator) for each in wins], axis=0)
    low, high = np.percentile(drawn, [50 * (1 - _LEVEL), 50 * (1 + _LEVEL)])
    return Estimate(value, float(low), float(high))


def profile(
    scores: Scores, thresholds: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The share of runs that score above each threshold, and the ends of its interval: [T] each.

    This is the run-score distribution of Agarwal et al. (2021), section 4.2: the share within each
    environment, averaged over environments. Without three seeds in each environment, the ends are NaN.
    """
    above = [(each > thresholds[:, np.newaxis]).astype(float) for each in scores]  # [T, seeds]
    shares = mean(*above)
    if not has_interval(scores):
        return shares, np.full_like(shares, np.nan), np.full_like(shares, np.nan)
    low, high = interval(mean, above, resamples, seed)
    return shares, low, high


def area_under(steps: np.ndarray, values: np.ndarray) -> float:
    """The mean of a curve over its steps, by the trapezoid rule, in units of `values`.

    It is the integral from the first point to the last, divided by their distance, so it does not depend
    on how far apart the points are. For a single point, it is the value of that point.
    """
    if len(steps) == 1:
        return float(values[0])
    return float(np.trapezoid(values, steps) / (steps[-1] - steps[0]))


def _u(x: np.ndarray, y: np.ndarray) -> float:
    statistic = scipy.stats.mannwhitneyu(x, y, alternative="greater", method="asymptotic").statistic
    return float(statistic) / (len(x) * len(y))


def _wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[n, m]: 1 if the run of X is better than the run of Y, 1/2 if they are equally good, else 0."""
    return (np.sign(x[:, np.newaxis] - y) + 1) / 2


def _resampled(wins: np.ndarray, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """U / (n m) of each resample, [resamples], computed from how often each run was drawn."""
    n, m = wins.shape
    of_x = generator.multinomial(n, np.full(n, 1 / n), resamples)
    of_y = generator.multinomial(m, np.full(m, 1 / m), resamples)
    return np.einsum("rn,nm,rm->r", of_x, wins, of_y, optimize=True) / (n * m)
