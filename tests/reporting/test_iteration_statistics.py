"""Statistics against sums by hand and against whole episodes kept in lists."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopamine_lite.checkpointing import digest
from dopamine_lite.common.errors import UserError
from dopamine_lite.reporting.iteration_statistics import (
    EpisodeRecord,
    IterationStatistics,
    summarize,
)


def play(statistics: IterationStatistics, rewards, ended) -> list[list[EpisodeRecord]]:
    """One segment of rewards and ends [T, N]."""
    statistics.begin_segment(np.shape(rewards)[1])
    finished = [
        statistics.step(np.array(now, float), np.array(end, bool))
        for now, end in zip(rewards, ended, strict=True)
    ]
    statistics.end_segment()
    return finished


def test_two_environments_by_hand():
    statistics = IterationStatistics()
    finished = play(
        statistics,
        [[1, 10], [2, 20], [3, 30], [4, 40]],  # [time, environment]
        [[0, 0], [1, 0], [1, 1], [0, 0]],
    )
    assert finished == [
        [],
        [EpisodeRecord(3.0, 2, 0)],
        [EpisodeRecord(3.0, 1, 0), EpisodeRecord(60.0, 3, 1)],
        [],
    ]
    assert statistics.summary() == {
        "episodes": 3,
        "average_return": 22.0,
        "median_return": 3.0,
        "min_return": 3.0,
        "max_return": 60.0,
        "average_length": 2.0,
        "cut_episodes": 2,
        "steps": 8,
    }


def test_an_episode_that_is_cut_is_in_no_mean():
    statistics = IterationStatistics()
    play(statistics, [[5], [100]], [[1], [0]])
    play(statistics, [[7], [100]], [[1], [0]])  # its first reward begins a new episode
    summary = statistics.summary()
    assert (summary["average_return"], summary["cut_episodes"]) == (6.0, 2)


def test_an_episode_that_ends_with_the_segment_is_not_cut():
    statistics = IterationStatistics()
    play(statistics, [[1, 1], [1, 1]], [[0, 0], [1, 0]])
    summary = statistics.summary()
    assert (summary["episodes"], summary["cut_episodes"]) == (1, 1)


def test_without_a_whole_episode_there_are_nulls_and_no_nan():
    statistics = IterationStatistics()
    play(statistics, [[1.0]], [[0]])
    summary = statistics.summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == {
        "episodes": 0,
        "average_return": None,
        "median_return": None,
        "min_return": None,
        "max_return": None,
        "average_length": None,
        "cut_episodes": 1,
        "steps": 1,
    }
    assert list(summary) == list(IterationStatistics().summary())
    assert list(summary)[:-2] == list(summarize([EpisodeRecord(1.0, 1, 0)]))  # one order of keys
    assert statistics.recent_return() is None


def test_rewards_are_added_up_in_float64():
    statistics = IterationStatistics()
    statistics.begin_segment(1)
    for _ in range(3):
        statistics.step(np.array([0.1], np.float32), np.array([False]))
    (record,) = statistics.step(np.array([2.0**25 + 1], np.float64), np.array([True]))
    assert record.episode_return == sum([float(np.float32(0.1))] * 3) + 2.0**25 + 1


def test_records_hold_python_numbers():
    statistics = IterationStatistics()
    ((record,),) = play(statistics, [[1, 2]], [[0, 1]])
    assert [type(value) for value in record[:3]] == [float, int, int]


def test_logged_scalars_are_averaged_over_their_own_points():
    statistics = IterationStatistics()
    statistics.log({"loss": 1.0, "epsilon": 0.5})
    statistics.log({"loss": np.float32(2.0)})
    statistics.log({"loss": 6.0})
    summary = statistics.summary()
    assert (summary["loss"], summary["epsilon"]) == (3.0, 0.5)


def test_a_metric_cannot_take_the_place_of_a_statistic():
    statistics = IterationStatistics()
    with pytest.raises(UserError, match="'average_return'"):
        statistics.log({"average_return": 1.0})


def test_recent_return_is_of_the_last_episodes():
    statistics = IterationStatistics()
    play(statistics, [[1], [2], [3]], [[1], [1], [1]])
    assert statistics.recent_return(2) == 2.5
    assert statistics.recent_return(10) == 2.0


def test_the_state_is_not_to_be_had_while_episodes_are_in_flight():
    statistics = IterationStatistics()
    statistics.begin_segment(1)
    with pytest.raises(AssertionError):
        statistics.get_state()


@st.composite
def segments(draw):
    """Segments of (rewards [T, N], ends [T, N], logged value)."""
    num_envs = draw(st.integers(1, 3))
    drawn = []
    for _ in range(draw(st.integers(1, 4))):
        shape = (draw(st.integers(1, 8)), num_envs)
        size = shape[0] * shape[1]
        rewards = draw(st.lists(st.floats(-10, 10), min_size=size, max_size=size))
        ends = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        drawn.append(
            (np.reshape(rewards, shape), np.reshape(ends, shape), draw(st.floats(-10, 10)))
        )
    return drawn


@given(segments())
def test_any_segments_equal_a_reference_and_survive_a_checkpoint_between_any_two(drawn):
    whole, resumed = IterationStatistics(), IterationStatistics()
    expected: list[tuple[float, int, int]] = []
    cut = 0
    for rewards, ends, logged in drawn:
        in_flight: list[list[float]] = [[] for _ in rewards[0]]
        for now, end in zip(rewards, ends, strict=True):
            for index, episode in enumerate(in_flight):
                episode.append(float(now[index]))
                if end[index]:
                    expected.append((sum(episode), len(episode), index))
                    episode.clear()
        cut += sum(bool(episode) for episode in in_flight)
        before, resumed = resumed, IterationStatistics()
        resumed.set_state(before.get_state())
        for statistics in (whole, resumed):
            play(statistics, rewards, ends)
            statistics.log({"loss": logged})
    records = [EpisodeRecord(*values) for values in expected]
    assert whole.summary() == summarize(records) | {
        "cut_episodes": cut,
        "steps": sum(rewards.size for rewards, _, _ in drawn),
        "loss": sum(logged for _, _, logged in drawn) / len(drawn),
    }
    assert resumed.summary() == whole.summary()
    assert digest(resumed.get_state()) == digest(whole.get_state())
