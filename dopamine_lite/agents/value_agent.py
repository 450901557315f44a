"""What every value-based agent shares: explore, store, sample, update, follow with a target."""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dopamine_lite.agents.agent import (
    Agent,
    Explanation,
    State,
    Transitions,
    discrete_actions,
)
from dopamine_lite.agents.exploration import EpsilonGreedy, Exploration
from dopamine_lite.common.checks import check_flag, check_fraction, check_positive, check_whole
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import require_memory
from dopamine_lite.common.replay.circular_replay import CircularReplay, ReplayBatch
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.actor import Actor
from dopamine_lite.networks.augmentation import Augmentation
from dopamine_lite.networks.export import keras_model, save_savedmodel
from dopamine_lite.networks.heads import Head, QHead
from dopamine_lite.networks.network import Network, require_equal
from dopamine_lite.networks.optimizers import Adam, Optimizer, clipped_by_norm
from dopamine_lite.networks.torsos import NatureCNN, Torso

_ILLEGAL = -1e9  # finite: times a discount of zero it is zero
_RECENT_VALUES = 256  # acting steps whose values are kept for the histogram


class NetworkSeeds(NamedTuple):
    """A seed [2] int32 for each call of a network in a loss, should the head draw its outputs."""

    online: tf.Tensor  # of the online network in s
    target: tf.Tensor  # of the target network in s'
    choice: tf.Tensor  # of the network that chooses a*
    policy: tf.Tensor  # of the target network in s, whose policy Munchausen rewards


class Batch(NamedTuple):
    """What a gradient step learns from: B transitions (s, a, R, d, s'), prepared for the torso."""

    states: tf.Tensor
    actions: tf.Tensor  # [B] int32
    returns: tf.Tensor  # [B] R, the n-step return
    discounts: tf.Tensor  # [B] d, the bootstrap factor
    next_states: tf.Tensor
    seeds: NetworkSeeds
    masks: tf.Tensor | None  # [B, 2, A] bool: the legal actions in s and s'; None: all

    def legal(self, values: tf.Tensor) -> tf.Tensor:
        """Action values [B, A] in s, those of illegal actions too low to count."""
        return values if self.masks is None else tf.where(self.masks[:, 0], values, _ILLEGAL)

    def next_legal(self, values: tf.Tensor) -> tf.Tensor:
        """The same in s'."""
        return values if self.masks is None else tf.where(self.masks[:, 1], values, _ILLEGAL)


class Loss(NamedTuple):
    """What `ValueAgent._loss` says of each transition, [B] each."""

    losses: tf.Tensor  # to be minimised, before importance weights
    values: tf.Tensor  # of the actions taken, for the log
    priorities: tf.Tensor  # not negative; how often prioritized replay should come back to it


