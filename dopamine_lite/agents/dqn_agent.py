"""DQN (Mnih et al. 2015), with double Q-learning (van Hasselt et al. 2016) and n-step returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gin
import tensorflow as tf

from dopamine_lite.agents.exploration import EpsilonGreedy
from dopamine_lite.agents.value_agent import ValueAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.replay.circular_replay import CircularReplay
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.losses import td
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.optimizers import Adam
from dopamine_lite.networks.torsos import NatureCNN, Torso

_LOSSES = {"huber": td.huber, "squared": td.squared}


@gin.configurable
class DQNAgent(ValueAgent):
    """Regresses Q(s, a) on R + gamma^n max_a' Q_target(s', a').

    Args:
      spec: of the environment.
      seeds: this agent's node.
      torso: the network's body, `@NatureCNN` or `@MLP`.
      replay: the buffer.
      exploration: chooses actions by values.
      optimizer: takes the gradient steps.
      gamma: discount per agent step.
      update_horizon: n, steps of reward before bootstrapping.
      min_replay_history: agent steps before the first update.
      update_period: agent steps between updates.
      updates_per_period: gradient steps each time.
      target_update_period: agent steps between copies of the online network to the target.
      batch_size: transitions in a gradient step.
      double: let the online network choose the action that the target network values.
      loss: "huber" (delta 1) or "squared".
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        torso: Callable[[Seeds], Torso] = NatureCNN,
        replay: Callable[..., Any] = CircularReplay,
        exploration: Callable[..., Any] = EpsilonGreedy,
        optimizer: Callable[[], Any] = Adam,
        gamma: float = 0.99,
        update_horizon: int = 1,
        min_replay_history: int = 20_000,
        update_period: int = 4,
        updates_per_period: int = 1,
        target_update_period: int = 8_000,
        batch_size: int = 32,
        double: bool = False,
        loss: str = "huber",
    ):
        if loss not in _LOSSES:
            raise UserError(f"DQNAgent.loss is {loss!r}: choose one of {', '.join(_LOSSES)}.")
        self._double = double
        self._loss_name = loss
        self._error_loss = _LOSSES[loss]
        super().__init__(
            spec,
            seeds,
            torso=torso,
            head=QHead,
            replay=replay,
            exploration=exploration,
            optimizer=optimizer,
            gamma=gamma,
            update_horizon=update_horizon,
            min_replay_history=min_replay_history,
            update_period=update_period,
            updates_per_period=updates_per_period,
            target_update_period=target_update_period,
            batch_size=batch_size,
        )

    def _loss(
        self,
        states: tf.Tensor,
        actions: tf.Tensor,
        returns: tf.Tensor,
        discounts: tf.Tensor,
        next_states: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        next_q = self._target(next_states)
        if self._double:
            next_values = td.double_q_values(next_q, self._online(next_states))
        else:
            next_values = td.q_learning_values(next_q)
        targets = td.td_targets(returns, discounts, next_values)
        values = td.select(self._online(states), actions)
        return self._error_loss(targets - values), values

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"loss": self._loss_name, "double": self._double}
