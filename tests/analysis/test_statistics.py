"""Estimates and intervals, worked by hand on two groups and held to what must be true of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dopamine_lite.analysis import statistics

A, B = np.array([3.0, 1.0, 4.0, 2.0]), np.array([2.0, 6.0, 4.0])  # the scores of two groups
RESAMPLES = 20_000


def test_two_groups_by_hand():
    # IQM of four: one is left out at either end, (2 + 3) / 2; of three a quarter is none: the mean.
    assert [float(each(A)) for each in statistics.STATISTICS.values()] == [2.5, 2.5, 2.5]
    assert [float(each(B)) for each in statistics.STATISTICS.values()] == [4.0, 4.0, 4.0]
    # Of the 4^4 = 256 resamples of A one has the sum 4, four have 5 and ten have 6. 5 / 256 is less
    # than 2.5 %, 15 / 256 is more: the interval's end is at 6 / 4. By symmetry the other is at 14 / 4.
    estimate = statistics.estimate(statistics.mean, [A], RESAMPLES, 0)
    np.testing.assert_allclose(estimate, (2.5, 1.5, 3.5))
    # Of the 3^3 = 27 resamples of B one is (2, 2, 2), and 1 / 27 is more than 2.5 %.
    estimate = statistics.estimate(statistics.mean, [B], RESAMPLES, 0)
    np.testing.assert_allclose(estimate, (4.0, 2.0, 6.0))


def test_probability_of_improvement_by_hand():
    # Of A against B: 1 beats none, 2 ties with 2, 3 beats 2, 4 beats 2 and ties with 4: in all
    # 0 + 1/2 + 1 + 3/2 = 3 of 12 pairs.
    found = statistics.probability_of_improvement([A], [B], RESAMPLES, 0)
    assert found.value == 0.25
    assert 0 <= found.low < 0.25 < found.high <= 1
    apart = statistics.probability_of_improvement([B + 10], [A], RESAMPLES, 0)
    assert apart == (1.0, 1.0, 1.0)
    # over two environments it is the mean of both
    both = statistics.probability_of_improvement([A, B + 10], [B, A], RESAMPLES, 0)
    assert both.value == (0.25 + 1) / 2


def test_environments_by_hand():
    other = np.array([10.0, 20.0, 60.0])
    # means of environments: 2.5 and 30; all seven runs in order: 1 2 3 4 10 20 60, one off each end
    assert statistics.mean(A, other) == (2.5 + 30) / 2
    assert statistics.median(A, other) == (2.5 + 30) / 2
    assert statistics.iqm(A, other) == (2 + 3 + 4 + 10 + 20) / 5


def test_a_profile_by_hand():
    thresholds = np.array([0.0, 2.0, 3.5, 6.0])
    shares, low, high = statistics.profile([A, B], thresholds, RESAMPLES, 0)
    # of A above 2: 3 and 4, of B: 4 and 6; above 3.5: one of four, two of three
    np.testing.assert_allclose(shares, [1, (2 / 4 + 2 / 3) / 2, (1 / 4 + 2 / 3) / 2, 0])
    assert (low <= shares).all() and (shares <= high).all()
    assert low[0] == high[0] == 1 and low[-1] == high[-1] == 0


def test_area_by_hand():
    steps, values = np.array([10.0, 20.0, 40.0]), np.array([0.0, 10.0, 10.0])
    assert statistics.area_under(steps, values) == (10 * 5 + 20 * 10) / 30
    assert statistics.area_under(steps[:1], values[1:2]) == 10


def test_seeds_are_resampled_within_their_environment():
    """Stratified: every resample has four runs of the one and four of the other, so none varies."""
    low, high = np.full(4, 0.0), np.full(4, 100.0)
    for statistic in statistics.STATISTICS.values():
        assert statistics.estimate(statistic, [low, high], 500, 0) == (50.0, 50.0, 50.0)
    pooled = statistics.estimate(statistics.mean, [np.concatenate([low, high])], 500, 0)
    assert pooled.low < 40 and pooled.high > 60


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_no_interval_of_fewer_than_three_seeds(seeds):
    scores = np.arange(float(seeds))
    for found in (
        statistics.estimate(statistics.iqm, [scores], 100, 0),
        statistics.estimate(statistics.iqm, [scores, A], 100, 0),  # the fewest decide
        statistics.probability_of_improvement([scores], [A], 100, 0),
        statistics.probability_of_improvement([A], [scores], 100, 0),
    ):
        assert np.isfinite(found.value)
        assert np.isfinite([found.low, found.high]).all() == (seeds == 3)


SCORES = arrays(np.float64, st.integers(3, 8), elements=st.integers(-50, 50).map(float))
FEW = settings(max_examples=25, deadline=None)


@FEW
@given(SCORES)
def test_an_interval_holds_its_estimate_where_scores_are_symmetric(scores):
    symmetric = np.concatenate([scores, -scores])
    for statistic in statistics.STATISTICS.values():
        value, low, high = statistics.estimate(statistic, [symmetric], 2_000, 0)
        assert low - 1e-9 <= value <= high + 1e-9
        assert abs(value) < 1e-9


@FEW
@given(SCORES, SCORES, st.randoms(use_true_random=False))
def test_the_order_of_seeds_makes_no_difference(scores, others, random):
    shuffled = np.array(random.sample(scores.tolist(), len(scores)))
    for statistic in statistics.STATISTICS.values():
        first = statistics.estimate(statistic, [scores, others], 200, 0)
        assert first == statistics.estimate(statistic, [shuffled, others], 200, 0)
    first = statistics.probability_of_improvement([scores], [others], 200, 0)
    assert first == statistics.probability_of_improvement([shuffled], [others], 200, 0)


@FEW
@given(SCORES, st.integers(1, 9), st.integers(-9, 9))
def test_a_change_of_scale_changes_no_more(scores, factor, offset):
    for statistic in statistics.STATISTICS.values():
        found = statistics.estimate(statistic, [scores], 200, 0)
        scaled = statistics.estimate(statistic, [factor * scores + offset], 200, 0)
        np.testing.assert_allclose(scaled, factor * np.array(found) + offset, atol=1e-9)


@FEW
@given(SCORES, SCORES)
def test_either_is_better_or_the_other(scores, others):
    one = statistics.probability_of_improvement([scores], [others], 200, 0)
    two = statistics.probability_of_improvement([others], [scores], 200, 0)
    assert one.value + two.value == pytest.approx(1)
    assert 0 <= one.low <= one.high <= 1


def test_the_interval_covers_what_it_says_with_many_seeds():
    """With twenty seeds 95 % intervals of a mean hold the true one in over nine of ten experiments."""
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        scores = generator.normal(size=20)
        _, low, high = statistics.estimate(statistics.mean, [scores], 400, 0)
        held += low <= 0 <= high
    assert 0.88 < held / 300 < 0.98
