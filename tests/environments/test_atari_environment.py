"""Atari games: the protocol reaches the emulator, and stacks, lives and colors are right."""

from __future__ import annotations

import inspect
import os

import ale_py
import ale_py.roms
import ale_py.vector_env
import gymnasium
import numpy as np
import pytest

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.atari_environment import AtariEnvironment, find_rom
from dopamine_lite.environments.environment import Step


def play(environment: AtariEnvironment, steps: int, seed: int = 0) -> list[Step]:
    """Random play; closes the environment."""
    generator = np.random.default_rng(seed)
    environment.reset()
    actions = environment.spec.action_space.n
    results = [
        environment.step(generator.integers(actions, size=environment.spec.num_envs))
        for _ in range(steps)
    ]
    environment.close()
    return results


def assert_equal(first: list[Step], second: list[Step]) -> None:
    for one, two in zip(first, second, strict=True):
        for part, other in zip(one, two, strict=True):
            np.testing.assert_array_equal(part, other)


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    one = play(AtariEnvironment(4, seed=3, game="Breakout"), 200)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    two = play(AtariEnvironment(4, seed=3, game="Breakout"), 200)
    assert_equal(one, two)


def test_environments_differ_and_do_not_depend_on_their_number():
    actions = np.random.default_rng(0).integers(4, size=150)

    def observations(num_envs: int) -> np.ndarray:
        environment = AtariEnvironment(num_envs, seed=3, game="Breakout")
        environment.reset()
        seen = [environment.step(np.full(num_envs, a)).observations for a in actions]
        environment.close()
        return np.stack(seen)  # [time, env, 4, 84, 84]

    alone, together = observations(1), observations(3)
    np.testing.assert_array_equal(alone[:, 0], together[:, 0])
    for first, second in ((0, 1), (0, 2), (1, 2)):  # the same actions, but sticky each in its way
        assert (together[:, first] != together[:, second]).any()


def test_every_option_of_ale_py_is_set(monkeypatch):
    """Often wrong: its defaults clip rewards, press fire and begin with no-ops."""
    real = ale_py.vector_env.AtariVectorEnv
    calls = []

    def recorded(*arguments, **options):
        calls.append(options)
        return real(*arguments, **options)

    monkeypatch.setattr(ale_py.vector_env, "AtariVectorEnv", recorded)
    AtariEnvironment(game="Pong", render=True).close()
    parameters = inspect.signature(real.__init__).parameters.values()
    options = {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}
    assert len(calls) == 2  # the played game and the drawn one
    assert all(options == call.keys() for call in calls)
    assert not any(call["reward_clipping"] for call in calls)


def test_what_is_bound_reaches_the_emulator(monkeypatch):
    """Often wrong: a protocol that is recorded and not played."""
    real, calls = ale_py.vector_env.AtariVectorEnv, []
    monkeypatch.setattr(
        ale_py.vector_env,
        "AtariVectorEnv",
        lambda *arguments, **options: calls.append(options) or real(*arguments, **options),
    )
    environment = AtariEnvironment(
        game="Pong",
        repeat_action_probability=0.0,
        fire_reset=True,
        full_action_space=True,
        frame_skip=3,
    )
    environment.close()
    expected = {
        "repeat_action_probability": 0.0,
        "use_fire_reset": True,
        "full_action_space": True,
        "frameskip": 3,
    }
    assert expected.items() <= calls[0].items()
    assert environment.spec.protocol["repeat_action_probability"] == 0.0


def test_the_limits_of_episodes_are_those_of_the_protocols():
    environment = AtariEnvironment(game="Pong")
    assert environment.spec.max_steps_per_episode == 27_000  # 108,000 frames
    environment.close()
    limits = {"RocketLander-v0": 800, "MaximisationBias-v0": 100}
    for name, limit in limits.items():
        registered = f"dopamine_lite.environments.registration:{name}"
        environment = gymnasium.make(registered)
        assert environment.spec.max_episode_steps == limit
        environment.close()


def test_frames_are_what_the_emulator_shows():
    """Against ale_py's single-game interface: 4 frames an action, the last two max-pooled, resized
    by area to 84 x 84, with the same sticky actions; the drawn game shows the same in color."""
    environment = AtariEnvironment(game="SpaceInvaders", seed=7, render=True)
    assert environment._twin is not None
    ale = ale_py.ALEInterface()
    ale.setLoggerMode(ale_py.LoggerMode.Error)
    ale.setFloat("repeat_action_probability", 0.25)
    ale.setInt("random_seed", int(environment._seeds[0]))
    ale.loadROM(ale_py.roms.get_rom_path("space_invaders"))
    ale.reset_game()
    screen = ale.getScreenGrayscale().reshape(210, 160)
    np.testing.assert_allclose(environment.reset()[0, -1], resized(screen), atol=1.01)
    actions = ale.getMinimalActionSet()
    for step, action in enumerate(np.random.default_rng(0).integers(len(actions), size=150)):
        result = environment.step(np.array([action]))
        reward, screens, pictures = 0.0, [], []
        for _ in range(4):
            reward += ale.act(actions[action])
            screens.append(ale.getScreenGrayscale().reshape(210, 160))
            pictures.append(ale.getScreenRGB())
        assert result.rewards[0] == reward
        assert environment._info["lives"][0] == ale.lives()
        if step % 10 == 0:
            expected = resized(np.maximum(*screens[-2:]))
            np.testing.assert_allclose(result.observations[0, -1], expected, atol=1.01)
        np.testing.assert_array_equal(environment.render(), np.maximum(*pictures[-2:]))
    environment.close()


