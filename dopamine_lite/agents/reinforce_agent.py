"""REINFORCE (Williams 1992): makes actions more likely in proportion to the return after them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gin
import numpy as np
import tensorflow as tf

from dopamine_lite.agents.agent import State, Transitions
from dopamine_lite.agents.policy_agent import Decision, PolicyAgent
from dopamine_lite.common.checks import check_flag, check_fraction, check_not_negative, check_whole
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import require_memory
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.losses import policy_gradient
from dopamine_lite.losses.returns import discounted_returns
from dopamine_lite.networks.actor_critic import value_variables
from dopamine_lite.networks.optimizers import Adam, Optimizer
from dopamine_lite.networks.torsos import MLP, Torso

_METRICS = ("policy_loss", "value_loss", "entropy")


class Episode(NamedTuple):
    """T steps from an episode's first to its last."""

    observations: np.ndarray  # [T, ...]
    actions: np.ndarray  # [T, D] as drawn
    outputs: np.ndarray  # [T, P] of the policy that drew them
    values: np.ndarray  # [T] V(s)
    returns: np.ndarray  # [T] G


class Steps(NamedTuple):
    """B steps of any episodes, of which those with weight zero only fill up the array."""

    observations: tf.Tensor  # [B, ...]
    actions: tf.Tensor  # [B, D]
    outputs: tf.Tensor  # [B, P]
    advantages: tf.Tensor  # [B]
    returns: tf.Tensor  # [B]
    weights: tf.Tensor  # [B] their sum over a whole batch is 1


