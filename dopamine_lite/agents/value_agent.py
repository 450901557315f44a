"""What value-based agents with a replay share: they explore, store, sample, update and synchronize."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
import tensorflow as tf

from dopamine_lite.agents.action_value_agent import ActionValueAgent
from dopamine_lite.agents.agent import State
from dopamine_lite.agents.update_schedule import UpdateSchedule
from dopamine_lite.common.checks import check_flag, check_fraction, check_positive, check_whole
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.stopwatch import lap
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.learning.learner import RecentMeans
from dopamine_lite.learning.value_learner import Batch, Loss, ValueLearner
from dopamine_lite.networks.augmentation import Augmentation
from dopamine_lite.networks.heads import Head
from dopamine_lite.networks.network import Network, require_equal
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.replay.replay import Replay, ReplaySpec
from dopamine_lite.replay.ring_replay import check_memory

H = TypeVar("H", bound=Head)


class ValueAgent(ActionValueAgent[H], Generic[H]):
    """Learns action values from replayed transitions. A subclass gives the loss and the head.

    All periods are in agent steps, over all environments together. Nothing is learned during the first
    `min_replay_history` of them.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      replay: the replay buffer.
      gamma: the discount per agent step.
      update_horizon: n, the number of rewards that are summed before bootstrapping.
      min_replay_history: the agent steps before the first update.
      update_period: the agent steps between updates.
      updates_per_period: the gradient steps taken every `update_period` agent steps.
      target_update_period: the agent steps after which the online network is copied to the target
        network.
      batch_size: the transitions in a gradient step.
      double: let the online network choose the next action and the target network value it.
      max_gradient_norm: gradients with a larger global norm are scaled down to this norm; None: never.
      augmentation: what changes the images that an update learns from, such as `@RandomShift`; None:
        nothing.
    """

    learner: ValueLearner
    priorities_are_td_errors = True  # the priorities that a loss returns are absolute TD errors

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        replay: Callable[[ReplaySpec, np.random.Generator], Replay] = CircularReplay,
        gamma: float = 0.99,
        update_horizon: int = 1,
        min_replay_history: int = 20_000,
        update_period: int = 4,
        updates_per_period: int = 1,
        target_update_period: int = 8_000,
        batch_size: int = 32,
        double: bool = False,
        max_gradient_norm: float | None = None,
        augmentation: Callable[[], Augmentation] | None = None,
        **settings: Any,
    ):
        name = type(self).__name__
        if hasattr(self, "_loss"):  # from a subclass for an earlier version
            raise UserError(
                f"{name}._loss would never be called: redefine `loss(online, target, batch)` instead "
                "(docs/how_to/your_own_agent.md)."
            )
        check_fraction(name, gamma=gamma)
        check_whole(name, target_update_period=target_update_period, batch_size=batch_size)
        self._schedule = UpdateSchedule.checked(
            name,
            spec.num_envs,
            update_horizon,
            min_replay_history,
            update_period,
            updates_per_period,
        )
        check_positive(name, optional=True, max_gradient_norm=max_gradient_norm)
        check_flag(name, double=double)
        super().__init__(spec, seeds, min_replay_history, **settings)
        self._target_update_period = target_update_period
        self._batch_size = batch_size
        self._double = double
        self._update_horizon = update_horizon

        self.replay: Replay = checked_part(
            name,
            "replay",
            replay(
                replay_spec(
                    spec, update_horizon, gamma, self._num_actions, self.priorities_are_td_errors
                ),
                seeds.generator("replay"),
            ),
            Replay,
        )
        if getattr(self.replay, "needs_values", False):
            self.actor.tells_values = self.needs_decisions = True
            self.learns_from_other_actions = False
        online, target = self._network, self._new_network()
        require_equal(online, target)  # the same seeds made them
        sample = self.replay.sample_spec(batch_size)
        self._schedule.require_memory(name, sample, online.batch_bytes(batch_size))
        self.learner = ValueLearner(
            online,
            target,
            self.loss,
            self._optimizer,
            sample,
            seeds,
            parameters=self.actor.inference.parameters,
            max_gradient_norm=max_gradient_norm,
            augmentation=self._augmentation(augmentation, online),
        )
        self._steps = 0  # agent steps learned from
        self._is_compiled = False
        self._means = RecentMeans(self.learner.metric_names)

    def _augmentation(
        self, augmentation: Callable[[], Augmentation] | None, network: Network[H]
    ) -> Augmentation | None:
        if augmentation is None:
            return None
        name = type(self).__name__
        made = checked_part(name, "augmentation", augmentation(), Augmentation)
        if getattr(made, "of_images", False) and len(network.prepared_shape) != 3:
            raise UserError(
                f"{name}.augmentation needs images, but {self._spec.id} has observations of shape "
                f"{self._spec.observation_space.shape}: bind {name}.augmentation = None."
            )
        return made

    @abc.abstractmethod
    def loss(self, online: Network[H], target: Network[H], batch: Batch) -> Loss:
        """The loss of a batch, in a graph under a gradient tape."""

    def _next_actions(self, online: Network[H], batch: Batch, next_outputs: tf.Tensor) -> tf.Tensor:
        """a* [B]: the best legal actions in s'.

        The target network's `next_outputs` decide or, with `double`, the online network does (van
        Hasselt et al. 2016).
        """
        if self._double:
            next_outputs = online(batch.next_states, batch.seeds.choice)
        values = batch.next_legal(online.head.values(next_outputs))
        return tf.argmax(values, axis=1, output_type=tf.int32)

    @property
    def block_length(self) -> int:
        return self._schedule.block_length(self._steps, self._target_update_period)

    def learn(self, block: Block) -> None:
        self._compile()
        if self.actor.first_action:
            block = block._replace(actions=block.actions - self.actor.first_action)
        self.replay.add(block)
        lap("store")
        before, self._steps = self._steps, self._steps + block.agent_steps
        if self._steps <= self._schedule.min_replay_history:
            return
        if due := self._schedule.due(before, self._steps):
            self._update(due)
        if self._steps // self._target_update_period > before // self._target_update_period:
            self.learner.synchronize()

    def _update(self, num_updates: int) -> None:
        sample = self.replay.sample(num_updates, self._batch_size)
        lap("sample")
        learned = self.learner.learn(sample)
        self._means.add(learned.metrics)
        self.actor.load(learned.parameters)
        if learned.priorities is not None:
            self.replay.feedback(sample, learned.priorities.numpy())

    def _compile(self) -> None:
        """Compiles, in the first step, everything that training calls.

        Compiling reads source files. Later, when `min_replay_history` is over and the agent first acts
        by values or learns, these files may have been edited since the run was started.
        """
        if self._is_compiled:
            return
        self._is_compiled = True
        self.actor.inference.compile()
        self.learner.compile(*self._schedule.numbers)
        lap("compile")

    @property
    def first_update(self) -> int | None:
        return self._schedule.first_update

    def metrics(self) -> dict[str, float | np.ndarray]:
        rate = {"learning_rate": self.learner.optimizer.learning_rate()}
        return self.actor.metrics() | self.replay.metrics() | rate | self._means.take()

    def get_state(self) -> State:
        actor, learner = self.actor.get_state(), self.learner.get_state()
        noise = [*actor.pop("noise"), learner.pop("generator")]
        own = {"steps": self._steps, "noise": noise, "replay": self.replay.get_state()}
        return {**actor, **learner, **own}

    def set_state(self, state: State) -> None:
        *noise, generator = state["noise"]
        self._steps = state["steps"]
        self.actor.set_state(state | {"noise": noise})
        self.learner.set_state(state | {"generator": generator})
        self.replay.set_state(state["replay"])
        self._load()

    def describe(self) -> dict[str, Any]:
        augmentation = self.learner.augmentation
        return {
            **super().describe(),
            **self.replay.describe(),
            "augmentation": type(augmentation).__name__ if augmentation else None,
            "double": self._double,
            "update_horizon": self._update_horizon,
        }

    @property
    def memory_bytes(self) -> int:
        return self.replay.memory_bytes

    def check_memory(self) -> None:
        check_memory(self.replay, type(self).__name__)


def replay_spec(
    spec: EnvironmentSpec,
    update_horizon: int,
    gamma: float,
    num_actions: int,
    tells_values: bool = False,
) -> ReplaySpec:
    """The spec of a replay of n-step transitions, for an environment with discrete actions."""
    shape, dtype = spec.observation_space.shape, spec.observation_space.dtype
    assert shape is not None
    return ReplaySpec(
        frame_shape=shape[1:] if spec.stack_size > 1 else shape,
        frame_dtype=np.dtype(dtype),
        num_envs=spec.num_envs,
        stack_size=spec.stack_size,
        update_horizon=update_horizon,
        gamma=gamma,
        mask_size=num_actions if spec.action_masks else None,
        tells_values=tells_values,
    )
