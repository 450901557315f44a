"""RocketLander: its physics, reward and ends by hand, its determinism, and that it can be landed."""

from __future__ import annotations

import importlib.util
import itertools
import math
import sys
import types
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled
from gymnasium.utils.env_checker import check_env

from dopamine_lite.environments import rocket_flight
from dopamine_lite.environments.rocket_flight import Motion
from dopamine_lite.environments.rocket_lander import (
    DISCRETE_ACTIONS,
    RocketLander,
    heuristic,
    potential,
)
from tests.core import core

ID = "RocketLander-v0"
OFF = np.array([-1, 0, 0], np.float32)
FULL = np.array([1, 0, 0], np.float32)
FULL_MASS = 28_000  # kg: hull, two legs and all the fuel


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # the checker opens a window too
    if ID not in gymnasium.registry:
        gymnasium.register(
            ID, "dopamine_lite.environments.rocket_lander:RocketLander", max_episode_steps=800
        )


def fly(lander: RocketLander, policy, seed: int, steps: int = 800) -> tuple[list, dict]:
    """Every (observation, reward, motion, fuel) from the reset on, and the last step's info."""
    observation, info = lander.reset(seed=seed)
    seen = [(observation, 0.0, lander.flight.motion, lander.flight.fuel)]
    for _ in range(steps):
        observation, reward, terminated, truncated, info = lander.step(policy(observation))
        assert not truncated
        seen.append((observation, reward, lander.flight.motion, lander.flight.fuel))
        if terminated:
            break
    return seen, info


def random_policy(lander: RocketLander, seed: int = 0):
    lander.action_space.seed(seed)
    return lambda _: lander.action_space.sample()


