"""IQN (Dabney et al. 2018b): quantiles of returns at fractions that are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dopamine_lite.agents.munchausen import Munchausen
from dopamine_lite.agents.value_agent import ValueAgent
from dopamine_lite.common.checks import check_not_negative, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.configuration.configurable import configurable
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.learning.value_learner import Batch, Loss
from dopamine_lite.losses import quantile
from dopamine_lite.networks.heads import ImplicitQuantileHead
from dopamine_lite.networks.layers import normal, uniform, uniform_rows
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.twins import agree, telling_parameters


@configurable
class IQNAgent(ValueAgent[ImplicitQuantileHead]):
    """IQN (Dabney et al. 2018b, algorithm 1): regresses Z_tau(s, a) on R + gamma^n Z_tau'(s', a*).

    Z_tau(s, a) is the quantile, at the fraction tau, of the return after action a in state s; tau and
    tau' are drawn uniformly from [0, 1), and a* is the best action in s'.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      head: the network's output layers, `@ImplicitQuantileHead`, whose own parameters set, among
        others, how many fractions are drawn for acting.
      double: use double Q-learning, in which the online network chooses the next action and the target
        network gives the distribution of its return.
      kappa: the error, in units of return, at which Huber's loss becomes linear; 0: plain quantile loss.
      num_tau_samples: N, the number of fractions tau drawn for Z(s, a).
      num_tau_prime_samples: N', the number of fractions tau' drawn for the target.
      num_quantile_samples: K, the number of fractions drawn to choose the next action a*.
      munchausen: `@Munchausen` for M-IQN (Vieillard et al. 2020), which needs `update_horizon = 1` and
        `double = False`; None: plain IQN.
    """

    _head_kind = ImplicitQuantileHead

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        head: Callable[[Seeds, int], ImplicitQuantileHead] = ImplicitQuantileHead,
        kappa: float = 1.0,
        num_tau_samples: int = 64,
        num_tau_prime_samples: int = 64,
        num_quantile_samples: int = 32,
        munchausen: Callable[[], Munchausen] | None = None,
        **settings: Any,
    ):
        self._munchausen = munchausen() if munchausen else None
        check_whole(
            "IQNAgent",
            num_tau_samples=num_tau_samples,
            num_tau_prime_samples=num_tau_prime_samples,
            num_quantile_samples=num_quantile_samples,
        )
        check_not_negative("IQNAgent", kappa=kappa)
        self._kappa = kappa
        self._samples = (num_tau_samples, num_tau_prime_samples, num_quantile_samples)
        super().__init__(spec, seeds, head=head, **settings)
        if self._munchausen:
            self._munchausen.check("IQNAgent", self._update_horizon, self._double)
        self._check_head()

    def _check_head(self) -> None:
        """Raises UserError if the ways in which a head computes its quantiles do not agree."""
        network, head = self.learner.online, self.learner.online.head
        actions = tf.constant([0, 1, 0, 1]) % self._num_actions
        with telling_parameters(network.variables):
            features = network.features(normal([4, *network.prepared_shape], tf.constant([0, 1])))
            taus = uniform([4, 5], tf.constant([2, 3]))
            quantiles = head.quantiles(features, taus)
            pairs = (
                (
                    quantile.select(quantiles, actions),
                    head.chosen_quantiles(features, taus, actions),
                ),
                (quantile.values(quantiles), head.mean_quantiles(features, taus)),
            )
        if not all(agree(expected.numpy(), found.numpy()) for expected, found in pairs):
            raise UserError(
                f"A {type(head).__name__} does not learn the quantiles that it acts on: make its "
                "methods `quantiles`, `chosen_quantiles` and `mean_quantiles` agree."
            )

    def loss(
        self,
        online: Network[ImplicitQuantileHead],
        target: Network[ImplicitQuantileHead],
        batch: Batch,
    ) -> Loss:
        num_taus, num_target_taus, num_choice_taus = self._samples
        next_features = target.features(batch.next_states)

        def draw(number: int, seed: tf.Tensor) -> tf.Tensor:
            return uniform_rows([batch.actions.shape[0], number], seed)

        target_taus = draw(num_target_taus, batch.seeds.target)
        choice_taus = draw(num_choice_taus, batch.seeds.choice)
        if self._munchausen is not None:
            soft = self._munchausen
            policy_taus = draw(num_choice_taus, batch.seeds.policy)
            q = target.head.mean_quantiles(target.features(batch.states), policy_taus)
            returns = batch.returns + soft.bonus(batch.legal(q), batch.actions)
            next_q = batch.next_legal(target.head.mean_quantiles(next_features, choice_taus))
            next_values = soft.soft_quantiles(
                target.head.quantiles(next_features, target_taus), next_q
            )
        else:
            returns = batch.returns
            if self._double:
                online_features = online.features(batch.next_states)
                next_q = online.head.mean_quantiles(online_features, choice_taus)
            else:
                next_q = target.head.mean_quantiles(next_features, choice_taus)
            next_actions = tf.argmax(batch.next_legal(next_q), axis=1, output_type=tf.int32)
            next_values = target.head.chosen_quantiles(next_features, target_taus, next_actions)
        targets = returns[:, None] + batch.discounts[:, None] * next_values

        taus = draw(num_taus, batch.seeds.online)
        features = online.features(batch.states)
        chosen = online.head.chosen_quantiles(features, taus, batch.actions)
        values = tf.reduce_mean(chosen, axis=1)
        errors = tf.reduce_mean(targets, axis=1) - values
        losses = quantile.compiled_quantile_huber(chosen, taus, targets, self._kappa)
        return Loss(losses, values, tf.abs(errors))

    def describe(self) -> dict[str, Any]:
        return super().describe() | {
            "kappa": self._kappa,
            "taus": self._samples,
            "munchausen": self._munchausen is not None,
        }
