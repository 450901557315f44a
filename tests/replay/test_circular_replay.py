"""Circular replay against a brute-force reference that keeps whole episodes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import Transitions
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.replay.ring import FINAL_FRAME
from tests.core import core
from tests.replay.episodes import Reference, block, histories, play, spec


def build(num_envs: int, capacity: int, stack: int, horizon: int, seed: int = 0) -> CircularReplay:
    of_frames = spec(num_envs, (2,), np.int32, stack_size=stack, update_horizon=horizon)
    return CircularReplay(of_frames, np.random.default_rng(seed), replay_capacity=capacity)


def assert_samples_are(
    replay: CircularReplay, expected: dict[tuple[int, int], tuple], stack: int
) -> set[tuple[int, int]]:
    batch = replay.sample(2, 200)
    keys = list(zip(batch.environments.ravel().tolist(), batch.slots.ravel().tolist(), strict=True))
    assert set(keys) <= set(expected), "some must not be drawn"
    observations, actions, totals, discounts, following = zip(*map(expected.get, keys), strict=True)
    frames = batch.frames[..., 0].reshape(400, -1)
    np.testing.assert_array_equal(frames[:, :stack], observations)
    np.testing.assert_array_equal(frames[:, -stack:], following)
    np.testing.assert_array_equal(batch.actions.ravel(), actions)
    np.testing.assert_allclose(batch.returns.ravel(), totals, rtol=1e-5)
    np.testing.assert_allclose(batch.discounts.ravel(), discounts, rtol=1e-6)
    return set(keys)


def check_samples(history) -> None:
    num_envs, stack, horizon, length, endings = history
    replay = build(num_envs, length * num_envs, stack, horizon)
    reference = Reference(num_envs, length, stack, horizon)
    play(replay, reference, endings)
    expected = reference.transitions()
    if not expected:
        with pytest.raises(RuntimeError, match="No whole transition"):
            replay.sample(1, 1)
        return
    seen: set[tuple[int, int]] = set()
    for _ in range(6):  # 2,400 draws of at most 90 transitions: each is missed with p < 1e-11
        seen |= assert_samples_are(replay, expected, stack)
    assert seen == set(expected)


@settings(max_examples=15, deadline=None)
@given(histories())
def test_samples_are_the_whole_transitions_of_a_few_histories(history):
    check_samples(history)


@pytest.mark.exhaustive
@settings(max_examples=150, deadline=None)
@given(histories())
def test_samples_are_the_whole_transitions_of_the_episodes_held(history):
    check_samples(history)


@pytest.mark.parametrize("ending", [1, 2], ids=["terminated", "truncated"])
def test_one_step_episodes_and_last_transitions_are_kept(ending):
    """Often wrong: the last transition of an episode is lost, one-step episodes vanish."""
    replay, reference = build(1, 100, 4, 3), Reference(1, 100, 4, 3)
    play(replay, reference, [[ending]] * 10)
    expected = reference.transitions()
    assert len(expected) == 10
    assert_samples_are(replay, expected, 4)


@pytest.mark.parametrize("num_envs", core([1, 2], 2))
def test_what_few_can_be_drawn_is_found_and_drawn_uniformly(num_envs):
    """Of an environment's 1,003 frames three have a successor 1,000 steps later."""
    replay = build(num_envs, 2_000 * num_envs, 1, 1_000)
    play(replay, Reference(num_envs, 2_000, 1, 1_000), [[0] * num_envs] * 1_003)
    batch = replay.sample(2, 600)
    drawn, counts = np.unique(batch.environments * 10_000 + batch.slots, return_counts=True)
    assert drawn.tolist() == [
        environment * 10_000 + slot for environment in range(num_envs) for slot in range(3)
    ]
    mean = batch.slots.size / drawn.size
    assert ((counts - mean) ** 2 / mean).sum() < 25


def test_draws_are_uniform():
    replay, reference = build(2, 40, 1, 1), Reference(2, 20, 1, 1)
    play(replay, reference, [[time % 7 == 6, 2 * (time % 5 == 4)] for time in range(60)])
    expected = reference.transitions()
    batch = replay.sample(1, 200_000)
    _, counts = np.unique(batch.environments * 10_000 + batch.slots, return_counts=True)
    assert counts.size == len(expected)
    mean = 200_000 / len(expected)
    chi_square = ((counts - mean) ** 2 / mean).sum()
    assert chi_square < len(expected) + 5 * np.sqrt(2 * len(expected))


