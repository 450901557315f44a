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
    """C51 (Bellemare et al. 2017): moves Z(s, a) toward the projection of R + gamma^n Z_target(s', a*).

    Z(s, a) is the distribution of the return after action a in state s, and a* is the best action in s'.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      torso: the network's body, such as `@NatureCNN` or `@MLP`.
      head: the network's output layers, `@CategoricalHead`, whose own parameters set the atoms.
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
      double: use double Q-learning, in which the online network chooses the next action and the target
        network gives the distribution of its return.
      max_gradient_norm: gradients with a larger global norm are scaled down to this norm; None: never.
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