def place(
    lander: RocketLander,
    x: float,
    height: float,
    angle: float = 0.0,
    velocity: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Puts the stage somewhere, not turning, with velocities relative to the heaving barge."""
    barge = lander.flight._barge
    deck = barge.position.y + rocket_flight.BARGE_HALF_HEIGHT
    for body in (lander.flight._stage, *(joint.bodyB for joint in lander.flight._legs)):
        body.position = (x, deck + rocket_flight.STANDING_HEIGHT + height)
        body.angle, body.angularVelocity = angle, 0.0
        body.linearVelocity = (velocity[0], velocity[1] + barge.linearVelocity.y)


def until_the_end(lander: RocketLander, steps: int = 400) -> tuple[int, float, str]:
    """With the engine off: how many steps, the last reward, the outcome."""
    for step in range(1, steps + 1):
        _, reward, terminated, _, info = lander.step(OFF)
        if terminated:
            return step, reward, info["outcome"]
        assert info == {}
    raise AssertionError(f"no end within {steps} steps")


@pytest.mark.parametrize("continuous", core([True, False], True))
def test_gymnasiums_checker_finds_nothing(registered, continuous):
    environment = gymnasium.make(ID, continuous=continuous)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(environment.unwrapped)


@pytest.mark.parametrize("continuous", [True, False])
@pytest.mark.parametrize("wind_speed", [0.0, 10.0])
def test_a_seed_and_actions_repeat_bit_for_bit(continuous, wind_speed):
    """Made anew, and in an environment that has been used before."""

    def flight(lander: RocketLander, seed: int) -> tuple[np.ndarray, list[float]]:
        play = random_policy(lander)

        def policy(observation):  # random play alone never stands on the deck
            if continuous and lander.flight.steps >= 30:
                return heuristic(observation)
            return play(observation)

        seen, _ = fly(lander, policy, seed)
        return np.stack([each[0] for each in seen]), [each[1] for each in seen]

    def create() -> RocketLander:
        return RocketLander(continuous=continuous, wind_speed=wind_speed)

    used = create()
    for seed in (5, 1, 5):
        observations, rewards = flight(used, seed)
        expected, expected_rewards = flight(create(), seed)
        np.testing.assert_array_equal(observations, expected)
        assert rewards == expected_rewards
    assert not np.array_equal(flight(create(), 1)[0][0], flight(create(), 2)[0][0])


def test_drawing_changes_nothing():
    seen, _ = fly(RocketLander(), heuristic, 3)
    drawn = RocketLander(render_mode="rgb_array")

    def look_and_choose(observation):
        if drawn.flight.steps % 40 == 0:
            drawn.render()
        return heuristic(observation)

    for one, two in zip(seen, fly(drawn, look_and_choose, 3)[0], strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        assert one[1:] == two[1:]


@pytest.mark.parametrize("continuous", [True, False])
def test_observations_stay_within_their_bounds(continuous):
    lander = RocketLander(continuous=continuous, wind_speed=20.0)
    space = lander.observation_space
    assert np.isfinite(space.low).all() and np.isfinite(space.high).all()
    for seed in range(60):
        policy = random_policy(lander, seed)
        action = lander.action_space.sample()  # always the same one leads further
        seen, _ = fly(lander, policy if seed % 2 else lambda _, action=action: action, seed)
        for observation, *_ in seen:
            assert observation.dtype == np.float32 and space.contains(observation)


def test_an_observation_beyond_its_bounds_is_clipped():
    lander = RocketLander()
    lander.reset(seed=0)
    place(lander, 400, 700, velocity=(90, 0))
    lander.flight._stage.angularVelocity = 9
    observation, _, terminated, _, _ = lander.step(OFF)
    np.testing.assert_array_equal(observation[[0, 1, 6]], lander.observation_space.high[[0, 1, 6]])
    assert terminated


def test_an_observation_is_what_the_table_says():
    lander = RocketLander()
    lander.reset(seed=0)
    lander.flight.throttle, lander.flight.gimbal, lander.flight.fuel = 0.5, math.radians(6), 1000.0
    place(lander, -40, 120, angle=0.3, velocity=(8, -20))
    lander.flight.motion = lander.flight._measure()
    expected = [-0.4, 1.2, 0.2, -0.5, math.sin(0.3), math.cos(0.3), 0, 0, 0, 0.5, 0.5, 0.5]
    np.testing.assert_allclose(lander._observation(), expected, atol=1e-5)


def test_an_episode_begins_as_documented():
    lander = RocketLander()
    motions = np.array([fly(lander, heuristic, seed, 0)[0][0][2] for seed in range(300)])
    #           x, height, velocities, angle, angular velocity; the deck is up to 0.5 m off its mean
    low = np.array([-60, 169.5, -8, -30.4, -0.25, -0.1])
    high = np.array([60, 200.5, 8, -19.6, 0.25, 0.1])
    assert (motions >= low).all() and (motions <= high).all()
    assert (motions.max(0) - motions.min(0) > 0.9 * (high - low)).all()
    assert lander.flight.fuel == 2000


@pytest.mark.parametrize(
    ("motion", "legs", "expected"),
    [
        (Motion(0, 0, 0, 0, 0, 0), 2, 20.0),
        (Motion(30, 40, -10, -20, 0, 0), 0, -20.0),  # as wanted: 30 / 3 and sqrt(2 * 5 * 40)
        (Motion(30, 40, -7, -16, 0, 0), 0, -30.0),  # 3 and 4 m/s off: 5 in all
        (Motion(-30, 40, 10, -20, 0.5, 9), 0, -40.0),
        (Motion(0, 0, 3, -4, -0.5, 0), 1, -20.0),
        (Motion(0, -0.5, 0, 0, 0, 0), 1, 9.8),  # pressed into the legs: nothing is wanted
    ],
)
def test_the_potential_by_hand(motion, legs, expected):
    assert potential(motion, legs) == pytest.approx(expected)


@pytest.mark.parametrize("policy", [heuristic, lambda _: OFF])
def test_shaping_adds_up_to_a_difference_of_potentials(policy):
    seen, info = fly(RocketLander(), policy, 4)
    if info["outcome"] == "crashed":  # the last step's reward is -100 alone
        assert seen.pop()[1] == -100
    rewards = [reward for _, reward, _, _ in seen]
    potentials = [potential(motion, int(seen_[7] + seen_[8])) for seen_, _, motion, _ in seen]
    bonus = 100 if info["outcome"] == "landed" else 0
    burnt = 2000 - seen[-1][3]
    assert burnt > 500 or policy is not heuristic
    assert sum(rewards) == pytest.approx(potentials[-1] - potentials[0] - 0.02 * burnt + bonus)
    for step in range(1, len(seen) - 1):
        cost = 0.02 * (seen[step - 1][3] - seen[step][3])
        assert rewards[step] == pytest.approx(potentials[step] - potentials[step - 1] - cost)


@pytest.mark.parametrize(
    ("action", "running", "kilograms"),
    [
        ((-1, 1, 0), 0.0, 0.0),
        ((0, 1, 0), 0.0, 0.0),  # 0 is off
        ((1, 0, 0), 1.0, 600_000 / 2770 / 50),
        ((1, 0, 0), 0.0, 0.06 * 600_000 / 2770 / 50),  # 3 times the full thrust a second
        ((0.5, 0, 0), 0.7, 0.7 * 600_000 / 2770 / 50),  # 40 % and half of the 60 % above
        ((-1, 0, 1), 0.0, 30_000 / 2770 / 50),
        ((-1, 0, -0.5), 0.0, 15_000 / 2770 / 50),
        ((1, 0, -7), 1.0, 630_000 / 2770 / 50),  # clipped
    ],
)
def test_the_fuel_of_a_step_by_hand(action, running, kilograms):
    lander = RocketLander()
    lander.reset(seed=0)
    lander.flight.throttle = running
    before = lander.flight.motion
    _, reward, _, _, _ = lander.step(np.array(action, np.float32))
    assert 2000 - lander.flight.fuel == pytest.approx(kilograms)
    shaping = potential(lander.flight.motion, 0) - potential(before, 0)
    assert reward == pytest.approx(shaping - 0.02 * kilograms)


def test_thrust_gravity_and_mass_by_hand():
    """In a step of 0.02 s, upright: dv = (thrust / mass - 9.81) 0.02."""
    lander = RocketLander()
    lander.reset(seed=0)
    place(lander, 0, 100)
    for running, acceleration in ((0.0, -9.81), (1.0, 600_000 / FULL_MASS - 9.81)):
        lander.flight.throttle = running
        before = lander.flight._stage.linearVelocity.y
        lander.step(FULL if running else OFF)
        assert lander.flight._stage.linearVelocity.y - before == pytest.approx(
            acceleration * 0.02, rel=1e-3
        )


def test_fuel_runs_out_and_the_mass_falls_with_it():
    lander = RocketLander()
    lander.reset(seed=0)
    place(lander, 0, 100)
    masses, fuels = [], []
    lander.flight.fuel = 20.0
    for step in range(60):
        observation, _, terminated, _, _ = lander.step(np.array([1, 0, 1], np.float32))
        masses.append(lander.flight._stage.mass)
        fuels.append(lander.flight.fuel)
        assert not terminated, step
    np.testing.assert_allclose(masses, np.array(fuels) + 24_000, rtol=1e-6)
    assert all(later < earlier for earlier, later in itertools.pairwise(fuels) if earlier)
    assert min(fuels) == 0 and fuels[-1] == 0
    assert observation[9] == 0 and observation[11] == 0  # neither throttle nor fuel
    before = lander.flight.motion.velocity_y + lander.flight._barge.linearVelocity.y
    lander.step(FULL)
    after = lander.flight.motion.velocity_y + lander.flight._barge.linearVelocity.y
    assert after - before == pytest.approx(-9.81 * 0.02, rel=1e-3)  # it falls


@pytest.mark.parametrize(
    ("action", "direction"),
    [((1, 1, 0), 1), ((1, -1, 0), -1), ((-1, 0, 1), 1), ((-1, 0, -1), -1), ((1, 0, 0), 0)],
)
def test_positive_gimbal_and_side_thrust_lean_to_the_right(action, direction):
    lander = RocketLander()
    lander.reset(seed=0)
    place(lander, 0, 100)
    for _ in range(25):
        lander.step(np.array(action, np.float32))
    turned = -lander.flight.motion.angle  # the angle itself grows to the left
    assert turned == pytest.approx(0, abs=1e-3) if direction == 0 else direction * turned > 0.01


def test_discrete_actions_are_these_continuous_ones():
    discrete, continuous = RocketLander(continuous=False), RocketLander()
    assert discrete.action_space.n == len(DISCRETE_ACTIONS) == 6
    discrete.reset(seed=3)
    continuous.reset(seed=3)
    for action, meaning in enumerate(DISCRETE_ACTIONS):
        for _ in range(10):
            one = discrete.step(np.int64(action))
            two = continuous.step(np.array(meaning, np.float32))
            np.testing.assert_array_equal(one[0], two[0])
            assert one[1:] == two[1:]


@pytest.mark.parametrize("action", [-1, 6])
def test_a_discrete_action_that_does_not_exist_is_an_error(action):
    lander = RocketLander(continuous=False)
    lander.reset(seed=0)
    with pytest.raises(ValueError, match=r"is not in Discrete\(6\)"):
        lander.step(action)


@pytest.mark.parametrize(
    ("where", "outcome"),
    [
        ({"x": 0, "height": 0.3, "velocity": (0, -7)}, "crashed"),  # a foot faster than 6 m/s
        ({"x": 0, "height": 0.3, "velocity": (0, -4)}, "landed"),
        ({"x": 20, "height": 0.1}, "landed"),  # off the middle, and both feet on the deck
        ({"x": 24, "height": 0.1}, "crashed"),  # one of them beside it
        ({"x": 0, "height": -8, "angle": math.pi / 2}, "crashed"),  # on its side
        ({"x": 0, "height": 3, "angle": 0.9}, "crashed"),  # tips over
        ({"x": 80, "height": -3}, "crashed"),  # feet in the sea
        ({"x": 80, "height": 20, "angle": math.pi}, "crashed"),  # head first
        ({"x": 149.9, "height": 100, "velocity": (30, 0)}, "out_of_bounds"),
        ({"x": -149.9, "height": 100, "velocity": (-30, 0)}, "out_of_bounds"),
        ({"x": 0, "height": 249.5, "velocity": (0, 40)}, "out_of_bounds"),
    ],
)
def test_how_episodes_end(where, outcome):
    lander = RocketLander()
    lander.reset(seed=0)
    place(lander, **where)
    steps, reward, actual = until_the_end(lander)
    assert actual == outcome
    if outcome == "landed":
        assert steps >= 25 and reward == pytest.approx(100, abs=2)
    else:
        assert reward == -100


def test_a_landing_is_25_steps_on_both_legs_in_a_row():
    lander = RocketLander()
    lander.reset(seed=0)
    place(lander, 0, 0.02)
    standing = 0
    for _ in range(100):
        observation, _, terminated, _, info = lander.step(OFF)
        slow = math.hypot(lander.flight.motion.velocity_x, lander.flight.motion.velocity_y) < 1
        standing = standing + 1 if observation[7] and observation[8] and slow else 0
        assert terminated == (standing == 25)
        if terminated:
            break
    assert info == {"outcome": "landed"}


def test_the_barge_heaves_and_rolls_with_the_sea():
    lander = RocketLander()
    lander.reset(seed=2)
    heights, angles = [], []
    for step in range(1, 601):
        place(lander, 0, 100)
        lander.step(OFF)
        heave, roll = lander.flight._sea(step)
        assert lander.flight._barge.position.y == pytest.approx(heave, abs=1e-4)
        assert lander.flight._barge.angle == pytest.approx(roll, abs=1e-5)
        heights.append(heave)
        angles.append(roll)
    assert max(heights) - min(heights) == pytest.approx(1.0, rel=0.01)  # 12 s: a whole period
    assert max(angles) - min(angles) == pytest.approx(2 * math.radians(1.2), rel=0.01)


def test_wind_pushes_to_either_side():
    drifts = []
    for seed in range(10):
        lander = RocketLander(wind_speed=15.0)
        lander.reset(seed=seed)
        place(lander, 0, 200)
        for _ in range(100):
            lander.step(OFF)
        drifts.append(lander.flight.motion.x)
    assert min(drifts) < -1 and max(drifts) > 1


def test_wind_comes_in_gusts():
    """Its speed, from the force on a stage that does not move, swings by up to half of the mean."""
    speeds = []

    class Still:
        linearVelocity = types.SimpleNamespace(x=0.0)

        def ApplyForceToCenter(self, force, _wake):
            speeds.append(math.sqrt(abs(force[0]) / rocket_flight.AIR_DRAG))

    lander = RocketLander(wind_speed=15.0)
    lander.reset(seed=0)
    lander.flight._stage, lander.flight._mean_wind = Still(), 10.0
    for step in range(600):
        lander.flight.steps = step
        lander.flight._blow()
    assert min(speeds) == pytest.approx(5.0, abs=0.5) and max(speeds) == pytest.approx(
        15.0, abs=0.5
    )


@pytest.mark.parametrize("wind_speed", [-1.0, 20.5, math.nan])
def test_a_wind_beyond_its_limits_is_refused(wind_speed):
    with pytest.raises(ValueError, match="give m/s from 0 to 20"):
        RocketLander(wind_speed=wind_speed)


def test_the_heuristic_lands():
    lander = RocketLander()
    flights = [fly(lander, heuristic, seed) for seed in range(50)]
    assert sum(info.get("outcome") == "landed" for _, info in flights) >= 45
    returns = [sum(reward for _, reward, _, _ in seen) for seen, _ in flights]
    assert 180 < np.mean(returns) < 300
    falls = [sum(each[1] for each in fly(lander, lambda _: OFF, seed)[0]) for seed in range(10)]
    assert -170 < np.mean(falls) < -90


def nearest_discrete(observation: np.ndarray) -> int:
    """The heuristic's action by on and off."""
    throttle, gimbal, side = heuristic(observation)
    if throttle > 0:
        return 1 if abs(gimbal) < 0.5 else 2 if gimbal < 0 else 3
    return 0 if abs(side) < 0.5 else 4 if side < 0 else 5


@pytest.mark.exhaustive
def test_discrete_actions_suffice_to_land():
    lander = RocketLander(continuous=False)
    flights = [fly(lander, nearest_discrete, seed) for seed in range(30)]
    assert sum(info.get("outcome") == "landed" for _, info in flights) >= 20


def test_pictures_show_what_happens():
    lander = RocketLander(render_mode="rgb_array")
    lander.reset(seed=1)
    pictures = [lander.render()]
    for _ in range(3):
        for _ in range(20):
            lander.step(FULL)
        pictures.append(lander.render())
    for picture in pictures:
        assert picture.shape == (800, 600, 3) and picture.dtype == np.uint8
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000
    for first, second in itertools.pairwise(pictures):
        assert (first != second).any(-1).mean() > 0.01
    np.testing.assert_array_equal(lander.render(), pictures[-1])  # nothing in it is random
    fire = (pictures[-1][:400].astype(int) @ [1, 1, 1] > 700).sum()
    assert fire > (pictures[0][:400].astype(int) @ [1, 1, 1] > 700).sum() + 100
    lander.close()


def test_a_window_shows_the_same(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame

    window, picture = (RocketLander(render_mode=mode) for mode in ("human", "rgb_array"))
    for lander in (window, picture):
        lander.reset(seed=1)
        lander.step(FULL)
    assert window.render() is None
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    np.testing.assert_array_equal(shown, picture.render())
    window.close()
    assert pygame.display.get_surface() is None


def test_rendering_without_a_mode_says_what_to_do():
    lander = RocketLander()
    lander.reset(seed=0)
    with pytest.warns(UserWarning, match="rgb_array"):
        assert lander.render() is None


def test_without_box2d_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "Box2D", None)
    spec = importlib.util.spec_from_file_location("without_box2d", rocket_flight.__file__)
    assert spec is not None and spec.loader is not None
    with pytest.raises(DependencyNotInstalled, match=r"pip install .*gymnasium\[box2d\]"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
