"""Every environment keeps the contract: seeds, same-step autoreset, ends told apart."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.atari_environment import AtariEnvironment, find_rom
from dopamine_lite.environments.environment import Environment
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.environments.gymnasium_environment import GymnasiumEnvironment
from dopamine_lite.environments.vector_environment import VectorEnvironment

IDS = ["CartPole-v1", "Acrobot-v1", "LunarLander-v3", "BipedalWalker-v3", "ALE/Pong-v5"]


def play(environment: Environment, steps: int, seed: int = 0) -> list[np.ndarray]:
    """Everything an environment returned during `steps` of random play."""
    space = environment.spec.action_space
    space.seed(seed)
    seen = [environment.reset()]
    for _ in range(steps):
        actions = np.array([space.sample() for _ in range(environment.spec.num_envs)])
        result = environment.step(actions)
        seen += [part for part in result if isinstance(part, np.ndarray)]
    environment.close()
    return seen


@pytest.mark.parametrize("id", IDS)
def test_made_anew_it_repeats_bit_for_bit(id):
    first, second, other = (
        play(create_environment(id, num_envs=2, seed=seed), 150) for seed in (1, 1, 2)
    )
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.dtype == two.dtype
    if not id.startswith("ALE/"):
        assert any((one != two).any() for one, two in zip(first[:7], other[:7], strict=True))
        assert (first[0][0] != first[0][1]).any()  # environments differ


@pytest.mark.parametrize("id", IDS)
def test_what_it_returns_is_what_its_spec_says(id):
    environment = create_environment(id, num_envs=3)
    observations = environment.reset()
    actions = np.array([environment.spec.action_space.sample() for _ in range(3)])
    result = environment.step(actions)
    space = environment.spec.observation_space
    for array in (observations, result.observations, result.next_observations):
        assert array.shape == (3, *space.shape)
        assert array.dtype == space.dtype
    assert result.rewards.dtype == np.float64 and result.rewards.shape == (3,)
    assert result.terminated.dtype == result.truncated.dtype == bool
    environment.close()


def test_autoreset_happens_within_the_step():
    """Often wrong: bootstrapping across an autoreset."""
    environment = GymnasiumEnvironment("CartPole-v1", num_envs=2, seed=3)
    environment.reset()
    ends = 0
    for _ in range(200):
        result = environment.step(np.array([0, 1]))
        ended = result.terminated | result.truncated
        assert not (result.terminated & result.truncated).any()
        for index in range(2):
            beginning = np.abs(result.observations[index]).max() <= 0.05
            if ended[index]:
                ends += 1
                assert beginning
                # The pole has fallen or the cart has left: a true final state.
                x, _, angle, _ = result.next_observations[index]
                assert abs(angle) > 0.2094 or abs(x) > 2.4
            else:
                np.testing.assert_array_equal(
                    result.observations[index], result.next_observations[index]
                )
    assert ends > 10


@pytest.mark.parametrize("id", ["CartPole-v1", "Acrobot-v1", "ALE/Pong-v5"])
def test_the_step_limit_truncates(id):
    environment = create_environment(id, num_envs=2, max_steps_per_episode=5)
    environment.reset()
    for step in range(1, 16):
        result = environment.step(np.array([step % 2, step % 2]))
        assert result.truncated.tolist() == [step % 5 == 0] * 2
        assert not result.terminated.any()
    assert environment.spec.max_steps_per_episode == 5
    environment.close()


@pytest.mark.parametrize("num_envs", [1, 2])
@pytest.mark.parametrize(("asked", "limit"), [(None, 200), (7, 7), (203, 203)])
def test_the_limit_that_is_asked_for_takes_the_place_of_the_environments_own(
    asked, limit, num_envs
):
    """Often wrong: a limit above the environment's own is ignored."""
    environment = create_environment(
        "MountainCar-v0", num_envs=num_envs, max_steps_per_episode=asked
    )
    environment.reset()
    ends = [bool(environment.step(np.ones(num_envs, int)).truncated.all()) for _ in range(limit)]
    assert ends == [False] * (limit - 1) + [True]
    assert environment.spec.max_steps_per_episode == limit
    assert environment.spec.protocol["max_steps_per_episode"] == limit