@settings(max_examples=40, deadline=None)
@given(histories(), st.integers(0, 60))
def test_a_restored_buffer_continues_alike(history, split):
    """The same draws follow, and later additions land in the same places."""
    num_envs, stack, horizon, length, endings = history
    replay = build(num_envs, length * num_envs, stack, horizon)
    reference = Reference(num_envs, length, stack, horizon)
    play(replay, reference, endings)
    restored = build(num_envs, length * num_envs, stack, horizon, seed=99)
    restored.set_state(replay.get_state())
    for _ in range(2):
        if reference.transitions():
            first, second = replay.sample(2, 8), restored.sample(2, 8)
            for name, one, other in zip(first._fields, first, second, strict=True):
                np.testing.assert_array_equal(one, other, err_msg=name)
        more = endings[: split % len(endings) + 1]
        play(restored, copy.deepcopy(reference), more)
        play(replay, reference, more)
    state, other_state = replay.get_state(), restored.get_state()
    np.testing.assert_array_equal(state["slots"].stop, other_state["slots"].stop)


def test_memory_is_checked_before_it_is_taken():
    frames = spec(1, (84, 84), np.uint8, stack_size=4)
    replay = CircularReplay(frames, np.random.default_rng(0), replay_capacity=10**12)
    transition = Transitions(
        np.zeros((1, 4, 84, 84), np.uint8),
        np.zeros(1, np.int64),
        np.zeros(1),
        np.zeros(1, bool),
        np.zeros(1, bool),
        np.zeros((1, 4, 84, 84), np.uint8),
    )
    with pytest.raises(UserError, match=r"needs 70\d\d\d\d\d\.\d\d GB .* are available: lower"):
        replay.add(block(transition))


def test_a_million_atari_frames_fit_in_7_1_gigabytes():
    frames = spec(8, (84, 84), np.uint8, stack_size=4)
    replay = CircularReplay(frames, np.random.default_rng(0), replay_capacity=1_000_000)
    assert replay.memory_bytes < 7.1e9


def test_a_reward_that_single_precision_cannot_hold_is_refused():
    replay = CircularReplay(spec(2), np.random.default_rng(0), replay_capacity=10)
    frames, no = np.zeros((2, 1), np.float32), np.zeros(2, bool)
    rewards = np.array([1.0, -1e39])
    with pytest.raises(UserError, match=r"A reward of -1e\+39 is beyond 3.4e\+38"):
        replay.add(block(Transitions(frames, np.zeros(2, int), rewards, no, no, frames)))


class _Recorder:
    """Takes the place of a replay and keeps the steps."""

    def __init__(self):
        self.steps: list[Block] = []

    def add(self, step: Block) -> None:
        self.steps.append(step)


def _joined(steps: list[Block]) -> Block:
    transitions = [transition for step in steps for transition in step.transitions()]
    return Block.of(transitions, (steps[-1].observations[-1], None), [None] * len(transitions))


@settings(max_examples=60, deadline=None)
@given(histories(), st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_a_block_of_any_length_is_stored_like_its_steps(history, lengths):
    """Also a block that is longer than the ring."""
    num_envs, stack, horizon, length, endings = history
    recorder = _Recorder()
    play(recorder, Reference(num_envs, length, stack, horizon), endings)
    one_by_one = build(num_envs, length * num_envs, stack, horizon)
    in_blocks = build(num_envs, length * num_envs, stack, horizon)
    for step in recorder.steps:
        one_by_one.add(step)
    position, turn = 0, 0
    while position < len(recorder.steps):
        steps = recorder.steps[position : position + lengths[turn % len(lengths)]]
        in_blocks.add(_joined(steps))
        position, turn = position + len(steps), turn + 1
    np.testing.assert_array_equal(one_by_one.ring.stop, in_blocks.ring.stop)
    for slots, others in zip(
        *(replay.ring.slots().blocks(replay.ring.first) for replay in (one_by_one, in_blocks)),
        strict=True,
    ):
        told = {name: slots[name] for name in slots}
        final = slots["kinds"] == FINAL_FRAME  # from there no step was taken
        for name, values in told.items():
            both = values, others[name]
            if name in ("actions", "rewards"):
                both = values[~final], others[name][~final]
            np.testing.assert_array_equal(*both, err_msg=name)