@gin.configurable
class ReinforceAgent(PolicyAgent):
    """REINFORCE (Williams 1992): one gradient step on -A log pi(a|s) for each batch of episodes.

    A is the return G after the step, minus a baseline if one is learned. An episode that is truncated,
    by a limit or at a checkpoint, counts as far as it went; with a learned baseline, its G continues
    with the value of its last observation. With several streams, other episodes are in progress when a
    gradient step is taken. The steps that they have taken under the older policy are then weighted by
    rho = pi(a|s) / pi_old(a|s).

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      torso: the network's body, such as `@MLP` or `@NatureCNN`.
      optimizer: the optimizer that takes the gradient steps.
      gamma: discount per agent step.
      batch_episodes: the least number of whole episodes in a gradient step.
      learned_baseline: subtract a baseline V(s), which is learned together with the policy (Sutton and
        Barto 2018, section 13.4).
      shared_torso: policy and baseline share one torso; False: each has a torso of its own.
      value_coefficient: weight of the baseline's loss.
      baseline_updates: additional gradient steps that fit only the learned baseline to the same batch;
        they need `learned_baseline = True` and `shared_torso = False`.
      baseline_optimizer: the optimizer that takes the steps of `baseline_updates`.
      entropy_coefficient: weight of the policy's entropy.
      normalise_advantages: scale A to mean 0 and standard deviation 1 over the batch.
      reset_return_at_reward: start the return anew at each reward that is not zero, as for the points
        of Pong (Karpathy 2016).
      normalise_observations: scale observations by their running mean and standard deviation.
      sample_in_evaluation: draw actions from the policy in evaluation too; False: take the most likely
        actions.
      max_gradient_norm: gradients with a larger global norm are scaled down to this norm; None: never.
      chunk_size: steps that go through the network at a time; it affects memory and speed, and results
        only by rounding.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        torso: Callable[[Seeds], Torso] = MLP,
        optimizer: Callable[[], Optimizer] = Adam,
        gamma: float = 0.99,
        batch_episodes: int = 10,
        learned_baseline: bool = False,
        shared_torso: bool = False,
        value_coefficient: float = 0.5,
        baseline_updates: int = 0,
        baseline_optimizer: Callable[[], Optimizer] = Adam,
        entropy_coefficient: float = 0.0,
        normalise_advantages: bool = True,
        reset_return_at_reward: bool = False,
        normalise_observations: bool = False,
        sample_in_evaluation: bool = False,
        max_gradient_norm: float | None = None,
        chunk_size: int = 512,
    ):
        check_flag(
            "ReinforceAgent",
            learned_baseline=learned_baseline,
            shared_torso=shared_torso,
            normalise_advantages=normalise_advantages,
            reset_return_at_reward=reset_return_at_reward,
        )
        check_fraction("ReinforceAgent", gamma=gamma)
        check_whole("ReinforceAgent", batch_episodes=batch_episodes, chunk_size=chunk_size)
        check_whole("ReinforceAgent", least=0, baseline_updates=baseline_updates)
        check_not_negative(
            "ReinforceAgent",
            value_coefficient=value_coefficient,
            entropy_coefficient=entropy_coefficient,
        )
        if baseline_updates and (shared_torso or not learned_baseline):
            raise UserError(
                f"ReinforceAgent.baseline_updates is {baseline_updates}, but there is no baseline with "
                "a torso of its own: set it to 0, or set learned_baseline = True and shared_torso = "
                "False."
            )
        super().__init__(
            spec,
            seeds,
            torso=torso,
            shared_torso=shared_torso or not learned_baseline,
            optimizer=optimizer,
            normalise_observations=normalise_observations,
            sample_in_evaluation=sample_in_evaluation,
            max_gradient_norm=max_gradient_norm,
        )
        require_memory(
            self._network.batch_bytes(chunk_size),
            "A chunk of ReinforceAgent's steps",
            "lower ReinforceAgent.chunk_size",
        )
        self._gamma = gamma
        self._batch_episodes = batch_episodes
        self._learned_baseline = self._has_state_values = learned_baseline
        self._value_coefficient = value_coefficient if learned_baseline else 0.0
        self._entropy_coefficient = entropy_coefficient
        self._normalise_advantages = normalise_advantages
        self._reset_return_at_reward = reset_return_at_reward
        self._chunk_size = chunk_size
        self._in_flight: list[list[tuple[Any, ...]]] = [[] for _ in range(spec.num_envs)]
        self._batch: list[Episode] = []
        self._baseline_updates = baseline_updates
        self._baseline_variables = value_variables(self._network) if baseline_updates else []
        self._baseline_optimizer = checked_part(
            "ReinforceAgent", "baseline_optimizer", baseline_optimizer(), Optimizer
        )
        self._baseline_optimizer.build(self._baseline_variables)
        self._recent: list[np.ndarray] = []  # metrics of the updates since they were last asked for

    def metrics(self) -> dict[str, float | np.ndarray]:
        if not self._recent:
            return {}
        values = dict(zip(_METRICS, np.mean(self._recent, axis=0).tolist(), strict=True))
        self._recent.clear()
        return values | {"learning_rate": self._optimizer.learning_rate()}

    def get_state(self) -> State:
        assert not any(self._in_flight), "an episode is in flight"
        return super().get_state() | {
            "batch": [list(episode) for episode in self._batch],
            "baseline_optimizer": self._baseline_optimizer.get_state(),
        }

    def set_state(self, state: State) -> None:
        super().set_state(state)
        self._baseline_optimizer.set_state(state["baseline_optimizer"])
        self._batch = [Episode(*map(np.asarray, columns)) for columns in state["batch"]]
        self._in_flight = [[] for _ in self._in_flight]

    def describe(self) -> dict[str, Any]:
        return super().describe() | {
            "learned_baseline": self._learned_baseline,
            "baseline_updates": self._baseline_updates,
            "normalise_advantages": self._normalise_advantages,
            "reset_return_at_reward": self._reset_return_at_reward,
        }

    def _remember(self, decision: Decision, transitions: Transitions) -> None:
        rows = zip(
            transitions.observations,
            decision.actions,
            decision.outputs,
            decision.values,
            transitions.rewards,
            strict=True,
        )
        for steps, row in zip(self._in_flight, rows, strict=True):
            steps.append(row)
        ended = (transitions.terminated | transitions.truncated).nonzero()[0]
        if not ended.size:
            return
        last_values = np.zeros(self._spec.num_envs)
        if self._learned_baseline and transitions.truncated.any():
            _, values = self._policy_and_values(transitions.next_observations)
            last_values = np.where(transitions.truncated, values, 0.0)
        for stream in ended:
            self._finish(stream, float(last_values[stream]))
        if len(self._batch) >= self._batch_episodes:
            self._learn()
            self._batch.clear()

    def _finish(self, stream: int, last_value: float) -> None:
        observations, actions, outputs, values, rewards = map(
            np.array, zip(*self._in_flight[stream], strict=True)
        )
        returns = discounted_returns(rewards, self._gamma, last_value, self._reset_return_at_reward)
        self._batch.append(Episode(observations, actions, outputs, values, returns))
        self._in_flight[stream].clear()

    def _learn(self) -> None:
        whole = Episode(*(np.concatenate(column) for column in zip(*self._batch, strict=True)))
        advantages = whole.returns - whole.values if self._learned_baseline else whole.returns
        if self._normalise_advantages:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        size = len(advantages)
        steps = Steps(
            observations=self._normalised(whole.observations),
            actions=whole.actions,
            outputs=whole.outputs,
            advantages=advantages,
            returns=whole.returns,
            weights=np.full(size, 1.0 / size, np.float32),
        )
        chunks = -(-size // self._chunk_size)
        inputs = [_filled_up(column, chunks, self._chunk_size) for column in steps]
        assert self._update is not None
        parameters, metrics = self._update(*map(tf.constant, inputs))
        if self._normaliser:
            self._normaliser.moments.update(whole.observations)
        self._actor.load(parameters)
        self._recent.append(metrics.numpy())

    def _compile_update(self) -> Callable[..., tuple[tf.Tensor, ...]]:
        """One gradient step on any number of chunks of steps, [chunks, chunk_size, ...] each."""
        prepare = tf.function(self._network.prepare, jit_compile=True, autograph=False)
        joint = (1.0, self._value_coefficient, -self._entropy_coefficient)
        baseline = (0.0, 1.0, 0.0)

        def summed(
            columns: Sequence[tf.Tensor],
            variables: Sequence[tf.Variable],
            weights: tuple[float, float, float],
        ) -> tuple[list[tf.Tensor], tf.Tensor]:
            gradients = [tf.zeros_like(variable) for variable in variables]
            metrics = tf.zeros([len(_METRICS)])
            for index in tf.range(tf.shape(columns[0])[0]):
                steps = Steps(*[column[index] for column in columns])
                steps = steps._replace(observations=prepare(steps.observations))
                found, means = self._chunk_gradients(steps, variables, weights)
                gradients = [total + part for total, part in zip(gradients, found, strict=True)]
                metrics += means
            return gradients, metrics

        def update(*columns: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            gradients, metrics = summed(columns, self._network.variables, joint)
            self._optimizer.apply(self._clipped(gradients))
            for _ in tf.range(self._baseline_updates):
                own, _ = summed(columns, self._baseline_variables, baseline)
                self._baseline_optimizer.apply(self._clipped(own))
            return self._actor.parameters(), metrics

        space, size = self._spec.observation_space, self._chunk_size
        assert space.shape is not None
        dtype = tf.float32 if self._normaliser else tf.as_dtype(space.dtype)
        column = tf.TensorSpec([None, size], tf.float32)
        return tf.function(
            update,
            input_signature=[
                tf.TensorSpec([None, size, *space.shape], dtype),
                tf.TensorSpec([None, size, self._policy.action_size], self._policy.action_dtype),
                tf.TensorSpec([None, size, self._policy.size], tf.float32),
                column,
                column,
                column,
            ],
        ).get_concrete_function()

    @tf.autograph.experimental.do_not_convert  # rewriting takes longer than tracing
    def _chunk_gradients(
        self,
        steps: Steps,
        variables: Sequence[tf.Variable],
        weights: tuple[float, float, float],
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients of the sum of what `_METRICS` names by `weights`; these losses, of some steps."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            losses = self._losses(steps)
            loss = tf.add_n(
                [weight * part for weight, part in zip(weights, losses, strict=True) if weight]
            )
        zero = tf.UnconnectedGradients.ZERO  # without a baseline its variables have none
        gradients = tape.gradient(loss, variables, unconnected_gradients=zero)
        return gradients, tf.stack(losses)

    def _losses(self, steps: Steps) -> list[tf.Tensor]:
        """What `_METRICS` names, of some steps, weighted."""
        outputs, values = self._in_graph(steps.observations, masked=steps.outputs)
        log_probabilities = self._policy.log_probabilities(outputs, steps.actions)
        drawn = self._policy.log_probabilities(steps.outputs, steps.actions)
        log_ratios = tf.where(steps.weights > 0, log_probabilities - drawn, 0.0)
        ratios = policy_gradient.ratios(log_ratios)  # 1 but for what an older policy drew
        each = (
            policy_gradient.policy_gradient(log_probabilities, ratios * steps.advantages),
            policy_gradient.value_loss(values, steps.returns, values, clip=None),
            self._policy.entropies(outputs),
        )
        return [tf.reduce_sum(steps.weights * part) for part in each]


def _filled_up(column: np.ndarray, chunks: int, size: int) -> np.ndarray:
    """[M, ...] -> [chunks, size, ...], zeros after the M rows."""
    filled = np.zeros((chunks * size, *column.shape[1:]), column.dtype)
    filled[: len(column)] = column
    return filled.reshape(chunks, size, *column.shape[1:])
