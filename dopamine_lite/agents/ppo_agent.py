"""PPO (Schulman et al. 2017): many small steps on the last rollout, close to the old policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gin
import numpy as np
import tensorflow as tf

from dopamine_lite.agents.agent import State, Transitions
from dopamine_lite.agents.policy_agent import Decision, PolicyAgent
from dopamine_lite.common.checks import (
    check_flag,
    check_fraction,
    check_not_negative,
    check_positive,
    check_whole,
)
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import require_memory
from dopamine_lite.common.normalisation import RewardNormaliser
from dopamine_lite.common.schedules import linearly_decaying
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.losses import policy_gradient
from dopamine_lite.networks.optimizers import Adam, Optimizer
from dopamine_lite.networks.torsos import MLP, Torso

_SURROGATES = ("clip", "kl")
_MEANS = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")  # of an update's last pass
_METRICS = (*_MEANS, "explained_variance", "passes")


class Rollout(NamedTuple):
    """T steps of N streams, time-major."""

    observations: np.ndarray  # [T, N, ...]
    actions: np.ndarray  # [T, N, D] as drawn
    outputs: np.ndarray  # [T, N, P] of the policy that drew them
    values: np.ndarray  # [T, N] V(s)
    cut_values: np.ndarray  # [T, N] V(s') where a stream was cut, and in the last row
    rewards: np.ndarray  # [T, N]
    terminated: np.ndarray  # [T, N] bool
    truncated: np.ndarray  # [T, N] bool


class Samples(NamedTuple):
    """What a gradient step learns from: B of the rollout's T x N steps."""

    observations: tf.Tensor  # [B, ...]
    actions: tf.Tensor  # [B, D]
    old_outputs: tf.Tensor  # [B, P]
    old_logs: tf.Tensor  # [B] log pi_old(a|s)
    old_values: tf.Tensor  # [B]
    advantages: tf.Tensor  # [B]
    returns: tf.Tensor  # [B]


