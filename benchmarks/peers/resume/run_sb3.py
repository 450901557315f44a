"""Stable-Baselines3: DQN on CartPole, in one process or saved and loaded in between."""

from __future__ import annotations

import sys
from pathlib import Path

import gymnasium
from digest import STEPS, print_digest
from stable_baselines3 import DQN


def main(part: str, directory: Path) -> None:
    if part == "second":
        model = DQN.load(directory / "model", env=gymnasium.make("CartPole-v1"))
        model.load_replay_buffer(directory / "replay")
    else:
        model = DQN("MlpPolicy", "CartPole-v1", seed=0, learning_starts=100)
        model.learn(STEPS)
    if part == "first":
        model.save(directory / "model")
        model.save_replay_buffer(directory / "replay")
        return
    model.learn(STEPS, reset_num_timesteps=False)
    print_digest(each.detach().numpy() for each in model.q_net.parameters())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
