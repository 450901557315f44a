"""Circular replay against a brute-force reference that keeps whole episodes."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.replay.circular_replay import CircularReplay
from dopamine_lite.common.types import Transitions

GAMMA = 0.9


@dataclasses.dataclass
class Episode:
    """One episode of one stream, whole: T + 1 frames and T steps."""

    first_slot: int
    frames: list[int]
    actions: list[int] = dataclasses.field(default_factory=list)
    rewards: list[float] = dataclasses.field(default_factory=list)
    terminated: bool = False
    ended: bool = False


class Reference:
    """Keeps everything; says which transitions can be drawn and what each must look like."""

    def __init__(self, num_envs: int, length: int, stack: int, horizon: int):
        self.length, self.stack, self.horizon = length, stack, horizon
        self.episodes: list[list[Episode]] = [[] for _ in range(num_envs)]
        self.stop = [0] * num_envs

    def begin(self, column: int, frame: int) -> None:
        self.episodes[column].append(Episode(self.stop[column], [frame]))

    def step(
        self, column: int, action: int, reward: float, frame: int, terminated: bool, truncated: bool
    ) -> None:
        episode = self.episodes[column][-1]
        episode.actions.append(action)
        episode.rewards.append(reward)
        episode.frames.append(frame)
        self.stop[column] += 1
        if terminated or truncated:
            episode.terminated, episode.ended = terminated, True
            self.stop[column] += 1  # the final frame has a slot of its own

    def observation(self, episode: Episode, t: int) -> list[int]:
        return [episode.frames[i] if i >= 0 else 0 for i in range(t - self.stack + 1, t + 1)]

    def transitions(self) -> dict[tuple[int, int], tuple]:
        """(column, slot) -> (stack, action, n-step return, discount, next stack), all drawable."""
        found = {}
        for column, episodes in enumerate(self.episodes):
            oldest = max(0, self.stop[column] - self.length)
            for episode in episodes:
                for t in range(len(episode.actions)):
                    n = min(self.horizon, len(episode.actions) - t)
                    # Unfinished: s' at t + n must have been acted on, so that its frame is stored.
                    if not episode.ended and t + self.horizon >= len(episode.actions):
                        continue
                    slot = episode.first_slot + t
                    earliest = max(t - self.stack + 1, 0)
                    # Whether an episode begins here is seen in the slot before it.
                    seen_from = episode.first_slot + earliest
                    if self.stack > 1 and t - self.stack + 1 < 0 and seen_from > 0:
                        seen_from -= 1
                    if seen_from < oldest:
                        continue
                    ends = episode.ended and t + n == len(episode.actions)
                    found[column, slot] = (
                        self.observation(episode, t),
                        episode.actions[t],
                        sum(GAMMA**k * episode.rewards[t + k] for k in range(n)),
                        0.0 if ends and episode.terminated else GAMMA**n,
                        self.observation(episode, t + n),
                    )
        return found


def build(num_envs: int, capacity: int, stack: int, horizon: int, seed: int = 0) -> CircularReplay:
    return CircularReplay(
        frame_shape=(2,),
        frame_dtype=np.dtype(np.int32),
        stack_size=stack,
        num_envs=num_envs,
        generator=np.random.default_rng(seed),
        update_horizon=horizon,
        gamma=GAMMA,
        replay_capacity=capacity,
    )


def play(replay: CircularReplay, reference: Reference, endings: list[list[int]]) -> None:
    """Plays steps whose endings (0 none, 1 terminated, 2 truncated) are given [time][env]."""
    num_envs = len(endings[0])
    counter = 0

    def new_frame() -> int:
        nonlocal counter
        counter += 1
        return counter

    current = [[0] * (reference.stack - 1) + [new_frame()] for _ in range(num_envs)]
    for column in range(num_envs):
        reference.begin(column, current[column][-1])

    def as_observations(stacks: list[list[int]]) -> np.ndarray:
        frames = np.array(stacks, np.int32)[..., None].repeat(2, axis=-1)
        return frames if reference.stack > 1 else frames[:, -1]

    for time, row in enumerate(endings):
        actions = np.array([(time + column) % 5 for column in range(num_envs)])
        rewards = np.array([float(time * 3 + column) for column in range(num_envs)])
        following = [[*stack[1:], new_frame()] for stack in current]
        terminated, truncated = np.array(row) == 1, np.array(row) == 2
        replay.add(
            Transitions(
                as_observations(current),
                actions,
                rewards,
                terminated,
                truncated,
                as_observations(following),
            )
        )
        for column in range(num_envs):
            reference.step(
                column,
                int(actions[column]),
                float(rewards[column]),
                following[column][-1],
                bool(terminated[column]),
                bool(truncated[column]),
            )
            if row[column]:
                following[column] = [0] * (reference.stack - 1) + [new_frame()]
                reference.begin(column, following[column][-1])
        current = following


def assert_samples_are(
    replay: CircularReplay, expected: dict[tuple[int, int], tuple], stack: int
) -> set[tuple[int, int]]:
    batch = replay.sample(2, 200)
    frames = batch.frames[..., 0].reshape(400, -1)
    seen = set()
    for index in range(400):
        key = (int(batch.columns.flat[index]), int(batch.slots.flat[index]))
        assert key in expected, f"{key} must not be drawn"
        observation, action, total, discount, following = expected[key]
        assert frames[index, :stack].tolist() == observation
        assert frames[index, -stack:].tolist() == following
        assert batch.actions.flat[index] == action
        np.testing.assert_allclose(batch.returns.flat[index], total, rtol=1e-5)
        np.testing.assert_allclose(batch.discounts.flat[index], discount, rtol=1e-6)
        seen.add(key)
    return seen


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, int, int, int, list[list[int]]]:
    num_envs = draw(st.integers(1, 3))
    stack = draw(st.sampled_from([1, 2, 4]))
    horizon = draw(st.integers(1, 4))
    length = draw(st.integers(stack + horizon + 1, 30))
    ending = st.sampled_from([0, 0, 0, 0, 1, 2])
    endings = draw(
        st.lists(st.lists(ending, min_size=num_envs, max_size=num_envs), min_size=8, max_size=80)
    )
    return num_envs, stack, horizon, length, endings


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


def test_draws_are_uniform():
    replay, reference = build(2, 40, 1, 1), Reference(2, 20, 1, 1)
    play(replay, reference, [[time % 7 == 6, 2 * (time % 5 == 4)] for time in range(60)])
    expected = reference.transitions()
    batch = replay.sample(1, 200_000)
    _, counts = np.unique(batch.columns * 10_000 + batch.slots, return_counts=True)
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
    replay = CircularReplay(
        frame_shape=(84, 84),
        frame_dtype=np.dtype(np.uint8),
        stack_size=4,
        num_envs=1,
        generator=np.random.default_rng(0),
        replay_capacity=10**12,
    )
    transition = Transitions(
        np.zeros((1, 4, 84, 84), np.uint8),
        np.zeros(1, np.int64),
        np.zeros(1),
        np.zeros(1, bool),
        np.zeros(1, bool),
        np.zeros((1, 4, 84, 84), np.uint8),
    )
    with pytest.raises(UserError, match=r"needs 70\d\d\d\d\d\.\d\d GB .* are available: lower"):
        replay.add(transition)


def test_a_million_atari_frames_fit_in_7_1_gigabytes():
    replay = CircularReplay(
        frame_shape=(84, 84),
        frame_dtype=np.dtype(np.uint8),
        stack_size=4,
        num_envs=8,
        generator=np.random.default_rng(0),
        replay_capacity=1_000_000,
    )
    assert replay.memory_bytes < 7.1e9