def resized(screen: np.ndarray) -> np.ndarray:
    """Means over the area of each of 84 x 84 pixels."""

    def weights(size: int) -> np.ndarray:  # [84, size]: how much of a pixel an old one covers
        edges = np.arange(85) * size / 84
        old = np.arange(size)
        covered = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
        return np.clip(covered, 0, None) * 84 / size

    return weights(210) @ screen @ weights(160).T


@pytest.mark.parametrize("noop_max", [0, 2])
def test_a_game_begins_with_up_to_noop_max_frames_without_action(noop_max):
    environment = AtariEnvironment(8, game="Pong", seed=1, noop_max=noop_max)
    environment.reset()
    frames = environment._info["episode_frame_number"]
    assert set((frames - frames.min()).tolist()) == set(range(noop_max + 1))
    environment.close()


def test_a_game_lost_is_terminated_and_never_truncated():
    """Often wrong: truncation treated as terminal, or terminal as truncation."""
    results = play(AtariEnvironment(2, game="Breakout"), 500)
    assert sum(int(result.terminated.sum()) for result in results) >= 2
    assert not any(result.truncated.any() for result in results)
    for result in results:
        over = result.terminated | result.truncated
        for index in range(2):
            if over[index]:  # the new game's first frame, alone; the old one's last, in its stack
                assert not result.observations[index, :3].any()
                assert result.next_observations[index, :3].any()
        if not over.any():
            assert result.next_observations is result.observations


def test_a_stack_holds_the_frames_of_one_life():
    """What the agent acts on is what a replay of single frames puts together: zeros before a life."""
    environment = AtariEnvironment(3, game="Breakout", seed=5, episodic_life=True)
    newest = environment.reset()[:, -1]
    lives = [[frame] for frame in newest]  # the frames of each environment's life

    def stacks() -> np.ndarray:
        empty = np.zeros((84, 84), np.uint8)
        return np.array([([empty] * 4 + frames)[-4:] for frames in lives])

    generator = np.random.default_rng(0)
    lost = 0
    for _ in range(400):
        result = environment.step(generator.integers(4, size=3))
        for index, frames in enumerate(lives):
            frames.append(result.next_observations[index, -1])
        np.testing.assert_array_equal(result.next_observations, stacks())
        for index in np.flatnonzero(result.terminated):
            lost += 1
            lives[index] = [result.observations[index, -1]]
        np.testing.assert_array_equal(result.observations, stacks())
    assert lost > 10
    environment.close()


def test_lives_change_what_the_agent_is_told_and_not_the_game():
    training = play(AtariEnvironment(2, game="Breakout", seed=5, episodic_life=True), 400)
    evaluation = play(
        AtariEnvironment(2, game="Breakout", seed=5, episodic_life=True, evaluate=True), 400
    )
    for told, whole in zip(training, evaluation, strict=True):
        assert whole.game_over is None and told.game_over is not None
        np.testing.assert_array_equal(told.game_over, whole.terminated | whole.truncated)
        np.testing.assert_array_equal(told.rewards, whole.rewards)
        np.testing.assert_array_equal(told.next_observations[:, -1], whole.next_observations[:, -1])
        assert (told.terminated | ~told.game_over).all()  # a game's end is the agent's as well
    assert sum(int(told.terminated.sum()) for told in training) > sum(
        int(whole.terminated.sum()) for whole in evaluation
    )


def test_the_protocol_says_how_a_game_is_played():
    environment = AtariEnvironment(game="pong", max_steps_per_episode=100, noop_max=30)
    protocol = environment.spec.protocol
    environment.close()
    assert protocol["environment"] == "Atari Pong"
    assert protocol["noop_max"] == 30
    assert protocol["max_frames_per_episode"] == 400
    assert len(protocol["rom_sha256"]) == 64
    assert not any(isinstance(value, np.generic) for value in protocol.values())  # goes into JSON


@pytest.mark.parametrize("action", [-1, 6])
def test_an_action_that_does_not_exist_is_an_error(action):
    """ale_py would wait for ever."""
    environment = AtariEnvironment(2, game="Pong")
    environment.reset()
    with pytest.raises(ValueError, match=r"not all in Discrete\(6\)"):
        environment.step(np.array([0, action]))
    environment.close()


@pytest.mark.parametrize(
    "name, rom",
    [
        ("Pong", "pong"),
        ("pong", "pong"),
        ("ALE/Pong-v5", "pong"),
        ("Space Invaders", "space_invaders"),
        ("TicTacToe3D", "tic_tac_toe_3d"),
    ],
)
def test_games_are_found_by_any_usual_name(name, rom):
    assert find_rom(name) == rom


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"game": "Combat"}, "no Atari game 'Combat'"),  # for two players: would end the process
        ({"game": "SpaceInvader"}, "did you mean SpaceInvaders"),
        ({"game": "ALE/Pong-ram-v5"}, "did you mean Pong"),
        (
            {"game": "Pong", "stack_size": 0},
            "stack_size is 0: give a whole number, from 1 to 1,000",
        ),
        ({"game": "Pong", "num_envs": 0}, "num_envs is 0"),
        ({"game": "Pong", "frame_skip": 2.5}, "frame_skip is 2.5"),
        ({"game": "Pong", "noop_max": -1}, "noop_max is -1: give a whole number, from 0 to 10,000"),
        (
            {"game": "Pong", "repeat_action_probability": 25},
            "repeat_action_probability is 25: give a number from 0 to 1",
        ),
    ],
)
def test_what_ale_py_would_hang_on_or_swallow_is_refused(options, sentence):
    with pytest.raises(UserError, match=sentence):
        AtariEnvironment(**options)


def test_frames_can_only_be_drawn_where_that_was_asked_for():
    environment = AtariEnvironment(game="Pong")
    with pytest.raises(ValueError, match="render=True"):
        environment.render()
    environment.close()
