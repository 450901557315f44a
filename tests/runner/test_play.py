"""The one loop: what an agent that learns from blocks is given."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from dopamine_lite.acting.actor import Acted
from dopamine_lite.agents.block_agent import BlockAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import Transitions
from dopamine_lite.environments.environment import Environment, Step
from dopamine_lite.replay.block import Block
from dopamine_lite.reporting.iteration_statistics import IterationStatistics
from dopamine_lite.runner.play import play, player_for
from tests.agents.tiny import spec


class Reusing(Environment):
    """Writes rewards and ends into the same arrays in every step; ends every third.

    It returns two arrays of observations by turns, so the last stays as it was for a step.
    """

    def __init__(self):
        self.spec = spec(num_envs=2)
        self._rewards, self._ends = np.zeros(2), np.zeros(2, bool)
        self._never = np.zeros(2, bool)
        self._seen = [np.zeros((2, 3), np.float32) for _ in range(2)]
        self._steps = 0

    def reset(self):
        return self._seen[0]

    def step(self, actions):
        self._steps += 1
        self._rewards[:] = self._steps
        self._ends[:] = self._steps % 3 == 0
        seen = self._seen[self._steps % 2]
        seen[:] = self._steps
        return Step(seen, self._rewards, self._ends, self._never, seen)

    def close(self):
        pass


class Said(NamedTuple):
    seen: np.ndarray  # [N]


class Counting:
    """An actor that takes the actions by turns. Writes them and what it says into one array each."""

    def __init__(self):
        self._actions, self._seen, self._steps = np.zeros(2, np.int64), np.zeros(2), 0

    def act(self, observations, evaluate=False, action_masks=None):
        self._actions[:], self._seen[:] = self._steps % 3, observations[:, 0]
        self._steps += 1
        return Acted(self._actions, Said(self._seen))


class Remembering(BlockAgent):
    block_length = None

    def __init__(self):
        self.actor, self.blocks = Counting(), []

    def learn(self, block):
        self.blocks.append(block)

    def get_state(self):
        return {}

    def set_state(self, state):
        pass


def test_a_block_is_of_what_happened_then():
    """Often wrong: arrays that the environment writes to again are kept until the block is full."""
    agent = Remembering()
    player = player_for(agent)
    ticks = play(Reusing(), player, IterationStatistics(), lambda tick, _: tick == 150, agent="X")
    assert sum(1 for _ in ticks) == 150
    assert [block.num_steps for block in agent.blocks] == [64, 64, 22]
    rewards = np.concatenate([block.rewards for block in agent.blocks])
    np.testing.assert_array_equal(rewards, np.arange(1.0, 151)[:, None].repeat(2, axis=1))
    ends = np.concatenate([block.terminated for block in agent.blocks])
    np.testing.assert_array_equal(ends[:, 0], np.arange(1, 151) % 3 == 0)
    assert agent.blocks[-1].ended[-1].all()
    for block, start in zip(agent.blocks, [0, 64, 128], strict=True):
        steps = np.arange(start, start + block.num_steps + 1)
        np.testing.assert_array_equal(block.observations[:, 1, 2], steps)
        np.testing.assert_array_equal(block.decisions.seen[:, 0], steps[:-1])
        np.testing.assert_array_equal(block.actions[:, 1], steps[:-1] % 3)
        assert (block.final_observations[:, 0] % 3 == 0).all() or block is agent.blocks[-1]


@pytest.mark.parametrize("length", [0, -3, 1.5, "8", True])
def test_a_block_length_that_is_none_is_refused(length):
    agent = Remembering()
    agent.block_length = length
    with pytest.raises(UserError, match=r"Remembering\.block_length is .*: give a whole number"):
        player_for(agent)


def test_decisions_that_are_missing_in_some_steps_are_refused():
    ends = np.zeros(1, bool)
    step = Transitions(np.zeros((1, 3)), np.zeros(1), np.zeros(1), ends, ends, np.zeros((1, 3)))
    with pytest.raises(ValueError, match="in some steps and None in others"):
        Block.of([step, step], (np.zeros((1, 3)), None), [None, Said(np.zeros(1))])
