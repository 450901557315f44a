"""Blocks of groups, joined: as if all environments had been stepped together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopamine_lite.collecting.collector import Collected, Group
from dopamine_lite.collecting.joining import infos_of_all, joined, metrics_of_all
from dopamine_lite.common.types import Transitions
from dopamine_lite.replay.block import Block


class Said(NamedTuple):
    values: np.ndarray


def steps_of(generator: np.random.Generator, steps: int, num_envs: int, masked: bool) -> list:
    """Random steps of N environments, each with what was said of it."""

    def masks() -> np.ndarray | None:
        return generator.random((num_envs, 3)) < 0.5 if masked else None

    taken, seen, legal = [], generator.random((num_envs, 2)), masks()
    for _ in range(steps):
        following, legal_next = generator.random((num_envs, 2)), masks()
        ends = generator.integers(3, size=num_envs)  # 0: goes on
        transitions = Transitions(
            seen,
            generator.integers(3, size=num_envs),
            generator.random(num_envs),
            ends == 1,
            ends == 2,
            generator.random((num_envs, 2)),
            legal,
            masks(),
        )
        taken.append((transitions, Said(generator.random(num_envs)), (following, legal_next)))
        seen, legal = following, legal_next
    return taken


def cut(values, part: slice):
    return None if values is None else values[part]


def block_of(taken: list, part: slice) -> Block:
    return Block.of(
        [Transitions(*(cut(values, part) for values in each)) for each, _, _ in taken],
        tuple(cut(values, part) for values in taken[-1][2]),
        [Said(said.values[part]) for _, said, _ in taken],
    )


@given(
    st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 9), st.integers(1, 4), st.booleans()
)
def test_a_joined_block_is_that_of_all_environments(seed, steps, num_envs, size, masked):
    taken = steps_of(np.random.default_rng(seed), steps, num_envs, masked)
    groups = Group.all_of(num_envs, size)
    assert sum(group.size for group in groups) == num_envs
    parts = [block_of(taken, slice(each.first, each.first + each.size)) for each in groups]
    whole, found = block_of(taken, slice(None)), joined(parts)
    for name in Block._fields:
        one, other = getattr(whole, name), getattr(found, name)
        if name == "decisions":
            one, other = one.values, other.values
        np.testing.assert_array_equal(other, one, err_msg=name)
        assert (one is None) == (other is None)
        assert one is None or one.dtype == other.dtype


def collected(infos: dict, metrics: dict) -> Collected:
    nothing = np.empty(0)
    return Collected(None, nothing, nothing, infos, {}, metrics, [])  # type: ignore[arg-type]


def test_infos_are_those_of_all_environments():
    parts = [collected({0: {1: {"a": 1}}}, {}), collected({0: {0: {"a": 2}}, 2: {1: {}}}, {})]
    assert infos_of_all(parts, [0, 8]) == {0: {1: {"a": 1}, 8: {"a": 2}}, 2: {9: {}}}


def test_metrics_are_means_and_all_that_was_seen():
    first = {"epsilon": 0.25, "q_values": np.array([1.0, 2.0])}
    second = {"epsilon": 0.75, "q_values": np.array([3.0])}
    found = metrics_of_all([collected({}, first), collected({}, second)])
    assert found["epsilon"] == pytest.approx(0.5)
    np.testing.assert_array_equal(found["q_values"], [1.0, 2.0, 3.0])
