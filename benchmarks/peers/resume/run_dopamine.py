"""Dopamine: DQN on CartPole, two iterations in one process or in two, from its own checkpoint."""

from __future__ import annotations

import sys
import types
from pathlib import Path

from digest import STEPS, print_digest

sys.modules["baselines"] = types.ModuleType(
    "baselines"
)  # which its PPO needs, and it does not require
sys.modules["baselines.common"] = types.ModuleType("baselines.common")
sys.modules["baselines.common"].atari_wrappers = None

import gin
import jax
from dopamine.discrete_domains import gym_lib, run_experiment
from dopamine.jax import networks
from dopamine.jax.agents.dqn import dqn_agent

BINDINGS = {
    "JaxDQNAgent.seed": 0,
    "JaxDQNAgent.observation_shape": (4, 1),
    "JaxDQNAgent.observation_dtype": "float64",
    "JaxDQNAgent.stack_size": 1,
    "JaxDQNAgent.network": networks.ClassicControlDQNNetwork,
    "JaxDQNAgent.min_replay_history": 100,
    "ClassicControlDQNNetwork.num_layers": 2,
    "ClassicControlDQNNetwork.hidden_units": 64,
    "ClassicControlDQNNetwork.min_vals": tuple(gym_lib.CARTPOLE_MIN_VALS),
    "ClassicControlDQNNetwork.max_vals": tuple(gym_lib.CARTPOLE_MAX_VALS),
    "ReplayBuffer.max_capacity": 10_000,
    "ReplayBuffer.batch_size": 32,
    "Runner.training_steps": STEPS,
}


def main(part: str, directory: Path) -> None:
    for name, value in BINDINGS.items():
        gin.bind_parameter(name, value)
    gin.bind_parameter("Runner.num_iterations", 1 if part == "first" else 2)
    agents = []

    def make_agent(sess: None, environment: object, summary_writer: object) -> object:
        agents.append(
            dqn_agent.JaxDQNAgent(environment.action_space.n, summary_writer=summary_writer)
        )
        return agents[-1]

    runner = run_experiment.TrainRunner(
        str(directory / "run"), make_agent, lambda: gym_lib.create_gym_environment("CartPole", "v1")
    )
    runner.run_experiment()
    if part != "first":
        print_digest(jax.tree_util.tree_leaves(agents[0].online_params))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
