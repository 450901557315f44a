"""PPO's learner (Schulman et al. 2017): all passes over one rollout in one compiled call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dopamine_lite.common.checks import (
    check_flag,
    check_fraction,
    check_not_negative,
    check_positive,
    check_whole,
)
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.schedules import share_left
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.common.types import State
from dopamine_lite.learning.data_parallel import DataParallel
from dopamine_lite.learning.learner import Learned
from dopamine_lite.learning.minibatches import drawn_minibatches, require_even_minibatches
from dopamine_lite.learning.policy_parts import PolicyParts
from dopamine_lite.losses import policy_gradient
from dopamine_lite.networks.actor_critic import PolicyParameters
from dopamine_lite.networks.normalization import RewardNormalizer
from dopamine_lite.networks.optimizers import clipped_by_norm
from dopamine_lite.networks.torsos import compiles_update
from dopamine_lite.replay.rollout import Rollout

_SURROGATES = ("clip", "kl")
_MEANS = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")  # of an update's last pass


class Samples(NamedTuple):
    """The input of a gradient step: B of the rollout's T x N steps."""

    observations: tf.Tensor  # [B, ...]
    actions: tf.Tensor  # [B, D]
    old_outputs: tf.Tensor  # [B, P]
    old_logs: tf.Tensor  # [B] log pi_old(a|s)
    old_values: tf.Tensor  # [B]
    advantages: tf.Tensor  # [B]
    returns: tf.Tensor  # [B]


