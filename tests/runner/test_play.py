"""The one loop: what an agent that learns from blocks is given."""

from __future__ import annotations

import numpy as np

from dopamine_lite.acting.actor import Acted
from dopamine_lite.agents.block_agent import BlockAgent
from dopamine_lite.environments.environment import Environment, Step
from dopamine_lite.reporting.iteration_statistics import IterationStatistics
from dopamine_lite.runner.play import play, player_for
from tests.agents.tiny import spec


class Reusing(Environment):
    """Writes rewards and ends into the same arrays in every step; ends every third."""

    def __init__(self):
        self.spec = spec(num_envs=2)
        self._rewards, self._ends = np.zeros(2), np.zeros(2, bool)
        self._never = np.zeros(2, bool)
        self._steps = 0

    def reset(self):
        return np.zeros((2, 3), np.float32)

    def step(self, actions):
        self._steps += 1
        self._rewards[:] = self._steps
        self._ends[:] = self._steps % 3 == 0
        seen = np.full((2, 3), self._steps, np.float32)
        return Step(seen, self._rewards, self._ends, self._never, seen)

    def close(self):
        pass


class Standing:
    """An actor that always takes the first action."""

    def act(self, observations, evaluate=False, action_masks=None):
        return Acted(np.zeros(len(observations), np.int64))


class Remembering(BlockAgent):
    block_length = None

    def __init__(self):
        self.actor, self.blocks = Standing(), []

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
