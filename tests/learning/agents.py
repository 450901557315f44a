"""Every agent that learns by gradients, in small."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from dopamine_lite.agents.c51_agent import C51Agent
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.agents.iqn_agent import IQNAgent
from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.agents.pqn_agent import PQNAgent
from dopamine_lite.agents.qr_dqn_agent import QRDQNAgent
from dopamine_lite.agents.rainbow_agent import RainbowAgent
from dopamine_lite.agents.reinforce_agent import ReinforceAgent
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.optimizers import RAdam, RMSProp
from dopamine_lite.networks.torsos import MLP
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.replay.prioritized_replay import PrioritizedReplay

VALUE = {
    "torso": partial(MLP, hidden_units=(16,)),
    "replay": partial(CircularReplay, replay_capacity=100),
    "min_replay_history": 32,
    "batch_size": 8,
    "target_update_period": 16,
}
ROLLOUT = {"torso": partial(MLP, hidden_units=(16,)), "rollout_length": 16, "num_minibatches": 2}
# Called with a specification and seeds.
AGENTS: dict[str, Callable[..., Any]] = {
    "dqn": partial(DQNAgent, **VALUE),
    "dqn, noisy, clipped": partial(
        DQNAgent,
        **VALUE,
        head=partial(QHead, noisy=True, dueling=True),
        optimizer=RAdam,
        updates_per_period=3,
        max_gradient_norm=0.1,
    ),
    "c51": partial(C51Agent, **VALUE),
    "qr_dqn": partial(QRDQNAgent, **VALUE, optimizer=RMSProp),
    "iqn": partial(IQNAgent, **VALUE, num_tau_samples=8, double=True),
    "rainbow": partial(
        RainbowAgent, **{**VALUE, "replay": partial(PrioritizedReplay, replay_capacity=100)}
    ),
    "ppo": partial(PPOAgent, **ROLLOUT, surrogate="kl", normalize_observations=True),
    "pqn": partial(PQNAgent, **ROLLOUT, head=partial(QHead, noisy=True)),
    "reinforce": partial(
        ReinforceAgent,
        torso=partial(MLP, hidden_units=(16,)),
        batch_episodes=20,  # in three chunks
        learned_baseline=True,
        baseline_updates=2,
        normalize_observations=True,
        max_gradient_norm=0.1,
        chunk_size=8,
    ),
    "reinforce, without a baseline": partial(
        ReinforceAgent, torso=partial(MLP, hidden_units=(16,)), batch_episodes=3, chunk_size=2
    ),
}
