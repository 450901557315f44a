"""C51 (Bellemare et al. 2017): distributions of returns over fixed atoms."""

from __future__ import annotations

from collections.abc import Callable

import gin

from dopamine_lite.agents.exploration import EpsilonGreedy, Exploration
from dopamine_lite.agents.value_agent import Batch, Loss, ValueAgent
from dopamine_lite.common.replay.circular_replay import CircularReplay
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.losses import categorical, td
from dopamine_lite.networks.heads import CategoricalHead, Head
from dopamine_lite.networks.optimizers import Adam, Optimizer
from dopamine_lite.networks.torsos import NatureCNN, Torso


@gin.configurable
class C51Agent(ValueAgent):
    """Moves the distribution of Z(s, a) to the projection of R + gamma^n Z_target(s', a*).

    Args:
      spec: of the environment.
      seeds: this agent's node.
      torso: the network's body, such as `@NatureCNN` or `@MLP`.
      head: its end, `@CategoricalHead`, with the atoms as its own arguments.
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
      double: let the online network choose the action whose distribution the target network gives.
      max_gradient_norm: gradients of a greater global norm are scaled down to it.
    """

    _head_kind = CategoricalHead

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        torso: Callable[[Seeds], Torso] = NatureCNN,
        head: Callable[[Seeds, int], Head] = CategoricalHead,
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
    ):
        super().__init__(
            spec,
            seeds,
            torso=torso,
            head=head,
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
            double=double,
            max_gradient_norm=max_gradient_norm,
        )

    def _loss(self, batch: Batch) -> Loss:
        head = self._online.head
        next_logits = self._target(batch.next_states, batch.seeds.target)
        next_actions = self._next_actions(batch, next_logits)
        targets = categorical.targets(
            batch.returns, batch.discounts, next_logits, next_actions, head.support
        )
        logits = self._online(batch.states, batch.seeds.online)
        chosen = categorical.select(logits, batch.actions)
        return Loss(
            categorical.cross_entropy(chosen, targets),
            td.select(head.values(logits), batch.actions),
            categorical.kl_divergence(chosen, targets),
        )