class PPOLearner:
    """Maximizes the surrogate of PPO over rollouts (Schulman et al. 2017, eq. 9).

    Args:
      owner: the agent's name, for messages.
      parts: the network, and what it is trained with.
      seeds: the agent's node in the tree of seeds.
      grid: (T, N), the shape of a rollout.
      gamma: the discount per agent step.
      gae_lambda: lambda of generalized advantage estimation; 0: one-step advantages, 1: whole returns.
      num_epochs: the passes over each rollout.
      num_minibatches: the minibatches in a pass, with one gradient step each.
      surrogate: "clip" (eq. 7), or "kl" for a penalty on the KL divergence from the old policy, with an
        adaptive coefficient (eq. 8).
      clip: epsilon of eq. 7: how far the probability ratio may move from 1 before it is clipped.
      clip_decay_period: the agent steps in which `clip` falls linearly to zero; None: it is constant.
      learning_rate_decay_period: the agent steps in which the learning rate falls linearly to zero,
        rollout by rollout; None: no such decay.
      adaptive_kl_target: the KL divergence, in nats, that the surrogate "kl" aims at.
      initial_kl_coefficient: beta of eq. 8, the weight of the KL penalty, at the start.
      target_kl: if the mean KL divergence of a pass, in nats, is above this, it is the last pass over
        the rollout; None: all passes are made.
      value_clip: how far, in units of return, the value may move from the old value before the value
        loss is clipped; None: the value loss is not clipped.
      value_coefficient: c1 of eq. 9, the weight of the value loss.
      entropy_coefficient: c2 of eq. 9, the weight of the policy's entropy.
      normalize_advantages: scale advantages to mean 0 and standard deviation 1 in each minibatch.
      normalize_rewards: divide rewards by the running standard deviation of discounted returns.
      max_gradient_norm: gradients with a larger global norm are scaled down to this norm; None: never.
    """

    metric_names: Sequence[str] = (*_MEANS, "explained_variance", "passes")
    shares_batches = True  # among several devices

    def __init__(
        self,
        owner: str,
        parts: PolicyParts,
        seeds: Seeds,
        grid: tuple[int, int],
        *,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        num_epochs: int = 4,
        num_minibatches: int = 4,
        surrogate: str = "clip",
        clip: float = 0.2,
        clip_decay_period: int | None = None,
        learning_rate_decay_period: int | None = None,
        adaptive_kl_target: float = 0.01,
        initial_kl_coefficient: float = 1.0,
        target_kl: float | None = None,
        value_clip: float | None = None,
        value_coefficient: float = 0.5,
        entropy_coefficient: float = 0.0,
        normalize_advantages: bool = True,
        normalize_rewards: bool = False,
        max_gradient_norm: float | None = 0.5,
    ):
        if surrogate not in _SURROGATES:
            raise UserError(
                f"{owner}.surrogate is {surrogate!r}: choose one of {', '.join(_SURROGATES)}."
            )
        check_flag(
            owner, normalize_advantages=normalize_advantages, normalize_rewards=normalize_rewards
        )
        check_fraction(owner, gamma=gamma, gae_lambda=gae_lambda)
        check_whole(owner, num_epochs=num_epochs, num_minibatches=num_minibatches)
        check_whole(
            owner,
            optional=True,
            clip_decay_period=clip_decay_period,
            learning_rate_decay_period=learning_rate_decay_period,
        )
        check_positive(
            owner,
            clip=clip,
            adaptive_kl_target=adaptive_kl_target,
            initial_kl_coefficient=initial_kl_coefficient,
        )
        check_positive(
            owner,
            optional=True,
            target_kl=target_kl,
            value_clip=value_clip,
            max_gradient_norm=max_gradient_norm,
        )
        check_not_negative(
            owner, value_coefficient=value_coefficient, entropy_coefficient=entropy_coefficient
        )
        require_even_minibatches(owner, grid, num_minibatches)
        if normalize_advantages and grid[0] * grid[1] == num_minibatches:
            raise UserError(
                "Advantages cannot be normalized in minibatches of one step: lower "
                f"{owner}.num_minibatches or set {owner}.normalize_advantages = False."
            )
        self.parts = parts
        self.surrogate = surrogate
        self.target_kl = target_kl
        self.value_clip = value_clip
        self.normalizes_advantages = normalize_advantages
        self.reward_normalizer = RewardNormalizer(grid[1], gamma) if normalize_rewards else None
        self._grid = grid
        self._gamma, self._gae_lambda = gamma, gae_lambda
        self._num_epochs, self._num_minibatches = num_epochs, num_minibatches
        self._clip, self._clip_decay_period = clip, clip_decay_period
        self._learning_rate_decay_period = learning_rate_decay_period
        self._adaptive_kl_target = adaptive_kl_target
        self._kl_coefficient = tf.Variable(initial_kl_coefficient, dtype=tf.float32)
        self._value_coefficient = value_coefficient
        self._entropy_coefficient = entropy_coefficient
        self._max_gradient_norm = max_gradient_norm
        self._devices = DataParallel(grid[0] * grid[1] // num_minibatches)
        self._order = seeds.generator("minibatches")
        self._prepare = tf.function(parts.network.prepare, jit_compile=True, autograph=False)
        self._gradients_of = self._devices.compiled_apart(
            self._gradients, compiles_update(parts.network.torso)
        )
        self._update: Callable[..., tuple[tf.Tensor, ...]] | None = None
        parts.optimizer.build(parts.network.variables)

    @property
    def num_minibatches(self) -> int:
        return self._num_minibatches

    def learn(self, rollout: Rollout, step: int) -> Learned[PolicyParameters]:
        """Learns from a rollout that began after `step` agent steps."""
        self.compile()
        assert self._update is not None
        rewards, ended = rollout.rewards, rollout.terminated | rollout.truncated
        if self.reward_normalizer:
            rewards = self.reward_normalizer(rewards, ended)
        size = int(np.prod(self._grid))
        observations = rollout.observations.reshape(size, *rollout.observations.shape[2:])
        inputs = (
            self.parts.normalized(observations),
            rollout.actions.reshape(size, -1),
            rollout.outputs.reshape(size, -1),
            np.stack([rewards, rollout.values, rollout.next_values()]),
            np.stack([rollout.terminated, rollout.truncated]),
            drawn_minibatches(self._order, size, self._num_epochs, self._num_minibatches),
            np.float32(self._clip * share_left(step, self._clip_decay_period)),
            np.float32(share_left(step, self._learning_rate_decay_period)),
        )
        parameters, metrics = self._update(*map(tf.constant, inputs))
        if self.parts.normalizer:
            self.parts.normalizer.moments.update(observations)
        return Learned(PolicyParameters.of(parameters, self.parts.normalizer), metrics)

    def rates(self, step: int) -> dict[str, float]:
        """The decaying and adaptive numbers after `step` agent steps, for the log."""
        rate = self.parts.optimizer.learning_rate() * share_left(
            step, self._learning_rate_decay_period
        )
        if self.surrogate == "kl":
            return {"learning_rate": rate, "kl_coefficient": float(self._kl_coefficient.numpy())}
        return {
            "learning_rate": rate,
            "clip": self._clip * share_left(step, self._clip_decay_period),
        }

    def get_state(self) -> State:
        return self.parts.get_state() | {
            "order": generator_state(self._order),
            "kl_coefficient": float(self._kl_coefficient.numpy()),
            "rewards": self.reward_normalizer.get_state() if self.reward_normalizer else None,
        }

    def set_state(self, state: State) -> None:
        self.parts.set_state(state)
        restore_generator(self._order, state["order"])
        self._kl_coefficient.assign(state["kl_coefficient"])
        if self.reward_normalizer:
            self.reward_normalizer.set_state(state["rewards"])

    def compile(self) -> None:
        """Compiles what `learn` calls, unless it is compiled already."""
        if self._update is None:
            self._update = self._compiled()

    def _compiled(self) -> Callable[..., tuple[tf.Tensor, ...]]:
        """All epochs and minibatches of one rollout in one call."""
        network, policy, size = self.parts.network, self.parts.policy, int(np.prod(self._grid))
        prepare = self._prepare

        def update(
            observations: tf.Tensor,
            actions: tf.Tensor,
            outputs: tf.Tensor,
            columns: tf.Tensor,
            ends: tf.Tensor,
            orders: tf.Tensor,
            clip: tf.Tensor,
            rate_left: tf.Tensor,
        ) -> tuple[tf.Tensor, ...]:
            rewards, values, next_values = tf.unstack(columns)
            advantages = policy_gradient.gae(
                rewards, values, next_values, ends[0], ends[1], self._gamma, self._gae_lambda
            )
            returns = advantages + values
            old_logs = policy.log_probabilities(outputs, actions)
            flat = [tf.reshape(column, [size]) for column in (values, advantages, returns)]
            whole = Samples(observations, actions, outputs, old_logs, *flat)
            kl = _MEANS.index("kl")
            means = tf.zeros([len(_MEANS)])
            passes, going_on = tf.constant(0), tf.constant(True)
            while going_on and passes < self._num_epochs:
                sums = tf.zeros([len(_MEANS)])
                for index in tf.range(self._num_minibatches):
                    rows = orders[passes, index]
                    samples = Samples(*(tf.gather(column, rows) for column in whole))
                    sums += self._gradient_step(samples, clip, rate_left)
                means = sums / self._num_minibatches
                if self.target_kl is not None:
                    going_on = means[kl] <= self.target_kl
                passes += 1
            if self.surrogate == "kl":
                divergence = tf.constant(0.0)  # for the policy after the last gradient step
                for index in tf.range(self._num_minibatches):
                    rows = orders[0, index]
                    old = tf.gather(whole.old_outputs, rows)
                    new, _ = self.parts.outputs(prepare(tf.gather(observations, rows)), masked=old)
                    divergence += tf.reduce_mean(policy.divergences(old, new))
                divergence /= self._num_minibatches
                means = tf.tensor_scatter_nd_update(means, [[kl]], [divergence])
                self._kl_coefficient.assign(
                    policy_gradient.adapted_kl_coefficient(
                        self._kl_coefficient, divergence, self._adaptive_kl_target
                    )
                )
            explained = 1.0 - tf.math.reduce_variance(advantages) / (
                tf.math.reduce_variance(returns) + 1e-8
            )
            rest = tf.stack([explained, tf.cast(passes, tf.float32)])
            return self.parts.parameters(), tf.concat([means, rest], axis=0)

        shape = network.observation_space.shape
        assert shape is not None
        batch = size // self._num_minibatches
        return tf.function(
            update,
            jit_compile=self._devices.compiled_together(compiles_update(network.torso)),
            input_signature=[
                tf.TensorSpec([size, *shape], self.parts.input_dtype),
                tf.TensorSpec([size, policy.action_size], policy.action_dtype),
                tf.TensorSpec([size, policy.size], tf.float32),
                tf.TensorSpec([3, *self._grid], tf.float32),
                tf.TensorSpec([2, *self._grid], tf.bool),
                tf.TensorSpec([self._num_epochs, self._num_minibatches, batch], tf.int32),
                tf.TensorSpec([], tf.float32),
                tf.TensorSpec([], tf.float32),
            ],
        ).get_concrete_function()

    @tf.autograph.experimental.do_not_convert  # rewriting takes longer than tracing
    def _gradient_step(self, samples: Samples, clip: tf.Tensor, rate_left: tf.Tensor) -> tf.Tensor:
        """Learns from a minibatch, with a clip and a share of the learning rate; returns `_MEANS`."""
        if self.normalizes_advantages:
            advantages = policy_gradient.normalized(samples.advantages)
            samples = samples._replace(advantages=advantages)
        return self._devices.run(self._step, samples, (clip, rate_left))[0]

    @tf.autograph.experimental.do_not_convert
    def _step(self, *columns_clip_and_rate: tf.Tensor) -> tuple[tf.Tensor]:
        """The part of a `_gradient_step` that one of several devices takes."""
        *columns, clip, rate_left = columns_clip_and_rate
        samples = Samples(*columns)
        samples = samples._replace(observations=self._prepare(samples.observations))
        gradients, means = self._gradients_of(samples, clip)
        averaged = clipped_by_norm(self._devices.averaged(gradients), self._max_gradient_norm)
        self.parts.optimizer.apply(averaged, rate_left)
        return (means,)

    def _gradients(
        self, samples: Samples, clip: tf.Tensor
    ) -> tuple[Sequence[tf.Tensor], tf.Tensor]:
        """Gradients and the `_MEANS` of prepared samples, with this clip."""
        policy, variables = self.parts.policy, self.parts.network.variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            outputs, values = self.parts.outputs(samples.observations, masked=samples.old_outputs)
            log_ratios = policy.log_probabilities(outputs, samples.actions) - samples.old_logs
            divergences = policy.divergences(samples.old_outputs, outputs)
            if self.surrogate == "clip":
                policy_losses = policy_gradient.clipped_surrogate(
                    log_ratios, samples.advantages, clip
                )
            else:
                policy_losses = policy_gradient.kl_penalized_surrogate(
                    log_ratios, samples.advantages, divergences, self._kl_coefficient
                )
            value_losses = policy_gradient.value_loss(
                values, samples.returns, samples.old_values, self.value_clip
            )
            policy_loss, value_loss = tf.reduce_mean(policy_losses), tf.reduce_mean(value_losses)
            entropy = tf.reduce_mean(policy.entropies(outputs))
            loss = (
                policy_loss
                + self._value_coefficient * value_loss
                - self._entropy_coefficient * entropy
            )
        gradients = tape.gradient(loss, variables)
        clipped = tf.abs(tf.exp(log_ratios) - 1.0) > clip
        clip_fraction = tf.reduce_mean(tf.cast(clipped, tf.float32))
        means = [policy_loss, value_loss, entropy, tf.reduce_mean(divergences), clip_fraction]
        return gradients, tf.stack(means)
