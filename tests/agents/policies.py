"""PPO and REINFORCE in small, for the tests of both."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.policy_agent import PolicyAgent
from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.agents.reinforce_agent import ReinforceAgent
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.optimizers import Adam
from dopamine_lite.networks.torsos import MLP
from dopamine_lite.replay.episodes import Episode
from tests.agents.tiny import spec

AGENTS: dict[str, Any] = {
    "ppo": functools.partial(PPOAgent, rollout_length=16, num_epochs=4, num_minibatches=2),
    "ppo_kl": functools.partial(
        PPOAgent, rollout_length=16, num_epochs=4, num_minibatches=2, surrogate="kl"
    ),
    "ppo_everything": functools.partial(
        PPOAgent,
        rollout_length=16,
        num_epochs=4,
        num_minibatches=2,
        shared_torso=True,
        value_clip=0.2,
        clip_decay_period=10_000,
        entropy_coefficient=0.01,
        target_kl=0.02,
        normalize_observations=True,
        normalize_rewards=True,
    ),
    "reinforce": functools.partial(ReinforceAgent, batch_episodes=8, chunk_size=5),
    "reinforce_baseline": functools.partial(
        ReinforceAgent,
        batch_episodes=8,
        chunk_size=5,
        learned_baseline=True,
        baseline_updates=3,
        normalize_advantages=False,
        entropy_coefficient=0.01,
        max_gradient_norm=10.0,
    ),
}


def build(name: str, seed: int = 0, num_envs: int = 2, **arguments: Any) -> PolicyAgent:
    settings: dict[str, Any] = {
        "torso": functools.partial(MLP, hidden_units=(16,), activation="tanh"),
        "optimizer": functools.partial(Adam, learning_rate=0.003, epsilon=1e-5),
        "gamma": 0.5,
    } | arguments
    agent_spec = settings.pop("spec", spec(num_envs=num_envs))
    return AGENTS[name](agent_spec, Seeds(seed), **settings)


def digest(agent: Any) -> list[np.ndarray]:
    return [variable.numpy() for variable in agent.learner.parts.network.variables]


def updates_of(agent: Any) -> list[list[np.ndarray]]:
    """The inputs of each of the agent's updates from now on."""
    seen: list[list[np.ndarray]] = []
    agent.learner.compile()
    update = agent.learner._update

    def spy(*inputs: Any) -> Any:
        seen.append([tensor.numpy() for tensor in inputs])
        return update(*inputs)

    agent.learner._update = spy
    return seen


def collected(agent: Any) -> list[Episode]:
    """The episodes that a REINFORCE agent holds for its next update; those in flight it forgets."""
    agent.memory.clear()
    return [Episode(*columns) for columns in agent.get_state()["batch"]]


def learn_from(agent: Any, episodes: list[Episode]) -> dict[str, float]:
    """Does with these episodes what the agent does with its batch; returns the metrics."""
    learned = agent.learner.learn(episodes)
    agent.actor.load(learned.parameters)
    return dict(zip(agent.learner.metric_names, learned.metrics.numpy().tolist(), strict=True))


class Recorder:
    """An optimizer that takes no step and keeps the gradients, also of compiled updates."""

    def build(self, variables: Any) -> None:
        self.gradients = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
        self.scale = tf.Variable(np.nan)

    def apply(self, gradients: Any, scale: Any = 1.0) -> None:
        for kept, gradient in zip(self.gradients, gradients, strict=True):
            kept.assign(gradient)
        self.scale.assign(scale)


class Script(NamedTuple):
    """T steps of two environments: one terminates after two steps, the other is cut after three."""

    observations: np.ndarray  # [T, 2, 3]
    next_observations: np.ndarray  # [T, 2, 3] the true successors
    rewards: np.ndarray  # [T, 2]
    terminated: np.ndarray  # [T, 2] bool
    truncated: np.ndarray  # [T, 2] bool

    def play(self, agent: PolicyAgent) -> None:
        for step in range(len(self.rewards)):
            actions = agent.act(self.observations[step])
            agent.observe(
                Transitions(
                    self.observations[step],
                    actions,
                    self.rewards[step],
                    self.terminated[step],
                    self.truncated[step],
                    self.next_observations[step],
                )
            )


def script(steps: int = 4, seed: int = 0) -> Script:
    generator = np.random.default_rng(seed)
    observations = generator.normal(size=(steps + 1, 2, 3)).astype(np.float32)
    terminated, truncated = np.zeros((2, steps, 2), bool)
    terminated[1, 0] = truncated[2, 1] = True
    ended = (terminated | truncated)[..., None]
    finals = generator.normal(size=(steps, 2, 3)).astype(np.float32)
    following = np.where(ended, finals, observations[1:])
    rewards = generator.normal(size=(steps, 2))
    return Script(observations[:-1], following, rewards, terminated, truncated)