class ValueAgent(Agent):
    """Learns action values from replayed transitions. A subclass gives the loss and the head.

    All periods are in agent steps, over all streams together. Nothing is learned during the first
    `min_replay_history` of them.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      torso: the network's body, such as `@NatureCNN` or `@MLP`.
      head: the network's output layers.
      replay: the replay buffer.
      exploration: the strategy that chooses actions by their values.
      optimizer: the optimizer that takes the gradient steps.
      gamma: discount per agent step.
      update_horizon: n, the number of rewards that are summed before bootstrapping.
      min_replay_history: agent steps before the first update.
      update_period: agent steps between updates.
      updates_per_period: gradient steps taken every `update_period` agent steps.
      target_update_period: agent steps between copies of the online network to the target network.
      batch_size: transitions in a gradient step.
      double: let the online network choose the next action and the target network value it.
      max_gradient_norm: gradients with a larger global norm are scaled down to this norm; None: never.
      augmentation: augmentation of the images that an update learns from, such as `@RandomShift`;
        None: no augmentation.
    """

    _head_kind: type[Any] = object  # what `_loss` can read

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        torso: Callable[[Seeds], Torso] = NatureCNN,
        head: Callable[[Seeds, int], Head],
        replay: Callable[..., CircularReplay] = CircularReplay,
        exploration: Callable[..., Exploration] = EpsilonGreedy,
        optimizer: Callable[[], Optimizer] = Adam,
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
    ):
        name = type(self).__name__
        check_fraction(name, gamma=gamma)
        check_whole(
            name,
            update_horizon=update_horizon,
            update_period=update_period,
            updates_per_period=updates_per_period,
            target_update_period=target_update_period,
            batch_size=batch_size,
        )
        # So many steps are stored before the first can be drawn with its n-step successor.
        check_whole(
            name, least=update_horizon * spec.num_envs, min_replay_history=min_replay_history
        )
        check_positive(name, optional=True, max_gradient_norm=max_gradient_norm)
        check_flag(name, double=double)
        self._spec = spec
        actions = discrete_actions(spec, name)
        self._num_actions, self._first_action = int(actions.n), int(actions.start)
        self._min_replay_history = min_replay_history
        self._update_period = update_period
        self._updates_per_period = updates_per_period
        self._target_update_period = target_update_period
        self._batch_size = batch_size
        self._double = double
        self._update_horizon = update_horizon
        self._max_gradient_norm = max_gradient_norm
        self._augmentation: Any = None
        if augmentation:
            self._augmentation = checked_part(name, "augmentation", augmentation(), Augmentation)
        self._num_seeds = len(NetworkSeeds._fields) + (2 if augmentation else 0)
        shape, dtype = spec.observation_space.shape, np.dtype(spec.observation_space.dtype)
        assert shape is not None
        self._frame_dtype = tf.as_dtype(dtype)
        self._replay: Any = replay(
            frame_shape=shape[1:] if spec.stack_size > 1 else shape,
            frame_dtype=dtype,
            stack_size=spec.stack_size,
            num_envs=spec.num_envs,
            generator=seeds.generator("replay"),
            update_horizon=update_horizon,
            gamma=gamma,
            mask_size=self._num_actions if spec.action_masks else None,
        )
        checked_part(name, "replay", self._replay, CircularReplay)
        self._exploration = exploration(
            self._num_actions, min_replay_history, seeds.child("exploration")
        )
        checked_part(name, "exploration", self._exploration, Exploration)

        def network() -> Network:
            own = seeds.child("network")
            return Network(
                checked_part(name, "torso", torso(own.child("torso")), Torso),
                checked_part(name, "head", head(own.child("head"), self._num_actions), Head),
                spec.observation_space,
                spec.stack_size,
            )

        self._online, self._target = network(), network()  # equal: the same seeds
        require_equal(self._online, self._target)
        if not isinstance(self._online.head, self._head_kind):
            raise UserError(
                f"{name}.head makes a {type(self._online.head).__name__}, but {name} learns the "
                f"outputs of a {self._head_kind.__name__}: bind @{self._head_kind.__name__}."
            )
        due = -(-spec.num_envs // update_period)  # at most, in a step of the streams
        sampled = due * updates_per_period * batch_size * int(np.prod(self._replay.sample_shape))
        require_memory(
            sampled * dtype.itemsize + self._online.batch_bytes(batch_size),
            f"An update of {name}",
            f"lower {name}.batch_size or {name}.updates_per_period",
        )
        of_images = getattr(self._augmentation, "of_images", False)
        if of_images and len(self._online.prepared_shape) != 3:
            raise UserError(
                f"{name}.augmentation needs images, but {spec.id} has observations of shape {shape}: "
                f"bind {name}.augmentation = None."
            )
        self._optimizer = checked_part(name, "optimizer", optimizer(), Optimizer)
        self._optimizer.build(self._online.variables)
        self._update_functions: dict[int, Callable[..., tuple[tf.Tensor, ...]]] = {}  # by number
        self._actor = Actor(self._online)
        self._explaining: Any = None  # compiled when it is first asked for
        self._noise = {  # what the head draws when acting, by whether it is in evaluation
            False: seeds.generator("noise", "train")
            if self._online.head.random_in_training
            else None,
            True: seeds.generator("noise", "eval")
            if self._online.head.random_in_evaluation
            else None,
        }
        self._update_seeds = seeds.generator("noise", "update")

        self._steps = 0  # agent steps observed
        self._updates = 0
        self._recent_losses: list[tf.Tensor] = []
        self._recent_values: deque[np.ndarray] = deque(maxlen=_RECENT_VALUES)

    @abc.abstractmethod
    def _loss(self, batch: Batch) -> Loss:
        """The loss of a batch, in a graph under a gradient tape."""

    def _next_actions(self, batch: Batch, next_outputs: tf.Tensor) -> tf.Tensor:
        """a* [B]: the best legal actions in s'.

        By the target network's `next_outputs` or, with `double`, by the online network (van Hasselt
        et al. 2016).
        """
        if self._double:
            next_outputs = self._online(batch.next_states, batch.seeds.choice)
        values = batch.next_legal(self._online.head.values(next_outputs))
        return tf.argmax(values, axis=1, output_type=tf.int32)

    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> np.ndarray:
        def values() -> np.ndarray:
            computed = self._actor(observations, self._noise[evaluate])
            if not evaluate:
                self._recent_values.append(computed)
            return computed if action_masks is None else np.where(action_masks, computed, -np.inf)

        actions = self._exploration.choose(
            len(observations), values, self._steps, evaluate, action_masks
        )
        return actions + self._first_action if self._first_action else actions

    def observe(self, transitions: Transitions, evaluate: bool = False) -> None:
        if evaluate:
            return
        if not self._update_functions:
            self._compile()
        if self._first_action:
            transitions = transitions._replace(actions=transitions.actions - self._first_action)
        self._replay.add(transitions)
        before, self._steps = self._steps, self._steps + len(transitions.actions)
        if self._steps <= self._min_replay_history:
            return
        due = self._steps // self._update_period - before // self._update_period
        if due:
            self._update(due * self._updates_per_period)
        if self._steps // self._target_update_period > before // self._target_update_period:
            self._synchronise()

    @property
    def first_update(self) -> int | None:
        num_envs, period = self._spec.num_envs, self._update_period
        before = self._min_replay_history // num_envs * num_envs  # the last step that may not learn
        due = (before // period + 1) * period
        return -(-due // num_envs) * num_envs

    def metrics(self) -> dict[str, float | np.ndarray]:
        values: dict[str, float | np.ndarray] = dict(self._exploration.metrics(self._steps))
        values |= self._replay.metrics()
        values["learning_rate"] = self._optimizer.learning_rate()
        if self._recent_losses:
            loss, q = np.mean([recent.numpy() for recent in self._recent_losses], axis=0)
            values |= {"loss": float(loss), "q_mean": float(q)}
        if self._recent_values:
            values["q_values"] = np.concatenate(self._recent_values)
        self._recent_losses.clear()
        self._recent_values.clear()
        return values

    def get_state(self) -> State:
        return {
            "steps": self._steps,
            "updates": self._updates,
            "online": self._online.get_state(),
            "target": self._target.get_state(),
            "optimizer": self._optimizer.get_state(),
            "exploration": self._exploration.get_state(),
            "noise": [generator_state(generator) for generator in self._generators()],
            "replay": self._replay.get_state(),
        }

    def set_state(self, state: State) -> None:
        self._steps = state["steps"]
        self._updates = state["updates"]
        self._online.set_state(state["online"])
        self._target.set_state(state["target"])
        self._optimizer.set_state(state["optimizer"])
        self._exploration.set_state(state["exploration"])
        for generator, saved in zip(self._generators(), state["noise"], strict=True):
            restore_generator(generator, saved)
        if state["replay"]["slots"] is not None:
            self._replay.set_state(state["replay"])
        self._actor.load(self._actor.parameters())

    def start_from(self, state: State) -> None:
        for network in (self._online, self._target):
            network.set_state(state["online"])
        self._actor.load(self._actor.parameters())

    def export(self, path: Path, as_keras: bool) -> None:
        """As `Agent.export`: action values, and in a SavedModel the greedy actions besides."""
        space, network = self._spec.observation_space, self._online
        if as_keras:
            if not isinstance(network.head, QHead):
                raise UserError(
                    f"The outputs of a {type(network.head).__name__} are not action values: export it "
                    "with --format savedmodel."
                )
            keras_model(network).save(path.with_suffix(".keras"))
            path.with_suffix(".keras").replace(path)
            return
        seed = tf.constant([0, 0]) if network.head.random_in_evaluation else None

        def policy(observations: tf.Tensor) -> dict[str, tf.Tensor]:
            values = network.head.values(network(network.prepare(observations), seed))
            return {"actions": tf.argmax(values, axis=1) + self._first_action, "values": values}

        save_savedmodel(policy, network.variables, space, path)

    def explain(
        self, observations: np.ndarray, action_masks: np.ndarray | None = None
    ) -> Explanation:
        """As `Agent.explain`, without noise; the fractions of IQN's quantiles are even, not drawn."""
        if self._explaining is None:
            self._explaining = self._compile_explanation()
        found = self._explaining(tf.constant(observations))
        return Explanation(**{name: tensor.numpy() for name, tensor in found.items()})

    def _compile_explanation(self) -> Callable[..., dict[str, tf.Tensor]]:
        """What `explain` says of observations, by the fields' names."""
        network = self._online
        prepare = tf.function(network.prepare, jit_compile=True, autograph=False)

        def explain(observations: tf.Tensor) -> dict[str, tf.Tensor]:
            return self._explained(network.features(prepare(observations)))

        return tf.function(
            explain, input_signature=[network.input], autograph=False
        ).get_concrete_function()

    def _explained(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        head = self._online.head
        if hasattr(head, "explained_outputs"):
            outputs = head.explained_outputs(features)
        else:
            seed = tf.constant([0, 0]) if head.random_in_evaluation else None  # always the same
            outputs = head(features, seed)
        further = head.distributions(outputs) if hasattr(head, "distributions") else {}
        return {"action_values": head.values(outputs), **further}

    def describe(self) -> dict[str, Any]:
        return {
            "agent": type(self).__name__,
            "torso": type(self._online.torso).__name__,
            **self._online.head.describe(),
            **self._replay.describe(),
            "exploration": type(self._exploration).__name__,
            "optimizer": type(self._optimizer).__name__,
            "acting": self._actor.kind,
            "augmentation": type(self._augmentation).__name__ if self._augmentation else None,
            "parameters": self._online.num_parameters,
            "double": self._double,
            "update_horizon": self._update_horizon,
            "memory_bytes": self._replay.memory_bytes,
        }

    def _generators(self) -> list[np.random.Generator]:
        return [generator for generator in self._noise.values() if generator] + [self._update_seeds]

    def _update(self, num_updates: int) -> None:
        batch: ReplayBatch = self._replay.sample(num_updates, self._batch_size)
        columns = [batch.actions, batch.returns, batch.discounts]
        if batch.weights is not None:
            columns.append(batch.weights)
        scalars = np.stack(columns, axis=-1, dtype=np.float32)
        size = (num_updates, self._num_seeds, 2)
        seeds = self._update_seeds.integers(2**31, size=size, dtype=np.int32)
        update = self._update_function(num_updates)
        inputs = [batch.frames, scalars, seeds]
        if batch.masks is not None:
            inputs.append(batch.masks)
        losses, parameters, priorities = update(*map(tf.constant, inputs))
        self._recent_losses.append(losses)
        self._actor.load(parameters)
        if batch.weights is not None:
            self._replay.set_priorities(batch, priorities.numpy())
        self._updates += num_updates

    def _compile(self) -> None:
        """Compiles, in the first step, all that training calls: from the source that was started, which
        may be edited before the first of `min_replay_history` steps learns or acts by values.

        A step of the streams can have as many updates due as the period fits into it.
        """
        self._actor.compile()
        self._synchronise = tf.function(
            self._assign_target, autograph=False
        ).get_concrete_function()
        fewest, rest = divmod(self._spec.num_envs, self._update_period)
        for due in {fewest, fewest + bool(rest)} - {0}:
            self._update_function(due * self._updates_per_period)

    def _update_function(self, num_updates: int) -> Callable[..., tuple[tf.Tensor, ...]]:
        if num_updates not in self._update_functions:
            self._update_functions[num_updates] = self._compile_update(num_updates)
        return self._update_functions[num_updates]

    def _compile_update(self, num_updates: int) -> Callable[..., tuple[tf.Tensor, ...]]:
        """`num_updates` gradient steps in one call: frames [K, B, F, ...], scalars [K, B, 3 or 4]."""
        compile_all = self._online.torso.compile_update
        prepare = tf.function(self._prepare_batch, jit_compile=True, autograph=False)
        prioritized = self._replay.prioritized

        def update(
            frames: tf.Tensor, scalars: tf.Tensor, seeds: tf.Tensor, *masks: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            total = tf.zeros([2])
            priorities = tf.TensorArray(tf.float32, num_updates if prioritized else 0)
            # Written out, more than two would take as many times as long to compile.
            for index in range(num_updates) if num_updates <= 2 else tf.range(num_updates):
                means, errors = self._gradient_step(
                    prepare(frames[index]),
                    scalars[index],
                    seeds[index],
                    *(mask[index] for mask in masks),
                )
                total += means
                if prioritized:
                    priorities = priorities.write(index, errors)
            stacked = priorities.stack() if prioritized else tf.zeros([0])
            return total / num_updates, self._actor.parameters(), stacked

        batch = [num_updates, self._batch_size]
        return tf.function(
            update,
            jit_compile=compile_all,
            input_signature=[
                tf.TensorSpec([*batch, *self._replay.sample_shape], self._frame_dtype),
                tf.TensorSpec([*batch, 4 if prioritized else 3], tf.float32),
                tf.TensorSpec([num_updates, self._num_seeds, 2], tf.int32),
                *[tf.TensorSpec([*batch, 2, self._num_actions], tf.bool)] * self._spec.action_masks,
            ],
        ).get_concrete_function()

    def _prepare_batch(self, frames: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Prepared s and s' from the frames [B, F, ...] of a `ReplayBatch`."""
        stack = self._spec.stack_size
        if stack == 1:
            return self._online.prepare(frames[:, 0]), self._online.prepare(frames[:, 1])
        return self._online.prepare(frames[:, :stack]), self._online.prepare(frames[:, -stack:])

    @tf.autograph.experimental.do_not_convert  # rewriting takes longer than tracing
    def _gradient_step(
        self,
        prepared: tuple[tf.Tensor, tf.Tensor],
        scalars: tf.Tensor,
        seeds: tf.Tensor,
        masks: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One step on one batch: the mean loss and the mean value of its actions [2], priorities [B]."""
        states, next_states = prepared
        seeds_left = tf.unstack(seeds)
        if self._augmentation is not None:
            states = self._augmentation(states, seeds_left.pop())
            next_states = self._augmentation(next_states, seeds_left.pop())
        actions, returns, discounts, *weights = tf.unstack(scalars, axis=1)
        actions = tf.cast(actions, tf.int32)
        network_seeds = NetworkSeeds(*seeds_left)
        batch = Batch(states, actions, returns, discounts, next_states, network_seeds, masks)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._online.variables)
            loss = self._loss(batch)
            # Importance weights belong inside the gradient (Schaul et al. 2016, algorithm 1).
            weighted = tf.reduce_mean(weights[0] * loss.losses if weights else loss.losses)
        gradients = tape.gradient(weighted, self._online.variables)
        self._optimizer.apply(clipped_by_norm(gradients, self._max_gradient_norm))
        means = tf.stack([tf.reduce_mean(loss.losses), tf.reduce_mean(loss.values)])
        return means, loss.priorities

    def _assign_target(self) -> None:
        for target, online in zip(self._target.variables, self._online.variables, strict=True):
            target.assign(online)
