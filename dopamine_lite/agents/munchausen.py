"""Munchausen reinforcement learning (Vieillard et al. 2020) as a part of value-based agents."""

from __future__ import annotations

import gin
import tensorflow as tf

from dopamine_lite.common.checks import check_number
from dopamine_lite.common.errors import UserError
from dopamine_lite.losses import munchausen


@gin.configurable
class Munchausen:
    """Munchausen targets: add the log-policy to the reward, bootstrap from the next state's soft value.

    This is equation 2 of Vieillard et al. (2020).

    Args:
      temperature: tau, the temperature of the policy softmax(q / tau), in units of return.
      alpha: the weight of the log-policy that is added to the reward.
      clip_min: l_0, 0 or less; tau log pi(a|s) counts as l_0 if it is lower.
    """

    def __init__(self, temperature: float = 0.03, alpha: float = 0.9, clip_min: float = -1.0):
        check_number("Munchausen", alpha=alpha, clip_min=clip_min, temperature=temperature)
        if not (temperature >= 1e-30 and clip_min <= 0):
            raise UserError(
                f"Munchausen.temperature is {temperature} and Munchausen.clip_min is {clip_min}: give a "
                "temperature of 1e-30 or more and a clip_min of 0 or less."
            )
        self.temperature = temperature
        self.alpha = alpha
        self.clip_min = clip_min

    def check(self, agent: str, update_horizon: int, double: bool) -> None:
        """Raises UserError if the agent's other options cannot be combined with this one."""
        if update_horizon != 1 or double:
            raise UserError(
                f"{agent}.munchausen adds the log-policy of every single step and averages over "
                "actions: it needs update_horizon = 1 and double = False."
            )

    def bonus(self, q: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """The bonus [B] to add to the rewards, from the target network's q [B, A] in s."""
        return munchausen.bonus(q, actions, self.temperature, self.alpha, self.clip_min)

    def soft_values(self, next_q: tf.Tensor) -> tf.Tensor:
        """Values [B] of s', from the target network's q [B, A]."""
        return munchausen.soft_values(next_q, self.temperature)

    def soft_quantiles(self, next_quantiles: tf.Tensor, next_q: tf.Tensor) -> tf.Tensor:
        """Quantiles [B, Q] of the value of s', from quantiles [B, Q, A] and q [B, A]."""
        return munchausen.soft_quantiles(next_quantiles, next_q, self.temperature)
