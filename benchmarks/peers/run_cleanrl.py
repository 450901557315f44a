"""CleanRL: runs its scripts, as they are, until `clock` has measured them.

They are not part of this repository: `measure.py` fetches them, and CLEANRL says where they are.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import ale_py  # noqa: F401  # registers its games
import gymnasium
import numpy as np
from clock import Clock, NothingLearned
from torch_updates import TorchUpdates
from workloads import Replayed, Rollouts, Workload

SOURCE = Path(os.environ["CLEANRL"])
SCRIPTS = {
    ("dqn", "CartPole-v1"): "dqn",
    ("c51", "CartPole-v1"): "c51",
    ("ppo", "CartPole-v1"): "ppo",
    ("dqn", "Pong"): "dqn_atari",
    ("c51", "Pong"): "c51_atari",
    ("hessel", "Pong"): "rainbow_atari",
    ("ppo", "Pong"): "ppo_atari",
    ("random", "Pong"): "ppo_atari",
}
ENDLESS = 10**9  # steps


def arguments(workload: Workload) -> dict[str, object]:
    """The flags that give a script the settings of the workload."""
    settings, game = workload.settings, workload.environment == "Pong"
    flags: dict[str, object] = {
        "env-id": "PongNoFrameskip-v4" if game else workload.environment,
        "total-timesteps": ENDLESS,
        "num-envs": workload.num_envs,
    }
    if isinstance(settings, Replayed):
        flags |= {
            "learning-rate": settings.learning_rate,
            "buffer-size": settings.replay_capacity,
            "gamma": settings.gamma,
            "target-network-frequency": settings.target_update_period,
            "batch-size": settings.batch_size,
            "start-e": settings.epsilon,
            "end-e": settings.epsilon,
            "learning-starts": settings.min_replay_history,
            "train-frequency": settings.update_period,
        }
        if workload.agent == "c51":
            flags |= {"n-atoms": 51}
    if isinstance(settings, Rollouts):
        flags |= {
            "learning-rate": settings.learning_rate,
            "num-steps": settings.rollout_length,
            "gamma": settings.gamma,
            "gae-lambda": settings.gae_lambda,
            "num-minibatches": settings.num_minibatches,
            "update-epochs": settings.num_epochs,
            "clip-coef": settings.clip,
            "ent-coef": settings.entropy_coefficient,
            "vf-coef": settings.value_coefficient,
            "max-grad-norm": settings.max_gradient_norm,
        }
    return flags


def play_at_random(script: Path, workload: Workload) -> None:
    """Steps the environments that the script makes; under another name it only defines them."""
    make = runpy.run_path(str(script), run_name="definitions")["make_env"]
    thunks = [make("PongNoFrameskip-v4", index, False, "") for index in range(workload.num_envs)]
    environments = gymnasium.vector.SyncVectorEnv(thunks)
    environments.reset()
    while True:
        environments.step(np.array(environments.action_space.sample()))


def main() -> None:
    clock = Clock("CleanRL", version=os.environ["CLEANRL_COMMIT"][:7])
    updates = TorchUpdates(clock.threads)
    workload = clock.workload
    script = SOURCE / "cleanrl" / f"{SCRIPTS[workload.agent, workload.environment]}.py"
    sys.path.insert(0, str(SOURCE))
    learned = NothingLearned() if workload.agent == "random" else updates
    clock.watch(gymnasium.vector.SyncVectorEnv, "step", learned)
    if workload.agent == "random":
        play_at_random(script, workload)
    flags = [f"--{name}={value}" for name, value in arguments(workload).items()]
    if workload.agent == "ppo":
        flags += ["--no-anneal-lr"]
        if workload.environment != "Pong":
            flags += ["--no-clip-vloss"]
    sys.argv = [str(script), *flags]
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
