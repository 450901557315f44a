"""PQN's learner (Gallici et al. 2025): all passes over one rollout in one compiled call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dopamine_lite.common.checks import check_fraction, check_positive, check_whole
from dopamine_lite.common.schedules import share_left
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.common.types import State
from dopamine_lite.learning.data_parallel import DataParallel
from dopamine_lite.learning.learner import Learned
from dopamine_lite.learning.minibatches import drawn_minibatches, require_even_minibatches
from dopamine_lite.losses import td
from dopamine_lite.losses.q_lambda import q_lambda_targets
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.optimizers import Optimizer, clipped_by_norm
from dopamine_lite.networks.torsos import compiles_update
from dopamine_lite.replay.rollout import ValueRollout


class Samples(NamedTuple):
    """The input of a gradient step: B of the rollout's T x N steps."""

    observations: tf.Tensor  # [B, ...]
    actions: tf.Tensor  # [B] int32
    targets: tf.Tensor  # [B] the lambda-returns


class PQNLearner:
    """Regresses Q(s, a) on the lambda-returns of rollouts (Gallici et al. 2025, algorithm 1).

    Args:
      owner: the agent's name, for messages.
      network: the network that learns.
      optimizer: the optimizer that takes the gradient steps.
      seeds: the agent's node in the tree of seeds.
      grid: (T, N), the shape of a rollout.
      parameters: makes `Learned.parameters`, in the graph.
      gamma: the discount per agent step.
      q_lambda: lambda of the returns Q(lambda); 0: one-step targets, 1: whole returns.
      num_epochs: the passes over each rollout.
      num_minibatches: the minibatches in a pass, with one gradient step each.
      learning_rate_decay_period: the agent steps in which the learning rate falls linearly to zero,
        rollout by rollout; None: no such decay.
      max_gradient_norm: gradients with a larger global norm are scaled down to this norm; None: never.
    """

    metric_names: Sequence[str] = ("loss", "q_mean", "gradient_norm")
    shares_batches = True  # among several devices

    def __init__(
        self,
        owner: str,
        network: Network,
        optimizer: Optimizer,
        seeds: Seeds,
        grid: tuple[int, int],
        parameters: Callable[[], tf.Tensor],
        *,
        gamma: float = 0.99,
        q_lambda: float = 0.65,
        num_epochs: int = 2,
        num_minibatches: int = 32,
        learning_rate_decay_period: int | None = None,
        max_gradient_norm: float | None = 10.0,
    ):
        check_fraction(owner, gamma=gamma, q_lambda=q_lambda)
        check_whole(owner, num_epochs=num_epochs, num_minibatches=num_minibatches)
        check_whole(owner, optional=True, learning_rate_decay_period=learning_rate_decay_period)
        check_positive(owner, optional=True, max_gradient_norm=max_gradient_norm)
        require_even_minibatches(owner, grid, num_minibatches)
        self.network = network
        self.optimizer = optimizer
        self.num_minibatches = num_minibatches
        self._grid = grid
        self._parameters = parameters
        self._gamma, self._q_lambda = gamma, q_lambda
        self._num_epochs = num_epochs
        self._learning_rate_decay_period = learning_rate_decay_period
        self._max_gradient_norm = max_gradient_norm
        self._order = seeds.generator("minibatches")
        self._noise = seeds.generator("noise", "update")  # draws seeds for the graph
        self._devices = DataParallel(
            grid[0] * grid[1] // num_minibatches,
            [network.head] if network.head.random_in_training else [],
        )
        self._prepare = tf.function(network.prepare, jit_compile=True, autograph=False)
        self._gradients_of = self._devices.compiled_apart(
            self._gradients, compiles_update(network.torso)
        )
        self._update: Callable[..., tuple[tf.Tensor, ...]] | None = None
        optimizer.build(network.variables)

    def learn(self, rollout: ValueRollout, step: int) -> Learned[tf.Tensor]:
        """Learns from a rollout that began after `step` agent steps."""
        self.compile()
        assert self._update is not None
        size, minibatches = rollout.rewards.size, (self._num_epochs, self.num_minibatches)
        inputs = (
            rollout.observations.reshape(size, *rollout.observations.shape[2:]),
            rollout.actions.reshape(size),
            np.stack([rollout.rewards, rollout.next_values()]),
            np.stack([rollout.terminated, rollout.truncated]),
            drawn_minibatches(self._order, size, *minibatches),
            self._noise.integers(2**31, size=(*minibatches, 2), dtype=np.int32),
            np.float32(share_left(step, self._learning_rate_decay_period)),
        )
        return Learned(*self._update(*map(tf.constant, inputs)))

    def learning_rate(self, step: int) -> float:
        """The learning rate after `step` agent steps."""
        return self.optimizer.learning_rate() * share_left(step, self._learning_rate_decay_period)

    def compile(self) -> None:
        """Compiles what `learn` calls, unless it is compiled already."""
        if self._update is None:
            self._update = self._compiled()

    def get_state(self) -> State:
        return {
            "online": self.network.get_state(),
            "optimizer": self.optimizer.get_state(),
            "order": generator_state(self._order),
            "generator": generator_state(self._noise),
        }

    def set_state(self, state: State) -> None:
        self.network.set_state(state["online"])
        self.optimizer.set_state(state["optimizer"])
        restore_generator(self._order, state["order"])
        restore_generator(self._noise, state["generator"])

    def start_from(self, weights: State) -> None:
        """Takes the parameters of another network."""
        self.network.set_state(weights)

    def _compiled(self) -> Callable[..., tuple[tf.Tensor, ...]]:
        """All epochs and minibatches of one rollout in one call."""
        network, size = self.network, int(np.prod(self._grid))

        def update(
            observations: tf.Tensor,
            actions: tf.Tensor,
            columns: tf.Tensor,
            ends: tf.Tensor,
            orders: tf.Tensor,
            seeds: tf.Tensor,
            rate_left: tf.Tensor,
        ) -> tuple[tf.Tensor, ...]:
            rewards, next_values = tf.unstack(columns)
            targets = q_lambda_targets(
                rewards, next_values, ends[0], ends[1], self._gamma, self._q_lambda
            )
            whole = Samples(observations, actions, tf.reshape(targets, [size]))
            sums = tf.zeros([len(self.metric_names)])
            for epoch in tf.range(self._num_epochs):
                for index in tf.range(self.num_minibatches):
                    rows = orders[epoch, index]
                    samples = Samples(*(tf.gather(column, rows) for column in whole))
                    sums += self._gradient_step(samples, seeds[epoch, index], rate_left)
            return self._parameters(), sums / (self._num_epochs * self.num_minibatches)

        minibatches = [self._num_epochs, self.num_minibatches]
        return tf.function(
            update,
            jit_compile=self._devices.compiled_together(compiles_update(network.torso)),
            input_signature=[
                tf.TensorSpec([size, *network.input.shape[1:]], network.input.dtype),
                tf.TensorSpec([size], tf.int32),
                tf.TensorSpec([2, *self._grid], tf.float32),
                tf.TensorSpec([2, *self._grid], tf.bool),
                tf.TensorSpec([*minibatches, size // self.num_minibatches], tf.int32),
                tf.TensorSpec([*minibatches, 2], tf.int32),
                tf.TensorSpec([], tf.float32),
            ],
        ).get_concrete_function()

    @tf.autograph.experimental.do_not_convert  # rewriting takes longer than tracing
    def _gradient_step(self, samples: Samples, seed: tf.Tensor, rate_left: tf.Tensor) -> tf.Tensor:
        """Learns from a minibatch with this share of the learning rate; returns the metrics [M]."""
        return self._devices.run(self._step, samples, (seed, rate_left))[0]

    @tf.autograph.experimental.do_not_convert
    def _step(self, *columns_seed_and_rate: tf.Tensor) -> tuple[tf.Tensor]:
        """The part of a `_gradient_step` that one of several devices takes."""
        *columns, seed, rate_left = columns_seed_and_rate
        samples = Samples(*columns)
        samples = samples._replace(observations=self._prepare(samples.observations))
        gradients, means = self._gradients_of(samples, seed)
        averaged = self._devices.averaged(gradients)
        self.optimizer.apply(clipped_by_norm(averaged, self._max_gradient_norm), rate_left)
        return (tf.stack([*means, tf.linalg.global_norm(averaged)]),)

    def _gradients(
        self, samples: Samples, seed: tf.Tensor
    ) -> tuple[Sequence[tf.Tensor], Sequence[tf.Tensor]]:
        """Gradients, mean loss and mean action value of prepared samples."""
        variables = self.network.variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            values = td.select(self.network(samples.observations, seed), samples.actions)
            loss = 0.5 * tf.reduce_mean(td.squared(values - samples.targets))
        return tape.gradient(loss, variables), (loss, tf.reduce_mean(values))
