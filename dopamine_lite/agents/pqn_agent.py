"""PQN (Gallici et al. 2025): Q-learning from the newest rollout, with no replay or target network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dopamine_lite.agents.action_value_agent import ActionValueAgent
from dopamine_lite.agents.agent import State
from dopamine_lite.common.checks import check_whole
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.stopwatch import lap
from dopamine_lite.configuration.configurable import configurable, divided
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.learning.learner import RecentMeans
from dopamine_lite.learning.pqn_learner import PQNLearner
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.optimizers import Optimizer, RAdam
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.rollout import RolloutBuffer, ValueRollout


@configurable(passes_to=[ActionValueAgent, PQNLearner])
class PQNAgent(ActionValueAgent[QHead]):
    """PQN: regresses Q(s, a) on the lambda-returns of the last rollout of many environments.

    This is algorithm 1 of Gallici et al. (2025). After every `rollout_length` steps of each environment,
    the agent computes Q(lambda) from the values on which it acted. It then makes `num_epochs` passes
    over the T x N steps, each in `num_minibatches` newly drawn minibatches. All of this is one compiled
    call. There is no replay and no target network. Instead, layer normalization keeps learning stable:
    bind `layer_norm = True` for the torso.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      rollout_length: T, the agent steps of each environment between updates.
      head: the network's output layers, `@QHead`, whose own parameters make it dueling or noisy.
      optimizer: the optimizer that takes the gradient steps. If it has a schedule of its own, the
        schedule is multiplied by the decay of `learning_rate_decay_period`.
    """

    _head_kind = QHead
    needs_decisions = True

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        rollout_length: int = 32,
        head: Callable[[Seeds, int], QHead] = QHead,
        optimizer: Callable[[], Optimizer] = RAdam,
        **settings: Any,
    ):
        name, grid = type(self).__name__, (rollout_length, spec.num_envs)
        check_whole(name, rollout_length=rollout_length)
        of_agent, of_learner = divided(name, settings, ActionValueAgent, PQNLearner)
        super().__init__(spec, seeds, tells_values=True, head=head, optimizer=optimizer, **of_agent)
        self.learner: PQNLearner = PQNLearner(
            name,
            self._network,
            self._optimizer,
            seeds,
            grid,
            self.actor.inference.parameters,
            **of_learner,
        )
        self._size = rollout_length * spec.num_envs  # agent steps in a rollout
        self.rollout = RolloutBuffer(
            *grid,
            ValueRollout.example(spec.observation_space),
            name,
            update_bytes=self._network.batch_bytes(self._size // self.learner.num_minibatches),
        )
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

    def _steps_of(self, block: Block, cut_values: np.ndarray) -> ValueRollout:
        return ValueRollout(
            block.observations[:-1],
            block.actions - self.actor.first_action,
            block.decisions.values,
            cut_values,
            block.rewards,
            block.terminated,
            block.truncated,
        )

    def _values_after(self, block: Block, step: int) -> np.ndarray:
        masks = block.successor_masks(step)
        return self.actor.greatest_values(block.successors(step), masks)

    @property
    def first_update(self) -> int | None:
        return self._size

    def metrics(self) -> dict[str, float | np.ndarray]:
        rate = {"learning_rate": self.learner.learning_rate(self._steps)}
        return self.actor.metrics() | rate | self._means.take()

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
            "layer_norm": getattr(self._network.torso, "layer_norm", False),
        }

    @property
    def memory_bytes(self) -> int:
        return self.rollout.memory_bytes
