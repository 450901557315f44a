"""Example 6.7: its rewards, ends and masks; plain Q-learning falls for it and double does not."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dopamine_lite.cli.main import main
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.maximisation_bias import LEFT, RIGHT, A, B, MaximisationBias
from dopamine_lite.reporting.log_reader import read_episodes


def test_follows_gymnasium():
    check_env(MaximisationBias(), skip_render_check=True)
    env = gymnasium.make(
        "dopamine_lite.environments.registration:MaximisationBias-v0", num_actions=3
    )
    assert env.action_space == gymnasium.spaces.Discrete(3)


def test_right_ends_and_left_leads_to_luck():
    env = MaximisationBias(num_actions=4)
    state, info = env.reset(seed=0)
    assert state == A and info["action_mask"].tolist() == [1, 1, 0, 0]
    assert env.step(RIGHT)[1:3] == (0.0, True)
    rewards = []
    for episode in range(4000):
        env.reset()
        state, reward, terminated, truncated, info = env.step(LEFT)
        assert (state, reward, terminated, truncated) == (B, 0.0, False, False)
        assert info["action_mask"].all()
        _, reward, terminated, _, _ = env.step(episode % 4)
        assert terminated
        rewards.append(reward)
    assert np.mean(rewards) == pytest.approx(-0.1, abs=4 / 4000**0.5)
    assert np.std(rewards) == pytest.approx(1.0, abs=0.05)


def test_what_is_illegal_does_nothing():
    env = MaximisationBias()
    env.reset(seed=0)
    assert env.step(2)[:3] == (A, 0.0, False)


def test_two_actions_are_the_least():
    with pytest.raises(UserError, match="num_actions is 1"):
        MaximisationBias(num_actions=1)


@pytest.mark.exhaustive
def test_double_q_learning_goes_left_less(tmp_path):
    """The first 50 episodes of ten runs each, where the example's figure has the widest gap."""
    left = {}
    for agent in ("q_learning", "double_q"):
        lengths = []
        for seed in range(10):
            run = str(tmp_path / f"{agent}_{seed}")
            config = f"classics/{agent}_maximisation_bias.gin"
            shorter = ["--gin_bindings=Runner.num_iterations = 2", "--seed", str(seed)]
            assert main(["train", "--base_dir", run, "--gin_files", config, *shorter]) == 0
            lengths += [line["length"] for line in read_episodes(run)[:50]]
        left[agent] = np.mean(lengths) - 1
    assert left["q_learning"] > 0.6
    assert left["double_q"] < 0.4
