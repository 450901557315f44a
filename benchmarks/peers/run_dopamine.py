"""Dopamine 4.1 on JAX: trains until `clock` has measured it.

Its wheel holds no gin files, so its settings are bound here, and it imports `baselines`, which it does
not require and needs for PPO only, so an empty module stands in for it. Its networks pad 'same'. The
workloads pad 'valid', so that all networks are equal; the variant "same" leaves them as they are.
"""

from __future__ import annotations

import itertools
import sys
import types
from typing import Any

from clock import Clock, NothingLearned
from workloads import Replayed, Workload

CLOCK = Clock("Dopamine", "dopamine-rl")
CLOCK.limit_xla_threads()
sys.modules["baselines"] = types.ModuleType("baselines")
sys.modules["baselines.common"] = types.ModuleType("baselines.common")
sys.modules["baselines.common"].atari_wrappers = None

import gin
import jax
from dopamine.discrete_domains import atari_lib, gym_lib, run_experiment
from dopamine.jax import networks
from dopamine.jax.agents.dqn import dqn_agent
from dopamine.jax.agents.implicit_quantile import implicit_quantile_agent
from dopamine.jax.agents.rainbow import rainbow_agent

AGENTS = {
    "dqn": dqn_agent.JaxDQNAgent,
    "c51": rainbow_agent.JaxRainbowAgent,
    "rainbow": rainbow_agent.JaxRainbowAgent,
    "iqn": implicit_quantile_agent.JaxImplicitQuantileAgent,
}
OWN = {  # bindings of Dopamine's own gin files that `Replayed` has not
    "dqn": {},
    "c51": {"JaxRainbowAgent.replay_scheme": "uniform"},
    "rainbow": {"JaxRainbowAgent.replay_scheme": "prioritized"},
    "iqn": {
        "JaxImplicitQuantileAgent.kappa": 1.0,
        "JaxImplicitQuantileAgent.num_tau_samples": 64,
        "JaxImplicitQuantileAgent.num_tau_prime_samples": 64,
        "JaxImplicitQuantileAgent.num_quantile_samples": 32,
    },
}


class ValidLayers:
    """flax.linen, whose convolutions pad 'valid' unless told otherwise."""

    def __init__(self, layers: types.ModuleType):
        self._layers = layers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layers, name)

    def Conv(self, **settings: Any) -> Any:  # a class's name
        return self._layers.Conv(**{"padding": "VALID"} | settings)


class Learned:
    """Counts the gradient steps of a Dopamine agent."""

    def __init__(self, agent: Any):
        self._agent = agent

    def count(self) -> int:
        return int(self._agent.optimizer_state[0].count)

    def parameters(self) -> int:
        return sum(leaf.size for leaf in jax.tree_util.tree_leaves(self._agent.online_params))


def bindings(workload: Workload) -> dict[str, Any]:
    settings, agent = workload.settings, AGENTS[workload.agent].__name__
    assert isinstance(settings, Replayed) and settings.updates_per_period == 1
    named = (
        *("gamma", "update_horizon", "min_replay_history", "update_period"),
        "target_update_period",
    )
    bound = {f"{agent}.{name}": getattr(settings, name) for name in named}
    bound |= OWN[workload.agent]
    return bound | {
        f"{agent}.epsilon_train": settings.epsilon,
        f"{agent}.epsilon_decay_period": 1,
        "create_optimizer.learning_rate": settings.learning_rate,
        "ReplayBuffer.max_capacity": settings.replay_capacity,
        "ReplayBuffer.batch_size": settings.batch_size,
        "PrioritizedSamplingDistribution.max_capacity": settings.replay_capacity,
        "Runner.training_steps": 10**9,
    }


def bind_cartpole(workload: Workload) -> None:
    """As in Dopamine's dqn_cartpole.gin, but with episodes of 500 steps, of CartPole-v1."""
    gin.bind_parameter("JaxDQNAgent.observation_shape", (4, 1))
    gin.bind_parameter("JaxDQNAgent.observation_dtype", "float64")
    gin.bind_parameter("JaxDQNAgent.stack_size", 1)
    gin.bind_parameter("JaxDQNAgent.network", networks.ClassicControlDQNNetwork)
    gin.bind_parameter("JaxDQNAgent.epsilon_fn", dqn_agent.identity_epsilon)
    gin.bind_parameter("ClassicControlDQNNetwork.num_layers", len(workload.hidden_units))
    gin.bind_parameter("ClassicControlDQNNetwork.hidden_units", workload.hidden_units[0])
    gin.bind_parameter("ClassicControlDQNNetwork.min_vals", tuple(gym_lib.CARTPOLE_MIN_VALS))
    gin.bind_parameter("ClassicControlDQNNetwork.max_vals", tuple(gym_lib.CARTPOLE_MAX_VALS))
    gin.bind_parameter("Runner.max_steps_per_episode", 500)


def make_environment(workload: Workload) -> Any:
    if workload.environment == "Pong":
        return atari_lib.create_atari_environment("Pong", sticky_actions=True)
    name, version = workload.environment.split("-")
    return gym_lib.create_gym_environment(name, version)


def play_at_random(environment: Any) -> None:
    environment.reset()
    while True:
        _, _, over, _ = environment.step(environment.action_space.sample())
        if over:
            environment.reset()


def main() -> None:
    workload = CLOCK.workload
    environment = make_environment(workload)
    if workload.agent == "random":
        CLOCK.watch(environment, "step", NothingLearned())
        play_at_random(environment)
    if CLOCK.variant != "same":
        networks.nn = ValidLayers(networks.nn)
    if workload.environment != "Pong":
        bind_cartpole(workload)
    for name, value in bindings(workload).items():
        gin.bind_parameter(name, value)

    def make_agent(sess: None, environment: Any, summary_writer: str) -> Any:
        actions = environment.action_space.n
        agent = AGENTS[workload.agent](num_actions=actions, summary_writer=summary_writer)
        saves = itertools.count()  # a checkpoint of the same iteration would not be written again
        CLOCK.watch(
            environment,
            "step",
            Learned(agent),
            lambda: runner._checkpoint_experiment(next(saves)),
        )
        return agent

    place = str(CLOCK.directory / "run")
    runner = run_experiment.TrainRunner(place, make_agent, lambda: environment)
    runner.run_experiment()


if __name__ == "__main__":
    main()
