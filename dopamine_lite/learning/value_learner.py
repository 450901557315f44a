"""Learns action values from replayed transitions: K gradient steps in one compiled call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.common.types import State
from dopamine_lite.learning.data_parallel import DataParallel
from dopamine_lite.learning.learner import Learned
from dopamine_lite.networks.augmentation import Augmentation
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.optimizers import Optimizer, clipped_by_norm
from dopamine_lite.networks.torsos import compiles_update
from dopamine_lite.replay.replay import Sample, SampleSpec

_ILLEGAL = -1e9  # finite, so that a discount of zero makes it zero


class NetworkSeeds(NamedTuple):
    """A seed [2] int32 for each call of a network in a loss, for heads that draw their outputs."""

    online: tf.Tensor  # of the online network in s
    target: tf.Tensor  # of the target network in s'
    choice: tf.Tensor  # of the network that chooses a*
    policy: tf.Tensor  # of the target network in s, for Munchausen's policy


class Batch(NamedTuple):
    """The input of a gradient step: B transitions (s, a, R, d, s'), prepared for the torso."""

    states: tf.Tensor
    actions: tf.Tensor  # [B] int32
    returns: tf.Tensor  # [B] R, the n-step return
    discounts: tf.Tensor  # [B] d, the bootstrap factor
    next_states: tf.Tensor
    seeds: NetworkSeeds
    masks: tf.Tensor | None  # [B, 2, A] bool: the legal actions in s and s'; None: all

    def legal(self, values: tf.Tensor) -> tf.Tensor:
        """Action values [B, A] in s; the values of illegal actions are too low to count."""
        return values if self.masks is None else tf.where(self.masks[:, 0], values, _ILLEGAL)

    def next_legal(self, values: tf.Tensor) -> tf.Tensor:
        """Action values [B, A] in s', as in `legal`."""
        return values if self.masks is None else tf.where(self.masks[:, 1], values, _ILLEGAL)


class Loss(NamedTuple):
    """A loss's results for each transition, [B] each."""

    losses: tf.Tensor  # to be minimized, before importance weights
    values: tf.Tensor  # of the actions taken, for the log
    priorities: tf.Tensor  # not negative; prioritized replay draws the transition accordingly


class ValueLearner:
    """Minimizes a loss of an online network. A target network follows it.

    Args:
      online: the network that learns.
      target: a network with the same parameters; `synchronize` copies the online network to it.
      loss: the loss of a batch, called with (online, target, batch) in a graph, under a gradient tape.
      optimizer: the optimizer that takes the gradient steps.
      sample: the content of the samples.
      seeds: the agent's node in the tree of seeds, for the networks' random draws in learning.
      parameters: makes `Learned.parameters`, in the graph.
      max_gradient_norm: gradients with a larger global norm are scaled down to this norm; None: never.
      augmentation: augmentation of the images; None: no augmentation.
    """

    metric_names: Sequence[str] = ("loss", "q_mean")
    shares_batches = True  # among several devices

    def __init__(
        self,
        online: Network,
        target: Network,
        loss: Callable[[Network, Network, Batch], Loss],
        optimizer: Optimizer,
        sample: SampleSpec,
        seeds: Seeds,
        *,
        parameters: Callable[[], tf.Tensor],
        max_gradient_norm: float | None = None,
        augmentation: Augmentation | None = None,
    ):
        self.online, self.target = online, target
        self.optimizer = optimizer
        self.updates = 0  # gradient steps taken
        self._loss = loss
        self._sample = sample
        self._parameters = parameters
        self._max_gradient_norm = max_gradient_norm
        self.augmentation = augmentation
        drawing = [online.head] if online.head.random_in_training else []
        self._devices = DataParallel(
            sample.batch_size, drawing + ([augmentation] if augmentation else [])
        )
        self._num_seeds = len(NetworkSeeds._fields) + (2 if augmentation else 0)
        self._generator = seeds.generator("noise", "update")  # draws seeds for the graph
        self._functions: dict[int, Callable[..., tuple[tf.Tensor, ...]]] = {}  # the key: K
        self._synchronize: Callable[[], Any] | None = None
        optimizer.build(online.variables)

    def learn(self, sample: Sample) -> Learned[tf.Tensor]:
        """Takes K gradient steps, one for each batch of the sample. The metrics are means over these."""
        num_updates = len(sample.actions)
        columns = [sample.actions, sample.returns, sample.discounts]
        if sample.weights is not None:
            columns.append(sample.weights)
        scalars = np.stack(columns, axis=-1, dtype=np.float32)
        size = (num_updates, self._num_seeds, 2)
        seeds = self._generator.integers(2**31, size=size, dtype=np.int32)
        inputs = [sample.frames, scalars, seeds]
        if sample.masks is not None:
            inputs.append(sample.masks)
        metrics, parameters, priorities = self._function(num_updates)(*map(tf.constant, inputs))
        self.updates += num_updates
        return Learned(parameters, metrics, priorities if sample.weights is not None else None)

    def synchronize(self) -> None:
        """Copies the online network's parameters to the target network."""
        self.compile()
        assert self._synchronize is not None
        self._synchronize()

    def compile(self, *numbers: int) -> None:
        """Compiles `synchronize`, and `learn` for samples with each of these numbers of batches."""
        if self._synchronize is None:
            self._synchronize = tf.function(
                self._assign_target, autograph=False
            ).get_concrete_function()
        for num_updates in numbers:
            self._function(num_updates)

    def get_state(self) -> State:
        return {
            "updates": self.updates,
            "online": self.online.get_state(),
            "target": self.target.get_state(),
            "optimizer": self.optimizer.get_state(),
            "generator": generator_state(self._generator),
        }

    def set_state(self, state: State) -> None:
        self.updates = state["updates"]
        self.online.set_state(state["online"])
        self.target.set_state(state["target"])
        self.optimizer.set_state(state["optimizer"])
        restore_generator(self._generator, state["generator"])

    def start_from(self, weights: State) -> None:
        """Takes the parameters of another online network."""
        for network in (self.online, self.target):
            network.set_state(weights)

    def _function(self, num_updates: int) -> Callable[..., tuple[tf.Tensor, ...]]:
        if num_updates not in self._functions:
            self._functions[num_updates] = self._compile(num_updates)
        return self._functions[num_updates]

    def _compile(self, num_updates: int) -> Callable[..., tuple[tf.Tensor, ...]]:
        """K gradient steps in one call: frames [K, B, F, ...], scalars [K, B, 3 or 4]."""
        pays, devices = compiles_update(self.online.torso), self._devices
        prepare = tf.function(self._prepare_batch, jit_compile=True, autograph=False)
        gradients_of = devices.compiled_apart(self._gradients, pays)
        weighted = self._sample.weighted

        @tf.autograph.experimental.do_not_convert  # rewriting takes longer than tracing
        def step(
            frames: tf.Tensor, scalars: tf.Tensor, *rest: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            gradients, means, errors = gradients_of(prepare(frames), scalars, *rest)
            averaged = devices.averaged(gradients)
            self.optimizer.apply(clipped_by_norm(averaged, self._max_gradient_norm))
            return means, errors

        def update(
            frames: tf.Tensor, scalars: tf.Tensor, seeds: tf.Tensor, *masks: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            total = tf.zeros([2])
            priorities = tf.TensorArray(tf.float32, num_updates if weighted else 0)
            # Unrolled, more than two steps would take that many times longer to compile.
            for index in range(num_updates) if num_updates <= 2 else tf.range(num_updates):
                rows = [frames[index], scalars[index], *(mask[index] for mask in masks)]
                means, errors = devices.run(step, rows, [seeds[index]])
                total += means
                if weighted:
                    priorities = priorities.write(index, errors)
            stacked = priorities.stack() if weighted else tf.zeros([0])
            return total / num_updates, self._parameters(), stacked

        spec, batch = self._sample, [num_updates, self._sample.batch_size]
        masks = (
            [] if spec.mask_size is None else [tf.TensorSpec([*batch, 2, spec.mask_size], tf.bool)]
        )
        return tf.function(
            update,
            jit_compile=devices.compiled_together(pays),
            input_signature=[
                tf.TensorSpec([*batch, *spec.frames_shape], tf.as_dtype(spec.frame_dtype)),
                tf.TensorSpec([*batch, 4 if weighted else 3], tf.float32),
                tf.TensorSpec([num_updates, self._num_seeds, 2], tf.int32),
                *masks,
            ],
        ).get_concrete_function()

    def _prepare_batch(self, frames: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Prepared s and s' from the frames [B, F, ...] of a `Sample`."""
        stack = self._sample.stack_size
        if stack == 1:
            return self.online.prepare(frames[:, 0]), self.online.prepare(frames[:, 1])
        return self.online.prepare(frames[:, :stack]), self.online.prepare(frames[:, -stack:])

    @tf.autograph.experimental.do_not_convert  # rewriting takes longer than tracing
    def _gradients(
        self,
        prepared: tuple[tf.Tensor, tf.Tensor],
        scalars: tf.Tensor,
        *masks_and_seeds: tf.Tensor,
    ) -> tuple[Sequence[tf.Tensor], tf.Tensor, tf.Tensor]:
        """The results of one batch: gradients, mean loss and action value [2], priorities [B]."""
        states, next_states = prepared
        *masks, seeds = masks_and_seeds
        seeds_left = tf.unstack(seeds)
        if self.augmentation is not None:
            states = self.augmentation(states, seeds_left.pop())
            next_states = self.augmentation(next_states, seeds_left.pop())
        actions, returns, discounts, *weights = tf.unstack(scalars, axis=1)
        actions = tf.cast(actions, tf.int32)
        network_seeds = NetworkSeeds(*seeds_left)
        batch = Batch(
            states, actions, returns, discounts, next_states, network_seeds, *(masks or [None])
        )
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.online.variables)
            loss = self._loss(self.online, self.target, batch)
            # Importance weights belong inside the gradient (Schaul et al. 2016, algorithm 1).
            weighted = tf.reduce_mean(weights[0] * loss.losses if weights else loss.losses)
        gradients = tape.gradient(weighted, self.online.variables)
        means = tf.stack([tf.reduce_mean(loss.losses), tf.reduce_mean(loss.values)])
        return gradients, means, loss.priorities

    def _assign_target(self) -> None:
        for target, online in zip(self.target.variables, self.online.variables, strict=True):
            target.assign(online)
