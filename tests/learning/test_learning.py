"""Agents reach the returns that the README states. Minutes each: `make test-learning`."""

from __future__ import annotations

import json

import pytest

from dopamine_lite.cli.main import main

FAMILY = ("dqn", "c51", "qr_dqn", "iqn", "rainbow")


@pytest.mark.learning
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("config", "least"),
    [
        *((f"{agent}/cartpole.gin", 475) for agent in FAMILY),
        ("pqn/cartpole.gin", 475),
        ("pqn/acrobot.gin", -90),
        ("ppo/cartpole.gin", 475),
        ("ppo/acrobot.gin", -90),
        ("ppo/pendulum.gin", -220),
        ("ppo/lunar_lander.gin", 200),
        ("ppo/lunar_lander_continuous.gin", 200),
        ("sac/pendulum.gin", -220),
        ("sac/mountain_car_continuous.gin", 90),
        ("ppo/rocket_lander.gin", 200),
        ("classics/ppo_kl_rocket_lander.gin", 200),
        *((f"{agent}/lunar_lander.gin", 200) for agent in FAMILY),
        ("classics/q_learning_grid_world.gin", -11),
        ("classics/sarsa_cartpole.gin", 195),
        ("classics/double_q_cartpole.gin", 195),
        ("classics/reinforce_lunar_lander.gin", 100),
        ("classics/dqn_boltzmann_cartpole.gin", 200),
    ],
)
def test_reaches(config, least, tmp_path):
    run = tmp_path / "run"
    result = tmp_path / "result.json"
    assert main(["train", "--base_dir", str(run), "--gin_files", config, "--seed", "0"]) == 0
    assert main(["evaluate", "--base_dir", str(run), "--output", str(result)]) == 0
    assert json.loads(result.read_text())["summary"]["mean"] >= least
