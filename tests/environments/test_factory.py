"""Environments from gin: by id, and Atari games by name, both under the bound protocol."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import gin
import numpy as np
import pytest

from dopamine_lite.environments.atari_environment import AtariEnvironment
from dopamine_lite.environments.factory import create_environment

CONFIGS = Path(__file__).parents[2] / "configs" / "atari"


@pytest.mark.parametrize(
    "build, binding",
    [
        (create_environment, 'create_environment.id = "ALE/Pong-v5"'),
        (AtariEnvironment, 'AtariEnvironment.game = "Pong"'),
    ],
)
def test_an_atari_game_is_played_by_the_bound_protocol(build, binding):
    gin.parse_config([binding, "AtariEnvironment.repeat_action_probability = 0.0"])
    environment = build(num_envs=2, seed=0, max_steps_per_episode=50, render=False, evaluate=True)
    assert isinstance(environment, AtariEnvironment)
    assert environment.spec.id == "Pong"
    assert environment.spec.protocol["repeat_action_probability"] == 0.0
    assert environment.spec.max_steps_per_episode == 50
    environment.close()


def test_evaluation_plays_whole_games_where_training_plays_lives():
    gin.parse_config("AtariEnvironment.episodic_life = True")
    for evaluate in (False, True):
        environment = create_environment("ALE/Breakout-v5", evaluate=evaluate)
        environment.reset()
        step = environment.step(np.zeros(1, int))
        assert (step.game_over is None) == evaluate
        environment.close()


def test_every_other_id_is_gymnasiums():
    gin.parse_config('create_environment.id = "CartPole-v1"')
    environment = create_environment(num_envs=1, seed=0, max_steps_per_episode=None, render=False)
    assert environment.spec.protocol == {"environment": "CartPole-v1", "max_steps_per_episode": 500}


def test_the_sticky_protocol_is_the_default():
    gin.parse_config_file(str(CONFIGS / "sticky.gin"), skip_unknown=["Runner"])
    for name, parameter in inspect.signature(AtariEnvironment).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and name not in ("game", "stack_size"):
            assert gin.query_parameter(f"AtariEnvironment.{name}") == parameter.default, name


def test_the_nature_protocol():
    gin.parse_config_file(str(CONFIGS / "nature.gin"), skip_unknown=["Runner"])
    environment = AtariEnvironment(game="Pong", max_steps_per_episode=4500)
    protocol = environment.spec.protocol
    environment.close()
    assert protocol["noop_max"] == 30
    assert protocol["repeat_action_probability"] == 0
    assert protocol["episodic_life"] == "in training"
    assert protocol["max_frames_per_episode"] == 18_000


def test_environments_do_not_need_tensorflow():
    code = "import sys, dopamine_lite.environments.factory; print('tensorflow' in sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "False"
