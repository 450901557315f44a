"""RocketLander: the first stage of a rocket returns to a barge at sea, in Box2D."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from dopamine_lite.environments.rocket_flight import (
    FULL_FUEL,
    GRAVITY,
    GYRATION_RADIUS,
    HULL_BOTTOM,
    HULL_MASS,
    LEG_MASS,
    MAIN_THRUST,
    MAXIMUM_GIMBAL,
    MAXIMUM_WIND_SPEED,
    MINIMUM_THROTTLE,
    SIDE_THRUST,
    SIDE_THRUSTER_HEIGHT,
    STEPS_PER_SECOND,
    Flight,
    Motion,
)

if TYPE_CHECKING:
    from dopamine_lite.environments.rocket_painter import Painter

# The end of an episode. Box2D moves nothing by more than 2 m in a step, or 100 m/s. Within these
# borders, only a stage that drives itself head first into the sea would be faster.
MAXIMUM_X, MAXIMUM_HEIGHT = 150.0, 250.0  # m
MAXIMUM_IMPACT_SPEED = 6.0  # m/s of a foot against the deck
LANDED_SPEED, LANDED_ANGLE = 1.0, 0.15  # m/s, rad: below these, and on both legs
LANDED_STEPS = 25  # for this many steps

# Units of the observation
POSITION_SCALE = 100.0  # m
SPEED_SCALE = 40.0  # m/s

# Reward
APPROACH_TIME = 3.0  # s
DESCENT_DECELERATION = 5.0  # m/s^2
DISTANCE_COST = 0.4  # per m from the middle of the deck
SPEED_COST = 2.0  # per m/s from the wanted velocity
TILT_COST = 40.0  # per rad
LEG_BONUS = 10.0  # per leg that stands on the deck
FUEL_COST = 0.02  # per kg
LANDING_BONUS = 100.0
CRASH_REWARD = -100.0

# (throttle, gimbal, side thruster) of the discrete actions
DISCRETE_ACTIONS = (
    (-1.0, 0.0, 0.0),
    (1.0, 0.0, 0.0),
    (1.0, -1.0, 0.0),
    (1.0, 1.0, 0.0),
    (-1.0, 0.0, -1.0),
    (-1.0, 0.0, 1.0),
)


class RocketLander(gymnasium.Env[np.ndarray, Any]):
    """A tall first stage falls toward a floating barge and has to land on it, upright and softly.

    ## Actions

    Continuous (default): `Box(-1, 1, (3,), float32)`; values outside are clipped.

    | index | name | meaning |
    | --- | --- | --- |
    | 0 | throttle | 0 or less: engine off; above: 40 % (just above 0) to 100 % (at 1) of the thrust |
    | 1 | gimbal | turns the thrust by -12 to 12 degrees; positive leans the stage to the right |
    | 2 | side thruster | force at the top, from full to the left (-1) to full to the right (1) |

    Throttle and gimbal follow their commands at limited rates: 3 times the full thrust and 60 degrees
    a second. With `continuous=False`, actions are `Discrete(6)`:

    | action | meaning |
    | --- | --- |
    | 0 | nothing |
    | 1 | main engine |
    | 2 | main engine, gimbal -12 degrees: leans to the left |
    | 3 | main engine, gimbal 12 degrees: leans to the right |
    | 4 | side thruster pushes the top to the left |
    | 5 | side thruster pushes the top to the right |

    ## Observation

    `Box` of 12 float32, clipped to its bounds. Positions and velocities are of the hull's center of
    mass, relative to the barge.

    | index | quantity | unit | least | greatest |
    | --- | --- | --- | --- | --- |
    | 0 | x, from the middle of the deck | 100 m | -1.6 | 1.6 |
    | 1 | height, 0 when the stage stands on the deck | 100 m | -0.5 | 2.6 |
    | 2 | horizontal velocity | 40 m/s | -3 | 3 |
    | 3 | vertical velocity | 40 m/s | -3 | 3 |
    | 4 | sine of the angle, counter-clockwise from upright | | -1 | 1 |
    | 5 | cosine of the angle | | -1 | 1 |
    | 6 | angular velocity | 1 rad/s | -5 | 5 |
    | 7 | left leg on the deck | | 0 | 1 |
    | 8 | right leg on the deck | | 0 | 1 |
    | 9 | actual throttle | full thrust | 0 | 1 |
    | 10 | actual gimbal | 12 degrees | -1 | 1 |
    | 11 | fuel | full tank | 0 | 1 |

    ## Reward

    With position x and height h in m, velocity v in m/s, angle in rad, and the number of legs that
    stand on the deck,

        wanted(s) = (-x / 3, -sqrt(2 * 5 * max(h, 0)))
        potential(s) = -0.4 |(x, h)| - 2 |v - wanted(s)| - 40 |angle| + 10 legs
        reward = potential(s') - potential(s) - 0.02 * (kg of fuel burnt) + 100 [landed]

    The wanted velocity belongs to a steady deceleration of 5 m/s^2 down to the deck; if it were 0, an
    agent would learn to hover. A step that ends in a crash or out of bounds is rewarded with -100 and
    nothing else. Otherwise, an impact that stops the stage would be rewarded for the speed that it takes
    away. Without a discount, the differences add up to potential(last) - potential(first). A good
    landing returns 200 to 250, and a stage that falls like a stone about -130.

    ## Episode

    An episode begins 170 to 200 m up, up to 60 m to either side of the barge. The stage sinks at 20 to
    30 m/s, is tilted by up to 0.25 rad, and turns. The episode terminates in one of three ways, and
    `info["outcome"]` then has its name:

    - "landed": on both legs, slower than 1 m/s, within 0.15 rad of upright, for 25 steps in a row;
    - "crashed": the hull touches the barge, a foot hits the deck at more than 6 m/s, or a foot or the
      top is in the sea;
    - "out_of_bounds": more than 150 m to a side or 250 m up.

    Without fuel there is no thrust, but the episode continues. Only the registration limits its steps.

    Args:
      render_mode: "human", "rgb_array" or None.
      continuous: continuous actions; False: discrete actions.
      wind_speed: mean speed of the wind in m/s, from 0 to 20. Its direction and its gusts are drawn for
        each episode and are not observed.

    Raises:
      ValueError: `wind_speed` is out of range, or a discrete action does not exist.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (its name and type are Gymnasium's)
        "render_modes": ["human", "rgb_array"],
        "render_fps": STEPS_PER_SECOND,
    }

    def __init__(
        self, render_mode: str | None = None, continuous: bool = True, wind_speed: float = 0.0
    ):
        if not 0 <= wind_speed <= MAXIMUM_WIND_SPEED:
            raise ValueError(
                f"wind_speed is {wind_speed!r}: give m/s from 0 to {MAXIMUM_WIND_SPEED:.0f}."
            )
        self.render_mode = render_mode
        self.continuous = continuous
        self.wind_speed = wind_speed
        self.action_space: gymnasium.Space[Any] = (
            gymnasium.spaces.Box(-1, 1, (3,), np.float32)
            if continuous
            else gymnasium.spaces.Discrete(len(DISCRETE_ACTIONS))
        )
        self._low = np.array([-1.6, -0.5, -3, -3, -1, -1, -5, 0, 0, 0, -1, 0], np.float32)
        self._high = np.array([1.6, 2.6, 3, 3, 1, 1, 5, 1, 1, 1, 1, 1], np.float32)
        self.observation_space = gymnasium.spaces.Box(self._low, self._high)
        self._painter: Painter | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.flight = Flight(self.np_random, self.wind_speed)
        self._steps_landed = 0
        self._potential = potential(self.flight.motion, 0)
        if self.render_mode == "human":
            self.render()
        return self._observation(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if not self.continuous:
            if not self.action_space.contains(action):
                raise ValueError(f"{action!r} is not in {self.action_space}.")
            action = DISCRETE_ACTIONS[action]
        burnt = self.flight.advance(*(min(max(float(part), -1.0), 1.0) for part in action))
        outcome = self._outcome()
        reward = self._reward(burnt, outcome)
        if self.render_mode is not None:
            self.flight.leave_smoke()
        if self.render_mode == "human":
            self.render()
        info = {} if outcome is None else {"outcome": outcome}
        return self._observation(), reward, outcome is not None, False, info

    def render(self) -> np.ndarray | None:
        """A picture [800, 600, 3] uint8 with render_mode "rgb_array"; a window with "human"."""
        if self.render_mode is None:
            gymnasium.logger.warn(
                'RocketLander was made without a render_mode: give "rgb_array" or "human".'
            )
            return None
        if self._painter is None:
            # pygame is slow to import
            from dopamine_lite.environments.rocket_painter import Painter

            self._painter = Painter()
        if self.render_mode == "human":
            self._painter.show(self.flight.scene())
            return None
        return self._painter.pixels(self.flight.scene())

    def close(self) -> None:
        if self._painter is not None:
            self._painter.close()

    def _outcome(self) -> str | None:
        """The outcome of the episode if it ends with this step."""
        contacts, motion = self.flight.contacts, self.flight.motion
        if (
            contacts.hull
            or contacts.impact_speed > MAXIMUM_IMPACT_SPEED
            or self.flight.is_in_the_sea()
        ):
            return "crashed"
        if abs(motion.x) > MAXIMUM_X or motion.height > MAXIMUM_HEIGHT:
            return "out_of_bounds"
        stands = (
            contacts.legs == 2
            and math.hypot(motion.velocity_x, motion.velocity_y) < LANDED_SPEED
            and abs(motion.angle) < LANDED_ANGLE
        )
        self._steps_landed = self._steps_landed + 1 if stands else 0
        return "landed" if self._steps_landed == LANDED_STEPS else None

    def _reward(self, burnt: float, outcome: str | None) -> float:
        before, self._potential = (
            self._potential,
            potential(self.flight.motion, self.flight.contacts.legs),
        )
        if outcome in ("crashed", "out_of_bounds"):
            return CRASH_REWARD
        bonus = LANDING_BONUS if outcome == "landed" else 0.0
        return self._potential - before - FUEL_COST * burnt + bonus

    def _observation(self) -> np.ndarray:
        motion, touching = self.flight.motion, self.flight.contacts.touching
        observation = np.array(
            [
                motion.x / POSITION_SCALE,
                motion.height / POSITION_SCALE,
                motion.velocity_x / SPEED_SCALE,
                motion.velocity_y / SPEED_SCALE,
                math.sin(motion.angle),
                math.cos(motion.angle),
                motion.angular_velocity,
                touching[0] > 0,
                touching[1] > 0,
                self.flight.throttle,
                self.flight.gimbal / MAXIMUM_GIMBAL,
                self.flight.fuel / FULL_FUEL,
            ],
            np.float32,
        )
        return np.clip(observation, self._low, self._high, out=observation)


def potential(motion: Motion, legs: int) -> float:
    """The potential whose differences shape the reward; `legs` is how many legs stand on the deck."""
    wanted_x, wanted_y = wanted_velocity(motion.x, motion.height)
    return (
        -DISTANCE_COST * math.hypot(motion.x, motion.height)
        - SPEED_COST * math.hypot(motion.velocity_x - wanted_x, motion.velocity_y - wanted_y)
        - TILT_COST * abs(motion.angle)
        + LEG_BONUS * legs
    )


def wanted_velocity(x: float, height: float) -> tuple[float, float]:
    """The velocity of a good approach: inward, and down as fast as a steady deceleration allows."""
    return -x / APPROACH_TIME, -math.sqrt(2 * DESCENT_DECELERATION * max(height, 0.0))


def heuristic(observation: np.ndarray) -> np.ndarray:
    """A handwritten controller: the continuous action [3] float32 for an observation [12].

    Downward, it aims at the reward's wanted velocity plus 0.7 m/s, and it counts the stage as lower
    while it is still beside the deck. Sideways, it applies a damped pull to the middle by leaning. The
    gimbal and the side thruster turn the stage to that lean.
    """
    if observation[7] or observation[8]:
        return np.array([-1, 0, 0], np.float32)
    x, height = (observation[:2] * POSITION_SCALE).tolist()
    velocity_x, velocity_y = (observation[2:4] * SPEED_SCALE).tolist()
    sine, cosine, angular_velocity = observation[4:7].tolist()
    aside = max(abs(x) + abs(velocity_x) - 5, 0.0)  # m
    target = wanted_velocity(x, height - 1.2 * aside)[1] - 0.7
    rise = 3.2 * (target - velocity_y) + DESCENT_DECELERATION * min(velocity_y / target, 1.0)
    mass = HULL_MASS + 2 * LEG_MASS + FULL_FUEL * float(observation[11])
    throttle = mass * (GRAVITY + rise) / max(cosine, 0.5) / MAIN_THRUST
    pull = -0.16 * x - 0.62 * velocity_x  # m/s^2
    most = min(0.42, 0.05 + 0.006 * height)  # rad
    lean = min(max(-pull / 12, -most), most)  # 12 m/s^2: about what the engine gives on the way
    torque = (
        mass
        * GYRATION_RADIUS**2
        * (2.8 * (lean - math.atan2(sine, cosine)) - 2.4 * angular_velocity)
    )
    lever = -HULL_BOTTOM * MAIN_THRUST * max(float(observation[9]), MINIMUM_THROTTLE)
    action = (
        (throttle - MINIMUM_THROTTLE) / (1 - MINIMUM_THROTTLE),
        -torque / lever / MAXIMUM_GIMBAL,
        -torque / (SIDE_THRUSTER_HEIGHT * SIDE_THRUST),
    )
    return np.array(action, np.float32).clip(-1, 1)
