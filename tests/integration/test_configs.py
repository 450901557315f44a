"""Every packaged experiment opens with its provenance and runs for a few steps.

Those that take no time, and one of each kind on Atari's frames, also resume; tests/runner kills every
agent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dopamine_lite.cli.main import main
from dopamine_lite.configuration import all_configs, packaged_configs
from dopamine_lite.reporting.log_reader import read_episodes, read_iterations
from tests.core import core
from tests.integration.shrink import shrunk

CONFIGS = sorted(path.relative_to(packaged_configs()).as_posix() for path in all_configs())
EXPERIMENTS = [name for name in CONFIGS if not name.startswith(("atari/", "minatar/"))]
QUICK = ("classics/q_", "classics/sarsa_", "classics/double_q_", "classics/switching_")
CORE = ("dqn/atari.gin", "ppo/cartpole.gin", "classics/sarsa_cliff.gin")
ON_FRAMES = ("dqn/atari.gin", "ppo/atari.gin", "classics/reinforce_pong.gin")
RESUMED = [name for name in EXPERIMENTS if name.startswith(QUICK) or name in ON_FRAMES]


def test_the_experiments_are_all_there():
    assert {
        "dqn/cartpole.gin",
        "dqn/acrobot.gin",
        "dqn/lunar_lander.gin",
        "dqn/mountain_car.gin",
        "dqn/atari.gin",
        "dqn/atari_nature.gin",
        "random/atari.gin",
        *(
            f"{agent}/{environment}.gin"
            for agent in ("c51", "qr_dqn", "iqn", "rainbow")
            for environment in ("cartpole", "acrobot", "lunar_lander", "minatar", "atari")
        ),
        *(f"pqn/{environment}.gin" for environment in ("cartpole", "acrobot", "minatar", "atari")),
        *(
            f"ppo/{environment}.gin"
            for environment in (
                "cartpole",
                "acrobot",
                "lunar_lander",
                "lunar_lander_continuous",
                "pendulum",
                "rocket_lander",
                "atari",
                "atari_ppo2",
            )
        ),
        *(
            f"sac/{environment}.gin"
            for environment in (
                "pendulum",
                "mountain_car_continuous",
                "lunar_lander_continuous",
                "bipedal_walker",
            )
        ),
        *(f"classics/{agent}_cartpole.gin" for agent in ("q_learning", "sarsa", "double_q")),
        *(f"classics/reinforce_{game}.gin" for game in ("lunar_lander", "space_invaders", "pong")),
        *(f"classics/dqn_{game}.gin" for game in ("breakout", "space_invaders")),
        "classics/switching_asterix.gin",
        "classics/q_learning_grid_world.gin",
        "classics/dqn_boltzmann_cartpole.gin",
        "classics/ppo_kl_rocket_lander.gin",
        *(f"classics/{agent}_cliff.gin" for agent in ("q_learning", "sarsa")),
    } <= set(EXPERIMENTS)


@pytest.mark.parametrize("name", CONFIGS)
def test_opens_with_its_provenance(name):
    first, *rest = (packaged_configs() / name).read_text().splitlines()
    assert first.startswith("# ") and first.endswith(".")
    assert any(line.startswith("# Provenance: ") for line in rest[:4])


def train(name: str, base_dir: Path, *bindings: str) -> int:
    flags = [*shrunk(name), *(f"--gin_bindings={binding}" for binding in bindings)]
    return main(["train", "--base_dir", str(base_dir), "--gin_files", name, *flags])


def assert_learned(name: str, base_dir: Path) -> None:
    lines = read_iterations(base_dir)[:2]
    assert [line["iteration"] for line in lines] == [0, 1]
    assert lines[1]["agent_steps"] == 640
    if "random" not in name and "switching" not in name:
        assert {"loss", "policy_loss", "td_error"} & set(lines[1]["train"])


@pytest.mark.parametrize(
    "name", core([name for name in EXPERIMENTS if name not in RESUMED or name in CORE], *CORE)
)
def test_runs(name, tmp_path):
    assert train(name, tmp_path / "run", "Runner.checkpoint_every_steps = None") == 0
    assert_learned(name, tmp_path / "run")


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", RESUMED)
def test_runs_and_resumes_as_if_never_stopped(name, tmp_path):
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    longer = "Runner.num_iterations = 3"
    assert train(name, whole, longer) == train(name, resumed) == train(name, resumed, longer) == 0
    lines = [[line | {"time": None} for line in read_iterations(run)] for run in (whole, resumed)]
    assert lines[0] == lines[1] and len(lines[0]) == 3
    assert read_episodes(whole) == read_episodes(resumed)
    assert_learned(name, whole)


@pytest.mark.exhaustive
def test_sarsa_earns_more_on_the_cliff_than_q_learning_which_finds_the_shorter_path(tmp_path):
    """Sutton and Barto (2018), example 6.6, by the packaged configs as they are."""
    online, greedy = {}, {}
    for agent in ("q_learning", "sarsa"):
        run, config = tmp_path / agent, f"classics/{agent}_cliff.gin"
        assert main(["train", "--base_dir", str(run), "--gin_files", config]) == 0
        returns = [line["return"] for line in read_episodes(run) if line["phase"] == "train"]
        online[agent] = np.mean(returns[len(returns) // 2 :])
        greedy[agent] = [line["eval"]["average_return"] for line in read_iterations(run)]
    assert -60 < online["q_learning"] < -40 < online["sarsa"] < -20
    assert set(greedy["q_learning"][1:]) == {-13}  # along the edge
    assert max(greedy["sarsa"]) == -17  # at a distance


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("binding", "part"),
    [
        ("RainbowAgent.double = False", "double False"),
        ("RainbowAgent.dueling = False", "dueling False"),
        ("RainbowAgent.noisy = False", "noisy False"),
        ("RainbowAgent.categorical = False", "head QHead"),
        ("RainbowAgent.update_horizon = 1", "update_horizon 1"),
        ("RainbowAgent.replay = @CircularReplay", "replay CircularReplay"),
    ],
)
def test_one_binding_takes_a_part_of_rainbow_away(binding, part, tmp_path, capsys):
    name, directory = "rainbow/cartpole.gin", str(tmp_path / "run")
    shorter = [flag for flag in shrunk(name) if "replay_capacity" not in flag]
    arguments = ["train", "--base_dir", directory, "--gin_files", name, *shorter]
    assert main([*arguments, "--gin_bindings", binding]) == 0
    assert part in capsys.readouterr().err
    config = (tmp_path / "run" / "config.gin").read_text()
    assert binding in config
    assert ("PrioritizedReplay." in config) == ("replay" not in binding)