def test_a_limit_beyond_what_the_emulator_counts_is_refused():
    with pytest.raises(UserError, match="counts no further than 536,870,911 steps: give that"):
        AtariEnvironment(game="Pong", max_steps_per_episode=536_870_912)
    AtariEnvironment(game="Pong", max_steps_per_episode=536_870_911).close()


@pytest.mark.parametrize("noop_max", [0, 30])
def test_a_game_begins_with_an_empty_stack(noop_max):
    environment = AtariEnvironment(num_envs=2, game="Pong", noop_max=noop_max)
    observations = environment.reset()
    assert observations.shape == (2, 4, 84, 84)
    assert not observations[:, :3].any() and observations[:, 3].any()
    result = environment.step(np.array([0, 0]))
    np.testing.assert_array_equal(result.observations[:, 2], observations[:, 3])
    environment.close()


def test_rewards_are_raw():
    """Often wrong: ale_py clips rewards by default. A brick of Breakout's top rows is worth 7."""
    environment = AtariEnvironment(num_envs=8, game="SpaceInvaders", seed=0)
    seen = play(environment, 300)
    rewards = {float(reward) for part in seen[2::5] for reward in part}
    assert max(rewards) >= 5
    assert environment.spec.protocol["repeat_action_probability"] == 0.25


def test_a_lost_life_is_terminal_in_training_only():
    def ends(**arguments: bool) -> tuple[int, int, list[np.ndarray]]:
        environment = AtariEnvironment(
            num_envs=2, game="Breakout", episodic_life=True, seed=5, **arguments
        )
        environment.reset()
        generator = np.random.default_rng(0)
        terminated = games = 0
        after = []
        for _ in range(700):
            result = environment.step(generator.integers(4, size=2))
            terminated += int(result.terminated.sum())
            over = result.game_over
            games += int((result.terminated if over is None else over).sum())
            for index in np.flatnonzero(result.terminated):
                after.append(result.observations[index])
                assert result.next_observations[index, :3].any()  # the true last stack
        environment.close()
        return terminated, games, after

    terminated, games, after = ends()
    assert games >= 2
    assert 4 * games < terminated < 5 * (games + 2)
    for stack in after:  # a life begins as a game does
        assert not stack[:3].any() and stack[3].any()
    terminated, whole, _ = ends(evaluate=True)
    assert terminated == whole == games


def test_the_drawn_game_is_the_played_game():
    environment = AtariEnvironment(game="Breakout", seed=4, render=True, noop_max=30)
    environment.reset()
    assert environment._twin is not None
    generator = np.random.default_rng(0)
    for _ in range(400):
        result = environment.step(generator.integers(4, size=1))
        assert environment._twin.rewards[0] == result.rewards[0]
        assert environment._twin.ended == (result.terminated | result.truncated)[0]
    frame = environment.render()
    assert frame.shape == (210, 160, 3) and frame.dtype == np.uint8 and frame.std() > 10
    environment.close()


def test_gymnasium_environments_draw():
    environment = GymnasiumEnvironment("CartPole-v1", render=True)
    environment.reset()
    assert environment.render().shape == (400, 600, 3)
    environment.close()


@pytest.mark.parametrize(
    "name", ["SpaceInvaders", "space_invaders", "spaceinvaders", "ALE/SpaceInvaders-v5"]
)
def test_games_are_found_by_any_usual_name(name):
    assert find_rom(name) == "space_invaders"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: AtariEnvironment(game="Pogn"), "no Atari game 'Pogn': did you mean Pong"),
        (lambda: create_environment("CartPole-v7"), "no environment 'CartPole-v7'"),
        (lambda: create_environment("CartPol-v1"), "did you mean CartPole-v1"),
    ],
)
def test_unknown_and_unfit_environments_are_told(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()


def test_a_tuple_of_names_comes_packed():
    environment = create_environment("Blackjack-v1", num_envs=2, seed=1)
    space = environment.spec.observation_space
    assert list(space.entries) == ["0", "1", "2"]
    observations = environment.reset()
    assert all(space.contains(row) for row in observations)
    assert (space.unpack(observations)["0"] >= 4).all()  # two cards of the player's


def test_a_vector_environment_that_resets_a_step_later_is_refused():
    envs = gymnasium.make_vec("CartPole-v1", 2, "vector_entry_point")
    with pytest.raises(ValueError, match="does not reset within the step"):
        VectorEnvironment(envs, GymnasiumEnvironment("CartPole-v1").spec, 0)
    envs.close()
