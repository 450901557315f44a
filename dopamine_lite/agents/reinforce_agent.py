"""REINFORCE (Williams 1992): the policy gradient of whole episodes, with or without a baseline."""

from __future__ import annotations

from typing import Any

import numpy as np

from dopamine_lite.agents.agent import State
from dopamine_lite.agents.policy_agent import PolicyAgent
from dopamine_lite.common.checks import check_flag, check_fraction, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.stopwatch import lap
from dopamine_lite.configuration.configurable import configurable, divided
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.learning.learner import RecentMeans
from dopamine_lite.learning.reinforce_learner import ReinforceLearner
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.episodes import Episode, EpisodeBuffer


@configurable(passes_to=[PolicyAgent, ReinforceLearner])
class ReinforceAgent(PolicyAgent):
    """REINFORCE (Williams 1992): one gradient step on -A log pi(a|s) for each batch of episodes.

    A is the return G after the step, minus a baseline if one is learned. An episode that is truncated,
    by a limit or at a checkpoint, counts as far as it went. With a learned baseline, its G continues
    with the value of its last observation. With several environments, other episodes are in progress
    when a gradient step is taken. The steps that these episodes have taken under the older policy are
    then weighted by rho = pi(a|s) / pi_old(a|s).

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      gamma: the discount per agent step.
      batch_episodes: the least number of whole episodes in a gradient step.
      learned_baseline: subtract a baseline V(s), which is learned together with the policy (Sutton and
        Barto 2018, section 13.4).
      shared_torso: policy and baseline share one torso; False: each has a torso of its own.
      reset_return_at_reward: start the return anew at each reward that is not zero, as for the points
        of Pong (Karpathy 2016).
    """

    blocks_end_with_episodes = True
    block_length = None  # an episode can have any length

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        gamma: float = 0.99,
        batch_episodes: int = 10,
        learned_baseline: bool = False,
        shared_torso: bool = False,
        reset_return_at_reward: bool = False,
        **settings: Any,
    ):
        name = type(self).__name__
        check_flag(
            name,
            learned_baseline=learned_baseline,
            shared_torso=shared_torso,
            reset_return_at_reward=reset_return_at_reward,
        )
        check_fraction(name, gamma=gamma)
        check_whole(name, batch_episodes=batch_episodes)
        updates = settings.get("baseline_updates", 0)
        check_whole(name, least=0, baseline_updates=updates)
        if updates and (shared_torso or not learned_baseline):
            raise UserError(
                f"{name}.baseline_updates is {updates}, but there is no baseline with a torso of its "
                "own: set it to 0, or set learned_baseline = True and shared_torso = False."
            )
        of_agent, of_learner = divided(name, settings, PolicyAgent, ReinforceLearner)
        super().__init__(spec, seeds, shared_torso=shared_torso or not learned_baseline, **of_agent)
        self.learner = ReinforceLearner(name, self._parts, learned_baseline, **of_learner)
        self.memory = EpisodeBuffer(spec.num_envs, gamma, reset_return_at_reward)
        self._batch: list[Episode] = []
        self._batch_episodes = batch_episodes
        self._learned_baseline = self._has_state_values = learned_baseline
        self._reset_return_at_reward = reset_return_at_reward
        self._means = RecentMeans(self.learner.metric_names)

    def learn(self, block: Block) -> None:
        self.learner.compile()
        lap("compile")
        ends = np.any(block.ended, axis=1)
        ends[-1] = True
        start = 0
        # In each part, episodes end only with the last step.
        for end in (ends.nonzero()[0] + 1).tolist():
            self._learn(block.rows(start, end))
            start = end

    def _learn(self, block: Block) -> None:
        last_values, truncated = np.zeros(self._spec.num_envs), block.truncated[-1]
        if self._learned_baseline and truncated.any():
            _, values = self.actor.policy_and_values(block.successors(block.num_steps - 1))
            last_values = np.where(truncated, values, 0.0)
        self._batch += self.memory.add(block, last_values)
        lap("store")
        if len(self._batch) >= self._batch_episodes:
            learned = self.learner.learn(self._batch)
            self.actor.load(learned.parameters)
            self._means.add(learned.metrics)
            self._batch.clear()
            lap("update")

    def metrics(self) -> dict[str, float | np.ndarray]:
        means = self._means.take()
        rate = {"learning_rate": self._parts.optimizer.learning_rate()}
        return {**means, **rate} if means else {}

    def get_state(self) -> State:
        assert self.memory.is_empty, "an episode is in flight"
        batch = [list(episode) for episode in self._batch]
        return {**self.actor.get_state(), **self.learner.get_state(), "batch": batch}

    def set_state(self, state: State) -> None:
        self.actor.set_state(state)
        self.learner.set_state(state)
        self.memory.clear()
        self._batch = [Episode(*map(np.asarray, columns)) for columns in state["batch"]]
        self._load()

    def describe(self) -> dict[str, Any]:
        return super().describe() | {
            "learned_baseline": self._learned_baseline,
            "baseline_updates": self.learner.baseline_updates,
            "normalize_advantages": self.learner.normalizes_advantages,
            "reset_return_at_reward": self._reset_return_at_reward,
        }