@gin.configurable
class PPOAgent(PolicyAgent):
    """PPO: maximizes a surrogate of the return that keeps the policy near the old policy.

    Schulman et al. 2017, eq. 9. After every `rollout_length` steps of each stream, the agent estimates
    advantages by GAE and makes `num_epochs` passes over the T x N steps, each in `num_minibatches`
    newly drawn minibatches. All of this is one compiled call.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      torso: the network's body, such as `@MLP` or `@NatureCNN`.
      shared_torso: policy and value share one torso; False: each has a torso of its own.
      optimizer: the optimizer that takes the gradient steps. If it has a schedule of its own, that is
        multiplied with the decay of `learning_rate_decay_period`.
      gamma: discount per agent step.
      gae_lambda: lambda of generalized advantage estimation; 0: one-step advantages, 1: whole returns.
      rollout_length: T, agent steps of each stream between updates.
      num_epochs: passes over each rollout.
      num_minibatches: minibatches in a pass, with one gradient step each.
      surrogate: "clip" (eq. 7), or "kl": a penalty on the KL divergence from the old policy, with an
        adaptive coefficient (eq. 8).
      clip: epsilon of eq. 7, how far the probability ratio may move from 1 before it is clipped.
      clip_decay_period: agent steps in which `clip` falls linearly to zero; None: it is constant.
      learning_rate_decay_period: agent steps in which the learning rate falls linearly to zero, rollout
        by rollout; None: no such decay.
      kl_target: the KL divergence, in nats, that the surrogate "kl" aims at.
      initial_kl_coefficient: beta of eq. 8, the weight of the KL penalty, at the start.
      stop_at_kl: no further pass over a rollout after one whose mean KL divergence, in nats, is above
        this; None: all passes are made.
      value_clip: how far, in units of return, the value may move from the old value before the value
        loss is clipped; None: no clipping.
      value_coefficient: c1 of eq. 9, the weight of the value loss.
      entropy_coefficient: c2 of eq. 9, the weight of the policy's entropy.
      normalise_advantages: scale advantages to mean 0 and standard deviation 1 in each minibatch.
      normalise_observations: scale observations by their running mean and standard deviation.
      normalise_rewards: divide rewards by the running standard deviation of discounted returns.
      sample_in_evaluation: draw actions from the policy in evaluation too; False: take the most likely
        actions.
      max_gradient_norm: gradients with a larger global norm are scaled down to this norm; None: never.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        torso: Callable[[Seeds], Torso] = MLP,
        shared_torso: bool = False,
        optimizer: Callable[[], Optimizer] = Adam,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        rollout_length: int = 128,
        num_epochs: int = 4,
        num_minibatches: int = 4,
        surrogate: str = "clip",
        clip: float = 0.2,
        clip_decay_period: int | None = None,
        learning_rate_decay_period: int | None = None,
        kl_target: float = 0.01,
        initial_kl_coefficient: float = 1.0,
        stop_at_kl: float | None = None,
        value_clip: float | None = None,
        value_coefficient: float = 0.5,
        entropy_coefficient: float = 0.0,
        normalise_advantages: bool = True,
        normalise_observations: bool = False,
        normalise_rewards: bool = False,
        sample_in_evaluation: bool = False,
        max_gradient_norm: float | None = 0.5,
    ):
        if surrogate not in _SURROGATES:
            raise UserError(
                f"PPOAgent.surrogate is {surrogate!r}: choose one of {', '.join(_SURROGATES)}."
            )
        check_flag(
            "PPOAgent",
            normalise_advantages=normalise_advantages,
            normalise_rewards=normalise_rewards,
        )
        check_fraction("PPOAgent", gamma=gamma, gae_lambda=gae_lambda)
        check_whole(
            "PPOAgent",
            rollout_length=rollout_length,
            num_epochs=num_epochs,
            num_minibatches=num_minibatches,
        )
        check_whole(
            "PPOAgent",
            optional=True,
            clip_decay_period=clip_decay_period,
            learning_rate_decay_period=learning_rate_decay_period,
        )
        check_positive("PPOAgent", clip=clip, kl_target=kl_target)
        check_positive("PPOAgent", initial_kl_coefficient=initial_kl_coefficient)
        check_positive("PPOAgent", optional=True, stop_at_kl=stop_at_kl, value_clip=value_clip)
        check_not_negative(
            "PPOAgent",
            value_coefficient=value_coefficient,
            entropy_coefficient=entropy_coefficient,
        )
        size = rollout_length * spec.num_envs
        if size % num_minibatches:
            raise UserError(
                f"A rollout with {rollout_length} steps of each of {spec.num_envs} streams has {size} "
                f"steps, which {num_minibatches} minibatches cannot share evenly: change "
                "PPOAgent.rollout_length, PPOAgent.num_minibatches or Runner.num_envs."
            )
        if normalise_advantages and size == num_minibatches:
            raise UserError(
                "Advantages cannot be normalized in minibatches of one step: lower "
                "PPOAgent.num_minibatches or set PPOAgent.normalise_advantages = False."
            )
        super().__init__(
            spec,
            seeds,
            torso=torso,
            shared_torso=shared_torso,
            optimizer=optimizer,
            normalise_observations=normalise_observations,
            sample_in_evaluation=sample_in_evaluation,
            max_gradient_norm=max_gradient_norm,
        )
        self._gamma, self._gae_lambda = gamma, gae_lambda
        self._length = rollout_length
        self._num_epochs, self._num_minibatches = num_epochs, num_minibatches
        self._surrogate = surrogate
        self._clip, self._clip_decay_period = clip, clip_decay_period
        self._learning_rate_decay_period = learning_rate_decay_period
        self._kl_target, self._stop_at_kl = kl_target, stop_at_kl
        self._kl_coefficient = tf.Variable(initial_kl_coefficient, dtype=tf.float32)
        self._value_clip = value_clip
        self._value_coefficient = value_coefficient
        self._entropy_coefficient = entropy_coefficient
        self._normalise_advantages = normalise_advantages
        self._reward_normaliser = (
            RewardNormaliser(spec.num_envs, gamma) if normalise_rewards else None
        )
        self._order = seeds.generator("minibatches")
        self._rollout = self._empty_rollout()
        self._position = 0  # steps of each stream in the rollout
        self._steps = 0  # agent steps observed
        self._recent: list[np.ndarray] = []  # metrics of the updates since they were last asked for

    @property
    def first_update(self) -> int | None:
        return self._length * self._spec.num_envs

    def metrics(self) -> dict[str, float | np.ndarray]:
        if not self._recent:
            return {}
        values = dict(zip(_METRICS, np.mean(self._recent, axis=0).tolist(), strict=True))
        self._recent.clear()
        left = _left(self._steps, self._learning_rate_decay_period)
        values["learning_rate"] = self._optimizer.learning_rate() * left
        if self._surrogate == "kl":
            return values | {"kl_coefficient": float(self._kl_coefficient)}
        return values | {"clip": self._clip * _left(self._steps, self._clip_decay_period)}

    def get_state(self) -> State:
        return super().get_state() | {
            "steps": self._steps,
            "order": generator_state(self._order),
            "kl_coefficient": float(self._kl_coefficient),
            "rewards": self._reward_normaliser.get_state() if self._reward_normaliser else None,
            "rollout": [column[: self._position].copy() for column in self._rollout],
        }

    def set_state(self, state: State) -> None:
        super().set_state(state)
        self._steps = state["steps"]
        restore_generator(self._order, state["order"])
        self._kl_coefficient.assign(state["kl_coefficient"])
        if self._reward_normaliser:
            self._reward_normaliser.set_state(state["rewards"])
        for column, saved in zip(self._rollout, state["rollout"], strict=True):
            column[: len(saved)] = saved
            self._position = len(saved)

    def describe(self) -> dict[str, Any]:
        return super().describe() | {
            "surrogate": self._surrogate,
            "value_clip": self._value_clip,
            "normalise_advantages": self._normalise_advantages,
            "normalise_rewards": self._reward_normaliser is not None,
            "stop_at_kl": self._stop_at_kl,
            "memory_bytes": sum(column.nbytes for column in self._rollout),
        }

    def _remember(self, decision: Decision, transitions: Transitions) -> None:
        at, rollout = self._position, self._rollout
        rollout.observations[at] = transitions.observations
        rollout.actions[at] = decision.actions
        rollout.outputs[at] = decision.outputs
        rollout.values[at] = decision.values
        rollout.rewards[at] = transitions.rewards
        rollout.terminated[at] = transitions.terminated
        rollout.truncated[at] = transitions.truncated
        rollout.cut_values[at] = 0.0
        self._position += 1
        self._steps += self._spec.num_envs
        if self._position == self._length or transitions.truncated.any():
            _, rollout.cut_values[at] = self._policy_and_values(transitions.next_observations)
        if self._position == self._length:
            self._learn()
            self._position = 0

    def _learn(self) -> None:
        rollout = self._rollout
        rewards = rollout.rewards
        if self._reward_normaliser:
            rewards = self._reward_normaliser(rewards, rollout.terminated | rollout.truncated)
        cut = rollout.truncated.copy()
        cut[-1] = True
        next_values = np.where(cut, rollout.cut_values, np.roll(rollout.values, -1, axis=0))
        size = self._length * self._spec.num_envs
        orders = np.stack([self._order.permutation(size) for _ in range(self._num_epochs)])
        observations = rollout.observations.reshape(size, *rollout.observations.shape[2:])
        inputs = (
            self._normalised(observations),
            rollout.actions.reshape(size, -1),
            rollout.outputs.reshape(size, -1),
            np.stack([rewards, rollout.values, next_values]),
            np.stack([rollout.terminated, rollout.truncated]),
            orders.reshape(self._num_epochs, self._num_minibatches, -1).astype(np.int32),
            np.float32(self._clip * _left(self._steps - size, self._clip_decay_period)),
            np.float32(_left(self._steps - size, self._learning_rate_decay_period)),
        )
        assert self._update is not None
        parameters, metrics = self._update(*map(tf.constant, inputs))
        if self._normaliser:
            self._normaliser.moments.update(observations)
        self._actor.load(parameters)
        self._recent.append(metrics.numpy())

    def _empty_rollout(self) -> Rollout:
        space = self._spec.observation_space
        assert space.shape is not None and space.dtype is not None
        grid = (self._length, self._spec.num_envs)
        size = self._length * self._spec.num_envs
        of_decisions = 4 * (self._policy.action_size + self._policy.size + 4)
        require_memory(
            size * (int(np.prod(space.shape)) * space.dtype.itemsize + of_decisions)
            + self._network.batch_bytes(size // self._num_minibatches),
            "PPOAgent's rollout",
            "lower PPOAgent.rollout_length",
        )
        return Rollout(
            observations=np.empty((*grid, *space.shape), space.dtype),
            actions=np.empty((*grid, self._policy.action_size), self._policy.action_dtype),
            outputs=np.empty((*grid, self._policy.size), np.float32),
            values=np.empty(grid, np.float32),
            cut_values=np.empty(grid, np.float32),
            rewards=np.empty(grid, np.float32),
            terminated=np.empty(grid, bool),
            truncated=np.empty(grid, bool),
        )

    def _compile_update(self) -> Callable[..., tuple[tf.Tensor, ...]]:
        """All epochs and minibatches of one rollout in one call."""
        size = self._length * self._spec.num_envs
        prepare = tf.function(self._network.prepare, jit_compile=True, autograph=False)

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
            old_logs = self._policy.log_probabilities(outputs, actions)
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
                    samples = samples._replace(observations=prepare(samples.observations))
                    sums += self._gradient_step(samples, clip, rate_left)
                means = sums / self._num_minibatches
                if self._stop_at_kl is not None:
                    going_on = means[kl] <= self._stop_at_kl
                passes += 1
            if self._surrogate == "kl":
                divergence = tf.constant(0.0)  # of the policy after the last gradient step
                for index in tf.range(self._num_minibatches):
                    rows = orders[0, index]
                    old = tf.gather(whole.old_outputs, rows)
                    new, _ = self._in_graph(prepare(tf.gather(observations, rows)), masked=old)
                    divergence += tf.reduce_mean(self._policy.divergences(old, new))
                divergence /= self._num_minibatches
                means = tf.tensor_scatter_nd_update(means, [[kl]], [divergence])
                self._kl_coefficient.assign(
                    policy_gradient.adapted_kl_coefficient(
                        self._kl_coefficient, divergence, self._kl_target
                    )
                )
            explained = 1.0 - tf.math.reduce_variance(advantages) / (
                tf.math.reduce_variance(returns) + 1e-8
            )
            rest = tf.stack([explained, tf.cast(passes, tf.float32)])
            return self._actor.parameters(), tf.concat([means, rest], axis=0)

        rollout = self._rollout
        grid = [self._length, self._spec.num_envs]
        dtype = tf.float32 if self._normaliser else tf.as_dtype(rollout.observations.dtype)
        batch = size // self._num_minibatches
        return tf.function(
            update,
            jit_compile=self._network.torso.compile_update,
            input_signature=[
                tf.TensorSpec([size, *rollout.observations.shape[2:]], dtype),
                tf.TensorSpec([size, self._policy.action_size], self._policy.action_dtype),
                tf.TensorSpec([size, self._policy.size], tf.float32),
                tf.TensorSpec([3, *grid], tf.float32),
                tf.TensorSpec([2, *grid], tf.bool),
                tf.TensorSpec([self._num_epochs, self._num_minibatches, batch], tf.int32),
                tf.TensorSpec([], tf.float32),
                tf.TensorSpec([], tf.float32),
            ],
        ).get_concrete_function()

    @tf.autograph.experimental.do_not_convert  # rewriting takes longer than tracing
    def _gradient_step(self, samples: Samples, clip: tf.Tensor, rate_left: tf.Tensor) -> tf.Tensor:
        """One minibatch, at this clip and share of the learning rate; returns what `_MEANS` names."""
        policy, advantages = self._policy, samples.advantages
        if self._normalise_advantages:
            advantages = policy_gradient.normalised(advantages)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._network.variables)
            outputs, values = self._in_graph(samples.observations, masked=samples.old_outputs)
            log_ratios = policy.log_probabilities(outputs, samples.actions) - samples.old_logs
            divergences = policy.divergences(samples.old_outputs, outputs)
            if self._surrogate == "clip":
                policy_losses = policy_gradient.clipped_surrogate(log_ratios, advantages, clip)
            else:
                policy_losses = policy_gradient.kl_penalised_surrogate(
                    log_ratios, advantages, divergences, self._kl_coefficient
                )
            value_losses = policy_gradient.value_loss(
                values, samples.returns, samples.old_values, self._value_clip
            )
            policy_loss, value_loss = tf.reduce_mean(policy_losses), tf.reduce_mean(value_losses)
            entropy = tf.reduce_mean(policy.entropies(outputs))
            loss = (
                policy_loss
                + self._value_coefficient * value_loss
                - self._entropy_coefficient * entropy
            )
        gradients = tape.gradient(loss, self._network.variables)
        self._optimizer.apply(self._clipped(gradients), rate_left)
        clipped = tf.abs(tf.exp(log_ratios) - 1.0) > clip
        clip_fraction = tf.reduce_mean(tf.cast(clipped, tf.float32))
        return tf.stack(
            [policy_loss, value_loss, entropy, tf.reduce_mean(divergences), clip_fraction]
        )


def _left(step: int, decay_period: int | None) -> float:
    """The share of a number that is left after `step` agent steps; all of it without a period."""
    return 1.0 if decay_period is None else linearly_decaying(step, 1.0, 0.0, 0, decay_period)
