"""PPO (Schulman et al. 2017): many small steps on the last rollout, close to the old policy."""

from __future__ import annotations

from typing import Any

import numpy as np

from dopamine_lite.agents.agent import State
from dopamine_lite.agents.policy_agent import PolicyAgent
from dopamine_lite.common.checks import check_whole
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.stopwatch import lap
from dopamine_lite.configuration.configurable import configurable, divided
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.learning.learner import RecentMeans
from dopamine_lite.learning.ppo_learner import PPOLearner
from dopamine_lite.networks.torsos import updating
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.rollout import Rollout, RolloutBuffer


@configurable(passes_to=[PolicyAgent, PPOLearner])
class PPOAgent(PolicyAgent):
    """PPO: maximizes a surrogate of the return that keeps the policy near the old policy.

    The surrogate is equation 9 of Schulman et al. (2017). After every `rollout_length` steps of each
    environment, the agent estimates advantages by GAE. It then makes `num_epochs` passes over the T x N
    steps, each in `num_minibatches` newly drawn minibatches. All of this is one compiled call.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      rollout_length: T, the agent steps of each environment between updates.
      optimizer: the optimizer that takes the gradient steps. If it has a schedule of its own, its
        learning rate is multiplied by the decay of `learning_rate_decay_period`.
    """

    def __init__(
        self, spec: EnvironmentSpec, seeds: Seeds, *, rollout_length: int = 128, **settings: Any
    ):
        name, grid = type(self).__name__, (rollout_length, spec.num_envs)
        check_whole(name, rollout_length=rollout_length)
        of_agent, of_learner = divided(name, settings, PolicyAgent, PPOLearner)
        super().__init__(spec, seeds, **of_agent)
        self.learner = PPOLearner(name, self._parts, seeds, grid, **of_learner)
        minibatch = rollout_length * spec.num_envs // self.learner.num_minibatches
        self.rollout = RolloutBuffer(
            *grid,
            Rollout.example(spec.observation_space, self._parts.policy),
            name,
            update_bytes=self._parts.network.batch_bytes(minibatch),
        )
        self._size = rollout_length * spec.num_envs  # agent steps in a rollout
        self._steps = 0  # agent steps learned from
        self._means = RecentMeans(self.learner.metric_names)

    @property
    def block_length(self) -> int:
        return self.rollout.room

    def learn(self, block: Block) -> None:
        self.learner.compile()
        lap("compile")
        step = self._steps - self.rollout.agent_steps  # agent step at which the rollout began
        self._steps += block.agent_steps
        for rollout in self.rollout.completed(block, self._steps_of, self._values_after):
            lap("store")
            learned = self.learner.learn(rollout, step)
            self.actor.load(learned.parameters)
            self._means.add(learned.metrics)
            step += self._size
            lap("update")
        lap("store")

    def _steps_of(self, block: Block, cut_values: np.ndarray) -> Rollout:
        return Rollout(
            block.observations[:-1],
            block.decisions.actions,
            block.decisions.outputs,
            block.decisions.values,
            cut_values,
            block.rewards,
            block.terminated,
            block.truncated,
        )

    def _values_after(self, block: Block, step: int) -> np.ndarray:
        _, values = self.actor.policy_and_values(block.successors(step))
        return values

    @property
    def first_update(self) -> int | None:
        return self._size

    def metrics(self) -> dict[str, float | np.ndarray]:
        means = self._means.take()
        return {**means, **self.learner.rates(self._steps)} if means else {}

    def get_state(self) -> State:
        return {
            **self.actor.get_state(),
            **self.learner.get_state(),
            "steps": self._steps,
            "rollout": self.rollout.get_state(),
        }

    def set_state(self, state: State) -> None:
        self.actor.set_state(state)
        self.learner.set_state(state)
        self._steps = state["steps"]
        self.rollout.set_state(state["rollout"])
        self._load()

    def describe(self) -> dict[str, Any]:
        return super().describe() | {
            "updating": updating(self.learner.parts.network.torso),
            "surrogate": self.learner.surrogate,
            "value_clip": self.learner.value_clip,
            "normalize_advantages": self.learner.normalizes_advantages,
            "normalize_rewards": self.learner.reward_normalizer is not None,
            "target_kl": self.learner.target_kl,
        }

    @property
    def memory_bytes(self) -> int:
        return self.rollout.memory_bytes
