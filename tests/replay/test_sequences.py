"""Sequences against a brute-force reference that keeps whole episodes."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopamine_lite.common.errors import UserError
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.sequence_replay import SequenceReplay
from tests.replay.episodes import Episode, Reference, histories, play, spec


class Decisions(NamedTuple):
    state: np.ndarray  # [T, N, 2]


class Filled:
    """Gives every step of a play a recurrent state of its own before it is stored."""

    def __init__(self, replay: SequenceReplay):
        self.replay = replay
        self.numbers = itertools.count(1)
        self.states: dict[int, list[Any]] = {}  # by environment, of each step

    def add(self, step: Block) -> None:
        number = next(self.numbers)
        environments = np.arange(step.actions.shape[1])
        numbers = np.full(environments.size, number)
        state = np.stack([numbers, environments], axis=1).astype(np.float32)
        for environment in environments:
            self.states.setdefault(int(environment), []).append(state[environment])
        self.replay.add(step._replace(decisions=Decisions(state[None])))


def build(history: Any, length: int, overlap: int, seed: int = 0, **rest: Any) -> SequenceReplay:
    num_envs, stack, _, held, _ = history
    frames = spec(num_envs, (2,), np.int32, stack_size=stack, state_shape=(2,))
    return SequenceReplay(
        frames,
        np.random.default_rng(seed),
        sequence_length=length,
        overlap=overlap,
        replay_capacity=held * num_envs,
        **rest,
    )


def expected(
    reference: Reference, states: dict[int, list[Any]], length: int, stride: int
) -> dict[tuple[int, int], tuple]:
    """(environment, slot) -> what a sequence that begins there must be."""
    found = {}
    for environment, slot in reference.transitions():
        episode, earlier = _episode_at(reference.episodes[environment], slot)
        t = slot - episode.first_slot
        if t % stride:
            continue
        n = min(length, len(episode.actions) - t)
        frames = reference.observation(episode, t)[:-1] + episode.frames[t : t + n + 1]
        ends = t + n == len(episode.actions)
        found[environment, slot] = (
            frames + [0] * (length - n),
            episode.actions[t : t + n] + [0] * (length - n),
            episode.rewards[t : t + n] + [0.0] * (length - n),
            n,
            ends and episode.terminated,
            states[environment][earlier + t],
        )
    return found


def _episode_at(episodes: list[Episode], slot: int) -> tuple[Episode, int]:
    """The episode that a slot belongs to, and the steps of those before it."""
    before = 0
    for episode in episodes:
        if slot < episode.first_slot + len(episode.actions):
            return episode, before
        before += len(episode.actions)
    raise AssertionError(slot)


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(1, 5), st.integers(0, 4), st.booleans())
def test_sequences_are_those_of_the_episodes_held(history, length, overlap, prioritized):
    num_envs, stack, _, held, endings = history
    overlap = min(overlap, length - 1)
    held = max(held, length + stack + 1)
    history = (num_envs, stack, None, held, endings)
    filled = Filled(build(history, length, overlap, prioritized=prioritized))
    reference = Reference(num_envs, held, stack, length)
    play(filled, reference, endings)
    wanted = expected(reference, filled.states, length, length - overlap)
    if not wanted:
        with pytest.raises(RuntimeError, match="No whole sequence"):
            filled.replay.sample(1, 1)
        return
    batch, seen = filled.replay.sample(4, 200), set()
    for index in np.ndindex(4, 200):
        key = int(batch.environments[index]), int(batch.slots[index])
        frames, actions, rewards, steps, terminated, state = wanted[key]
        assert batch.frames[index][:, 0].tolist() == frames
        assert batch.actions[index].tolist() == actions
        assert batch.rewards[index].tolist() == rewards
        assert (batch.lengths[index], batch.terminated[index]) == (steps, terminated)
        np.testing.assert_array_equal(batch.states[index], state)
        seen.add(key)
    assert len(seen) > len(wanted) / 2
    assert batch.frames.shape[2:] == filled.replay.sample_spec(200).frames_shape


@pytest.mark.parametrize("prioritized", [False, True])
def test_a_restored_replay_of_sequences_goes_on_alike(prioritized):
    generator = np.random.default_rng(3)
    endings = generator.choice([0, 0, 0, 1, 2], size=(50, 2)).tolist()
    history = (2, 2, None, 30, endings)
    whole = Filled(build(history, 4, 2, prioritized=prioritized))
    reference = Reference(2, 30, 2, 4)
    play(whole, reference, endings)
    resumed = build(history, 4, 2, seed=9, prioritized=prioritized)
    resumed.set_state(whole.replay.get_state())
    for _ in range(2):
        first, second = whole.replay.sample(2, 8), resumed.sample(2, 8)
        for name, one, other in zip(first._fields, first, second, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)
        for replay in (whole.replay, resumed):
            replay.feedback(first, np.ones((2, 8)) * 3)
        both = Both(whole, resumed)
        play(both, Reference(2, 30, 2, 4), endings[:7])


class Both:
    """Adds the same steps to two replays."""

    def __init__(self, first: Filled, second: SequenceReplay):
        self.first, self.second = first, second

    def add(self, step: Block) -> None:
        self.first.add(step)
        number = len(self.first.states[0])
        state = np.stack([np.full(2, number), np.arange(2)], axis=1).astype(np.float32)
        self.second.add(step._replace(decisions=Decisions(state[None])))


def test_a_ring_that_is_too_short_is_refused():
    with pytest.raises(UserError, match="give 82 or more"):
        SequenceReplay(spec(), np.random.default_rng(0), replay_capacity=81)
    with pytest.raises(UserError, match="overlap is 4: give a whole number, from 0 to 3"):
        SequenceReplay(spec(), np.random.default_rng(0), sequence_length=4, overlap=4)
