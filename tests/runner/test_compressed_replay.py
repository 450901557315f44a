"""A run whose replay is compressed is the run with a plain one, bit for bit."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.networks.torsos import MLP
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.reporting import provenance
from dopamine_lite.runner.runner import Runner
from tests.core import core
from tests.fingerprints import fingerprint
from tests.integration.shrink import shrunk

CASES = [
    ("dqn/cartpole.gin", "CircularReplay"),
    ("rainbow/cartpole.gin", "PrioritizedReplay"),
    ("dqn/atari.gin", "CircularReplay"),
    ("rainbow/atari.gin", "PrioritizedReplay"),
    ("sac/pendulum.gin", "CircularReplay"),
]


@pytest.mark.parametrize(("config", "replay"), core(CASES, CASES[1]))
def test_it_gives_the_same_bits_and_can_be_switched_on_and_off(cli, tmp_path, config, replay):
    flags = [*shrunk(config), f"--gin_bindings={replay}.replay_capacity = 300"]  # wraps round
    compressed = f"--gin_bindings={replay}.compress = True"
    plain = f"--gin_bindings={replay}.compress = False"

    def train(name: str, iterations: int, *more: str) -> str:
        longer = f"--gin_bindings=Runner.num_iterations = {iterations}"
        begun = (tmp_path / name).exists()
        what = [] if begun else [f"--gin_files={config}", *flags]
        ran = cli("train", "--base_dir", tmp_path / name, *what, longer, *more)
        assert ran.status == 0, ran.err
        return ran.err

    train("plain", 3)
    assert "compress True" in train("compressed", 3, compressed)
    train("switched", 1)
    said = train("switched", 2, compressed)
    assert "Resuming at agent step" in said
    assert "another experiment" not in said and "different experiments" not in said
    assert f"{replay}.compress = True" in (tmp_path / "switched" / "config.gin").read_text()
    assert "compress False" not in train("switched", 3, plain)
    prints = {name: fingerprint(tmp_path / name) for name in ("plain", "compressed", "switched")}
    logged = {
        name: [record["train"].pop("frames_bytes", 0) > 0 for record in found["iterations"]]
        for name, found in prints.items()
    }
    assert logged == {
        "plain": [False] * 3,
        "compressed": [True] * 3,
        "switched": [False, True, False],
    }
    assert prints["compressed"] == prints["switched"] == prints["plain"]
    assert provenance.read(tmp_path / "compressed")["agent"]["compress"] is True
    evaluated = cli("evaluate", "--base_dir", tmp_path / "compressed", "--episodes", 1)
    assert evaluated.status == 0, evaluated.err


def test_it_can_be_switched_on_from_python(tmp_path):
    def runner(iterations: int, **settings: Any) -> Runner:
        return Runner(
            tmp_path,
            agent=functools.partial(
                DQNAgent,
                torso=lambda seeds: MLP(seeds, (8,)),
                min_replay_history=40,
                replay=functools.partial(CircularReplay, replay_capacity=100, **settings),
            ),
            environment=lambda **given: create_environment("CartPole-v1", **given),
            schedule="continuous_train",
            training_steps=100,
            num_iterations=iterations,
        )

    runner(1).run()
    longer = runner(2, compress=True)
    longer.run()
    assert longer.agent.replay.metrics()["frames_bytes"] > 0
