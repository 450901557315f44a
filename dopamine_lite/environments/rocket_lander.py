"""RocketLander: the first stage of a rocket returns to a barge at sea, in Box2D."""

from __future__ import annotations

import functools
import itertools
import math
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled

try:
    from Box2D import b2MassData, b2World
    from Box2D.b2 import contactListener, fixtureDef, polygonShape
except ImportError as error:
    raise DependencyNotInstalled(
        "RocketLander needs Box2D, which is not installed: run `pip install swig` and then "
        '`pip install "gymnasium[box2d]"`.'
    ) from error

if TYPE_CHECKING:
    import pygame

# Everything is in metres, seconds, kilograms, newtons and radians unless a comment says otherwise.
# Angles grow counter-clockwise: a positive one leans to the left.
STEPS_PER_SECOND = 50
GRAVITY = 9.81  # m/s^2

# The stage. Its points are relative to the hull's centre of mass, the second number along its axis.
HULL_MASS = 24_000.0  # kg, without legs and fuel
FULL_FUEL = 2_000.0  # kg, what is left for the landing
GYRATION_RADIUS = 11.0  # m: moment of inertia = mass * GYRATION_RADIUS^2
HULL_HALF_WIDTH = 1.85  # m
HULL_BOTTOM, HULL_TOP = -11.5, 28.0  # m; the main engine pushes at the bottom
SIDE_THRUSTER_HEIGHT = 24.0  # m
FEET = ((-9.0, -15.0), (9.0, -15.0))  # m, left and right
STANDING_HEIGHT = 15.0  # m from the deck to that centre when the stage stands on it

# Legs slide along the stage against a force, as crush cores do, and are pushed out again slowly.
LEG_MASS = 1_000.0  # kg each
LEG_STROKE = 1.5  # m
LEG_FORCE = 200_000.0  # N each; two hold 1.5 times the weight, one less than the weight
LEG_EXTENSION_SPEED = 0.5  # m/s

# Engines
MAIN_THRUST = 600_000.0  # N; 2.2 times the weight of the full stage
MINIMUM_THROTTLE = 0.4  # of a running engine; 0.94 times the weight of the empty stage: it sinks
THROTTLE_RATE = 3.0  # 1/s
MAXIMUM_GIMBAL = math.radians(12)
GIMBAL_RATE = math.radians(60)  # rad/s
SIDE_THRUST = 30_000.0  # N
EXHAUST_SPEED = 2_770.0  # m/s: thrust divided by the fuel burnt in a second

# Air: a force on the stage's side only; along its axis it is small at these speeds.
AIR_DRAG = 0.5 * 1.2 * 1.2 * 40 * 3.7  # N per (m/s)^2: half density * coefficient * side area
MAXIMUM_WIND_SPEED = 20.0  # m/s; in more, a hovering stage leans further than it may land

# Barge. The sea's level is 0.
BARGE_HALF_WIDTH, BARGE_HALF_HEIGHT = 30.0, 3.5  # m
BARGE_DECK = 4.0  # m above the sea at rest
HEAVE, HEAVE_PERIOD = 0.5, 8.0  # m, s
ROLL, ROLL_PERIOD = math.radians(1.2), 11.0  # rad, s

# Where an episode begins: uniformly within
START_X = (-60.0, 60.0)  # m
START_HEIGHT = (170.0, 200.0)  # m
START_VELOCITY_X = (-8.0, 8.0)  # m/s
START_VELOCITY_Y = (-30.0, -20.0)  # m/s
START_ANGLE = (-0.25, 0.25)  # rad
START_ANGULAR_VELOCITY = (-0.1, 0.1)  # rad/s

# Where it ends. Box2D moves nothing by more than 2 m in a step, 100 m/s: from within these borders
# only a stage that drives itself head first at the sea would be faster.
MAXIMUM_X, MAXIMUM_HEIGHT = 150.0, 250.0  # m
MAXIMUM_IMPACT_SPEED = 6.0  # m/s of a foot against the deck
LANDED_SPEED, LANDED_ANGLE = 1.0, 0.15  # m/s, rad: less than these and on both legs
LANDED_STEPS = 25  # for so long

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

# Pictures, in pixels unless a comment says otherwise
WIDTH, HEIGHT = 600, 800
HORIZON, WATER_LINE = 640, 700  # the water line is that of the barge
SUN_X, SUN_Y = 170, 622
WAVE_ROWS = 14
INSTRUMENTS_Y = 744
SMOKE_SECONDS = 1.6
NOZZLE_LENGTH = 1.7  # m
INTERSTAGE = 21.0  # m: its lower end
WHITE = (246, 244, 240)
CARGO = (  # (outer edge, width, height in m, color) at either end of the barge
    (29.0, 2.6, 3.2, (86, 92, 108)),
    (26.2, 2.4, 2.2, (150, 84, 62)),
)
FLAME_CORE = (  # (half width in m, share of the flame's length, color)
    (1.05, 0.85, (255, 158, 64)),
    (0.85, 0.66, (255, 208, 112)),
    (0.6, 0.45, (255, 246, 220)),
)
CLOUDS = (  # (y, x, half height, half width, light added)
    (470, 430, 7, 120, 46),
    (486, 360, 5, 90, 38),
    (540, 90, 6, 110, 44),
    (556, 520, 5, 140, 50),
    (330, 160, 9, 150, 22),
    (590, 300, 4, 160, 40),
)
_Color = tuple[int, int, int]


class Motion(NamedTuple):
    """Of the hull's centre of mass beside the barge, in SI units."""

    x: float  # from the middle of the barge
    height: float  # above where it is when the stage stands on the deck
    velocity_x: float
    velocity_y: float  # relative to the barge, which heaves
    angle: float
    angular_velocity: float


class RocketLander(gymnasium.Env[np.ndarray, Any]):
    """A tall first stage falls towards a floating barge and is to land on it, upright and softly.

    ## Actions

    Continuous (default): `Box(-1, 1, (3,), float32)`; values outside are clipped.

    | index | name | meaning |
    | --- | --- | --- |
    | 0 | throttle | up to 0: engine off; above: 40 % (just above 0) to 100 % (at 1) of the thrust |
    | 1 | gimbal | thrust turned by -12 to 12 degrees; positive leans the stage to the right |
    | 2 | side thruster | force at the top, from full to the left (-1) to full to the right (1) |

    Throttle and gimbal follow their commands at a limited rate: 3 times the full thrust and 60
    degrees a second. With `continuous=False`: `Discrete(6)`.

    | action | meaning |
    | --- | --- |
    | 0 | nothing |
    | 1 | main engine |
    | 2 | main engine, gimbal -12 degrees: leans to the left |
    | 3 | main engine, gimbal 12 degrees: leans to the right |
    | 4 | side thruster pushes the top to the left |
    | 5 | side thruster pushes the top to the right |

    ## Observation

    `Box` of 12 float32, clipped to its bounds. Positions and velocities are of the hull's centre of
    mass, relative to the barge.

    | index | quantity | unit | least | greatest |
    | --- | --- | --- | --- | --- |
    | 0 | x, from the middle of the deck | 100 m | -1.6 | 1.6 |
    | 1 | height above where it is after a landing | 100 m | -0.5 | 2.6 |
    | 2 | horizontal velocity | 40 m/s | -3 | 3 |
    | 3 | vertical velocity | 40 m/s | -3 | 3 |
    | 4 | sine of the angle, counter-clockwise from upright | | -1 | 1 |
    | 5 | cosine of the angle | | -1 | 1 |
    | 6 | angular velocity | 1 rad/s | -5 | 5 |
    | 7 | left leg on the deck | | 0 | 1 |
    | 8 | right leg on the deck | | 0 | 1 |
    | 9 | throttle, as it is | full thrust | 0 | 1 |
    | 10 | gimbal, as it is | 12 degrees | -1 | 1 |
    | 11 | fuel | full tank | 0 | 1 |

    ## Reward

    With position x and height h in m, velocity v in m/s, angle in rad, and the number of legs that
    stand on the deck,

        wanted(s) = (-x / 3, -sqrt(2 * 5 * max(h, 0)))
        potential(s) = -0.4 |(x, h)| - 2 |v - wanted(s)| - 40 |angle| + 10 legs
        reward = potential(s') - potential(s) - 0.02 * (kg of fuel burnt) + 100 [landed]

    The wanted velocity is that of a steady deceleration of 5 m/s^2 down to the deck: with 0 in its
    place, an agent learns to hover. A step that ends in a crash or out of bounds is -100 and nothing
    else: an impact that stops the stage would otherwise be paid for the speed it takes away. The
    differences add up to potential(last) - potential(first) without a discount. A good landing
    returns 200 to 250, a stage that falls like a stone about -130.

    ## Episode

    It begins 170 to 200 m up, within 60 m to either side, sinking at 20 to 30 m/s, tilted by up to
    0.25 rad and turning. It terminates, and `info["outcome"]` then says how, when the stage has

    - "landed": on both legs, slower than 1 m/s, within 0.15 rad of upright, 25 steps in a row;
    - "crashed": hull on the barge, a foot faster than 6 m/s on the deck, or any end in the sea;
    - "out_of_bounds": more than 150 m to a side or 250 m up.

    Without fuel there is no thrust; that ends nothing. A limit of steps is for the registration.

    Args:
      render_mode: "human", "rgb_array" or None.
      continuous: which of the two action spaces.
      wind_speed: m/s of the mean wind, from 0 to 20; its side and gusts are drawn for each episode
        and are not observed.

    Raises:
      ValueError: the wind is not within its limits, or a discrete action does not exist.
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
        self._painter: _Painter | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        # Of heave, roll and two gusts
        self._phases = self.np_random.uniform(0, 2 * math.pi, 4).tolist()
        self._mean_wind = self.wind_speed * self.np_random.choice((-1, 1))
        self._steps = 0
        self._steps_landed = 0
        self.fuel = FULL_FUEL  # kg
        self._throttle = self._gimbal = self._side = 0.0  # the gimbal in rad
        self._puffs: deque[_Puff] = deque()
        self._create_world()
        self.motion = self._measure()
        self._potential = potential(self.motion, 0)
        if self.render_mode == "human":
            self.render()
        return self._observation(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if not self.continuous:
            if not self.action_space.contains(action):
                raise ValueError(f"{action!r} is not in {self.action_space}.")
            action = DISCRETE_ACTIONS[action]
        burnt = self._fire(*(min(max(float(part), -1.0), 1.0) for part in action))
        self._blow()
        self._rock()
        self._world.Step(1 / STEPS_PER_SECOND, 10, 10)
        self._steps += 1
        self._weigh()
        self.motion = self._measure()
        outcome = self._outcome()
        reward = self._reward(burnt, outcome)
        if self.render_mode is not None:
            self._leave_smoke()
        if self.render_mode == "human":
            self.render()
        info = {} if outcome is None else {"outcome": outcome}
        return self._observation(), reward, outcome is not None, False, info

    def render(self) -> np.ndarray | None:
        """[800, 600, 3] uint8 with render_mode "rgb_array"; a window with "human"."""
        if self.render_mode is None:
            gymnasium.logger.warn(
                'RocketLander was made without a render_mode: give "rgb_array" or "human".'
            )
            return None
        if self._painter is None:
            self._painter = _Painter()
        if self.render_mode == "human":
            self._painter.show(self)
            return None
        return self._painter.pixels(self)

    def close(self) -> None:
        if self._painter is not None:
            self._painter.close()

    def _create_world(self) -> None:
        """Made anew for each episode: a used one keeps an order of contacts that changes results."""
        draw = self.np_random.uniform
        self._world = b2World(gravity=(0, -GRAVITY), doSleep=False)
        heave, roll = self._sea(0)
        self._barge = self._world.CreateKinematicBody(
            position=(0, heave),
            angle=roll,
            fixtures=fixtureDef(
                shape=polygonShape(box=(BARGE_HALF_WIDTH, BARGE_HALF_HEIGHT)), friction=1.0
            ),
        )
        self._rock()
        self._stage = self._world.CreateDynamicBody(
            position=(draw(*START_X), draw(*START_HEIGHT) + BARGE_DECK + STANDING_HEIGHT),
            linearVelocity=(draw(*START_VELOCITY_X), draw(*START_VELOCITY_Y)),
            angle=draw(*START_ANGLE),
            angularVelocity=draw(*START_ANGULAR_VELOCITY),
            fixtures=fixtureDef(shape=polygonShape(vertices=_hull())),
        )
        self._weigh()
        self._legs = [self._create_leg(number) for number in range(2)]
        self._contacts = self._world.contactListener = _Contacts(self._barge)

    def _create_leg(self, number: int) -> Any:
        stage = self._stage
        leg = self._world.CreateDynamicBody(
            position=stage.position,
            angle=stage.angle,
            angularVelocity=stage.angularVelocity,
            fixtures=fixtureDef(
                shape=polygonShape(vertices=_leg(number)),
                density=1.0,
                friction=1.0,
                userData=number,
            ),
        )
        shape = leg.massData
        leg.massData = b2MassData(
            mass=LEG_MASS, center=shape.center, I=shape.I * LEG_MASS / shape.mass
        )
        leg.linearVelocity = stage.GetLinearVelocityFromWorldPoint(leg.worldCenter)
        return self._world.CreatePrismaticJoint(
            bodyA=stage,
            bodyB=leg,
            localAxisA=(0, 1),
            enableLimit=True,
            lowerTranslation=0,
            upperTranslation=LEG_STROKE,
            enableMotor=True,
            motorSpeed=-LEG_EXTENSION_SPEED,
            maxMotorForce=LEG_FORCE,
        )

    def _fire(self, throttle: float, gimbal: float, side: float) -> float:
        """Moves the actuators towards their commands, pushes; returns the kg of fuel burnt."""
        command = MINIMUM_THROTTLE + (1 - MINIMUM_THROTTLE) * throttle if throttle > 0 else 0.0
        self._throttle = _towards(self._throttle, command, THROTTLE_RATE / STEPS_PER_SECOND)
        self._gimbal = _towards(
            self._gimbal, gimbal * MAXIMUM_GIMBAL, GIMBAL_RATE / STEPS_PER_SECOND
        )
        wanted = MAIN_THRUST * self._throttle + SIDE_THRUST * abs(side)
        wanted /= EXHAUST_SPEED * STEPS_PER_SECOND  # kg in this step
        share = 1.0 if wanted <= self.fuel else self.fuel / wanted
        self._throttle *= share
        self._side = side * share
        self.fuel = max(self.fuel - wanted * share, 0.0)
        stage, thrust = self._stage, MAIN_THRUST * self._throttle
        stage.ApplyForce(
            stage.GetWorldVector(
                (-thrust * math.sin(self._gimbal), thrust * math.cos(self._gimbal))
            ),
            stage.GetWorldPoint((0, HULL_BOTTOM)),
            True,
        )
        stage.ApplyForce(
            stage.GetWorldVector((SIDE_THRUST * self._side, 0)),
            stage.GetWorldPoint((0, SIDE_THRUSTER_HEIGHT)),
            True,
        )
        return wanted * share

    def _blow(self) -> None:
        time, phases = self._steps / STEPS_PER_SECOND, self._phases
        gusts = 0.3 * math.sin(1.3 * time + phases[2]) + 0.2 * math.sin(2.7 * time + phases[3])
        relative = self._mean_wind * (1 + gusts) - self._stage.linearVelocity.x
        self._stage.ApplyForceToCenter((AIR_DRAG * abs(relative) * relative, 0), True)

    def _rock(self) -> None:
        """Gives the barge the velocities that bring it to its next pose."""
        barge = self._barge
        heave, roll = self._sea(self._steps + 1)
        barge.linearVelocity = (0, (heave - barge.position.y) * STEPS_PER_SECOND)
        barge.angularVelocity = (roll - barge.angle) * STEPS_PER_SECOND

    def _sea(self, step: int) -> tuple[float, float]:
        """Height of the barge's middle and its angle."""
        time = 2 * math.pi * step / STEPS_PER_SECOND
        heave = HEAVE * math.sin(time / HEAVE_PERIOD + self._phases[0])
        roll = ROLL * math.sin(time / ROLL_PERIOD + self._phases[1])
        return BARGE_DECK - BARGE_HALF_HEIGHT + heave, roll

    def _weigh(self) -> None:
        mass = HULL_MASS + self.fuel
        self._stage.massData = b2MassData(mass=mass, center=(0, 0), I=mass * GYRATION_RADIUS**2)

    def _leave_smoke(self) -> None:
        """Of the engine, for pictures."""
        while self._puffs and self._steps - self._puffs[0].step >= SMOKE_SECONDS * STEPS_PER_SECOND:
            self._puffs.popleft()
        if self._throttle < 0.1 or self._steps % 2:
            return
        direction = self._stage.GetWorldVector((math.sin(self._gimbal), -math.cos(self._gimbal)))
        x, y = self._stage.GetWorldPoint((0, HULL_BOTTOM)) + 22 * self._throttle * direction
        velocity = self._stage.linearVelocity
        self._puffs.append(
            _Puff(
                self._steps,
                x,
                y,
                0.3 * velocity.x + 30 * direction.x,
                0.3 * velocity.y + 30 * direction.y,
            )
        )

    def _measure(self) -> Motion:
        stage, barge = self._stage, self._barge
        position, velocity = stage.position, stage.linearVelocity
        deck = barge.position.y + BARGE_HALF_HEIGHT
        return Motion(
            position.x,
            position.y - deck - STANDING_HEIGHT,
            velocity.x,
            velocity.y - barge.linearVelocity.y,
            math.remainder(stage.angle, 2 * math.pi),
            stage.angularVelocity,
        )

    def _outcome(self) -> str | None:
        """How the episode ends with this step, if it does."""
        contacts, motion = self._contacts, self.motion
        if contacts.hull or contacts.impact_speed > MAXIMUM_IMPACT_SPEED or self._is_in_the_sea():
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

    def _is_in_the_sea(self) -> bool:
        height, angle = self._stage.position.y, self._stage.angle
        return any(
            height + x * math.sin(angle) + y * math.cos(angle) < 0
            for x, y in (*FEET, (0.0, HULL_TOP))
        )

    def _reward(self, burnt: float, outcome: str | None) -> float:
        before, self._potential = self._potential, potential(self.motion, self._contacts.legs)
        if outcome in ("crashed", "out_of_bounds"):
            return CRASH_REWARD
        bonus = LANDING_BONUS if outcome == "landed" else 0.0
        return self._potential - before - FUEL_COST * burnt + bonus

    def _observation(self) -> np.ndarray:
        motion, touching = self.motion, self._contacts.touching
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
                self._throttle,
                self._gimbal / MAXIMUM_GIMBAL,
                self.fuel / FULL_FUEL,
            ],
            np.float32,
        )
        return np.clip(observation, self._low, self._high, out=observation)


def potential(motion: Motion, legs: int) -> float:
    """What the shaping part of the reward is a difference of; `legs` stand on the deck."""
    wanted_x, wanted_y = wanted_velocity(motion.x, motion.height)
    return (
        -DISTANCE_COST * math.hypot(motion.x, motion.height)
        - SPEED_COST * math.hypot(motion.velocity_x - wanted_x, motion.velocity_y - wanted_y)
        - TILT_COST * abs(motion.angle)
        + LEG_BONUS * legs
    )


def wanted_velocity(x: float, height: float) -> tuple[float, float]:
    """Of a good approach: down as fast as a steady deceleration to the deck allows, and inwards."""
    return -x / APPROACH_TIME, -math.sqrt(2 * DESCENT_DECELERATION * max(height, 0.0))


def heuristic(observation: np.ndarray) -> np.ndarray:
    """A controller by hand: the continuous action [3] float32 for an observation [12].

    Downwards: the velocity that the reward wants and 0.7 m/s more, as if the stage were lower where
    it is still beside the deck. Sideways: a damped pull to the middle, by leaning. The gimbal and the
    side thruster turn the stage to that lean.
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


class _Contacts(contactListener):
    """What of the stage touches the barge, and how fast a foot did when it began to."""

    def __init__(self, barge: Any):
        super().__init__()
        self._barge = barge
        self.touching = [False, False]  # left and right leg
        self.hull = False
        self.impact_speed = 0.0  # the greatest so far

    @property
    def legs(self) -> int:
        return sum(self.touching)

    def BeginContact(self, contact: Any) -> None:
        part = self._part(contact)
        if part.userData is None:
            self.hull = True
            return
        self.touching[part.userData] = True
        foot = part.body.GetWorldPoint(FEET[part.userData])
        velocity = part.body.GetLinearVelocityFromWorldPoint(foot)
        deck = self._barge.GetLinearVelocityFromWorldPoint(foot)
        self.impact_speed = max(self.impact_speed, deck.y - velocity.y)

    def EndContact(self, contact: Any) -> None:
        part = self._part(contact)
        if part.userData is not None:
            self.touching[part.userData] = False

    def _part(self, contact: Any) -> Any:
        """The fixture that is not the barge's; a leg's has its number as userData."""
        first, second = contact.fixtureA, contact.fixtureB
        return second if first.body == self._barge else first


def _hull() -> list[tuple[float, float]]:
    return [
        (-HULL_HALF_WIDTH, HULL_BOTTOM),
        (HULL_HALF_WIDTH, HULL_BOTTOM),
        (HULL_HALF_WIDTH, HULL_TOP),
        (-HULL_HALF_WIDTH, HULL_TOP),
    ]


def _leg(number: int) -> list[tuple[float, float]]:
    x, y = FEET[number]
    inside = math.copysign(HULL_HALF_WIDTH, x)
    return [(inside, -4), (inside, -10), (0.93 * x, y), (x, y)]


def _towards(value: float, target: float, step: float) -> float:
    return value + min(max(target - value, -step), step)


class _Puff(NamedTuple):
    """A cloud of exhaust as it left the engine."""

    step: int
    x: float
    y: float
    velocity_x: float
    velocity_y: float


class _Painter:
    """Draws the scene at twice its size and smooths it down, which softens every edge.

    Nothing in a picture is random: waves, flames and smoke follow from the step.
    """

    def __init__(self) -> None:
        try:
            import pygame
        except ImportError as error:
            raise DependencyNotInstalled(
                'pygame is not installed: run `pip install "gymnasium[box2d]"`.'
            ) from error
        pygame.font.init()
        self._pygame = pygame
        self._canvas = pygame.Surface((WIDTH * 2, HEIGHT * 2), 0, 32)
        self._background = pygame.surfarray.make_surface(_dusk().swapaxes(0, 1))
        self._small = pygame.font.Font(None, 20)
        self._large = pygame.font.Font(None, 30)
        self._light = functools.lru_cache(512)(self._make_light)
        self._cloud = functools.lru_cache(64)(self._make_cloud)
        self._window: pygame.Surface | None = None

    def picture(self, lander: RocketLander) -> pygame.Surface:
        """[WIDTH, HEIGHT]."""
        self._aim(lander)
        self._canvas.blit(self._background, (0, 0))
        self._draw_waves(lander, 0, 7)
        self._draw_barge(lander)
        self._draw_waves(lander, 7, WAVE_ROWS)
        self._draw_smoke(lander)
        self._draw_flame(lander)
        self._draw_legs(lander)
        self._draw_hull(lander)
        self._draw_side_jet(lander)
        picture = self._pygame.transform.smoothscale(self._canvas, (WIDTH, HEIGHT))
        self._draw_instruments(picture, lander)
        return picture

    def pixels(self, lander: RocketLander) -> np.ndarray:
        """[HEIGHT, WIDTH, 3] uint8."""
        picture = self._pygame.surfarray.array3d(self.picture(lander))
        return np.ascontiguousarray(picture.swapaxes(0, 1))

    def show(self, lander: RocketLander) -> None:
        """In a window, for as long as a step lasts."""
        pygame = self._pygame
        if self._window is None:
            pygame.display.init()
            self._window = pygame.display.set_mode((WIDTH, HEIGHT))
            pygame.display.set_caption("RocketLander")
            self._clock = pygame.time.Clock()
        self._window.blit(self.picture(lander), (0, 0))
        pygame.event.pump()
        self._clock.tick(STEPS_PER_SECOND)
        pygame.display.flip()

    def close(self) -> None:
        if self._window is not None:
            self._pygame.display.quit()
            self._window = None

    def _aim(self, lander: RocketLander) -> None:
        """Chooses what is seen: the stage and the barge, as near as possible."""
        place = lander._stage.transform
        ends = [place * (0.0, HULL_BOTTOM), place * (0.0, HULL_TOP)]
        left = min(*(end[0] - 12 for end in ends), -BARGE_HALF_WIDTH - 6)
        right = max(*(end[0] + 12 for end in ends), BARGE_HALF_WIDTH + 6)
        top = max(end[1] + 8 for end in ends)
        self._middle = (left + right) / 2
        self._scale = 2 * min(WIDTH / (right - left), (WATER_LINE - 30) / top)  # pixels in a m

    def _pixel(self, x: float, y: float) -> tuple[float, float]:
        return WIDTH + (x - self._middle) * self._scale, 2 * WATER_LINE - y * self._scale

    def _polygon(self, color: _Color, points: list[tuple[float, float]], body: Any) -> None:
        """With points in the frame of a body."""
        place = body.transform
        self._pygame.draw.polygon(
            self._canvas, color, [self._pixel(*(place * point)) for point in points]
        )

    def _line(
        self, color: _Color, points: list[tuple[float, float]], width: float, body: Any
    ) -> None:
        """`width` in m; with round ends."""
        place, draw = body.transform, self._pygame.draw
        pixels = [self._pixel(*(place * point)) for point in points]
        thickness = max(round(width * self._scale), 1)
        for start, end in itertools.pairwise(pixels):
            draw.line(self._canvas, color, start, end, thickness)
        for pixel in pixels:
            draw.circle(self._canvas, color, pixel, thickness / 2)

    def _glow(self, color: _Color, x: float, y: float, radius: float) -> None:
        """Adds light around a point of the world."""
        size = max(round(radius * self._scale / 2) * 2, 2)  # even: fewer of them to keep
        left, top = self._pixel(x, y)
        self._canvas.blit(
            self._light(color, size),
            (left - size, top - size),
            special_flags=self._pygame.BLEND_RGB_ADD,
        )

    def _smoke(self, x: float, y: float, radius: float, opacity: float) -> None:
        size = max(round(radius * self._scale / 4) * 4, 4)
        cloud = self._cloud(size)
        cloud.set_alpha(round(255 * opacity))
        left, top = self._pixel(x, y)
        self._canvas.blit(cloud, (left - size, top - size))

    def _make_light(self, color: _Color, size: int) -> pygame.Surface:
        light = _disc(size)[..., None] * np.array(color)
        return self._pygame.surfarray.make_surface(light.astype(np.uint8))

    def _make_cloud(self, size: int) -> pygame.Surface:
        cloud = self._pygame.Surface((2 * size, 2 * size), self._pygame.SRCALPHA, 32)
        cloud.fill((226, 214, 214))
        alpha = self._pygame.surfarray.pixels_alpha(cloud)
        alpha[:] = (255 * _disc(size)).astype(np.uint8)
        del alpha  # it locks the surface
        return cloud

    def _draw_waves(self, lander: RocketLander, first: int, last: int) -> None:
        """Rows of the sea, from the horizon to the front."""
        time = lander._steps / STEPS_PER_SECOND
        columns = np.arange(0, 2 * WIDTH + 24, 24)
        for row in range(first, last):
            near = (row + 0.5) / WAVE_ROWS
            x = columns / 2 + self._middle * self._scale / 2 * near
            length, size = 25 + 120 * near, 0.8 + 5 * near  # pixels
            swell = np.sin(x / length + 1.7 * row - time * (0.9 + 0.3 * math.sin(row)))
            ripple = np.sin(x / length * 2.7 + row * row + time * 1.6)
            level = 2 * (HORIZON + (HEIGHT - HORIZON) * near**1.4)
            crest = level - 2 * size * (0.7 * swell + 0.3 * ripple)
            line = list(zip(columns.tolist(), crest.tolist(), strict=True))
            color = _mix((142, 92, 116), (13, 24, 50), near**0.6)
            bottom = [(2 * WIDTH + 24, 2 * HEIGHT), (0, 2 * HEIGHT)]
            self._pygame.draw.polygon(self._canvas, color, line + bottom)
            self._pygame.draw.lines(
                self._canvas, _mix(color, (238, 168, 140), 0.35 - 0.2 * near), False, line, 3
            )
            self._draw_glitter(row, near, level, time)

    def _draw_glitter(self, row: int, near: float, level: float, time: float) -> None:
        """The low sun in the water."""
        for number in range(4):
            spread = math.sin(12.9 * row + 78.2 * number)
            shine = math.sin(time * (1.5 + 0.4 * number) + 5 * row + 2 * number)
            if shine > 0:
                x = 2 * SUN_X + spread * (30 + 110 * near)
                half = (8 + 26 * near) * shine
                color = _mix((255, 196, 130), (120, 84, 96), near)
                y = level + 7 * (1 + near) * (number % 2)
                self._pygame.draw.line(self._canvas, color, (x - half, y), (x + half, y), 4)

    def _draw_barge(self, lander: RocketLander) -> None:
        """The deck as seen from a little above; the feet stand in its middle."""
        body, half, deck = lander._barge, BARGE_HALF_WIDTH, BARGE_HALF_HEIGHT
        near, far = deck - 1.4, deck + 1.3
        for side in (-1, 1):
            for x, width, height, color in CARGO:
                left, right = side * x, side * (x - width)
                box = [(left, far - 0.6), (right, far - 0.6), (right, far + height)]
                self._polygon(color, [*box, (left, far + height)], body)
        ends = [(-half, near), (half, near)]
        self._polygon((74, 78, 90), [*ends, (half - 1.5, far), (1.5 - half, far)], body)
        self._polygon((46, 49, 60), [*ends, (half - 3, -deck), (3 - half, -deck)], body)
        self._polygon(
            (146, 52, 48),
            [(-half + 2, -1), (half - 2, -1), (half - 3, -deck), (3 - half, -deck)],
            body,
        )
        self._line((122, 126, 138), ends, 0.25, body)
        for x, color in ((12.0, (236, 226, 206)), (10.6, (74, 78, 90)), (4.4, (236, 190, 70))):
            self._polygon(color, _ellipse(x, 0.09 * x, deck), body)
        self._polygon((74, 78, 90), _ellipse(3.0, 0.27, deck), body)
        for x in range(-24, 25, 8):
            self._line((96, 100, 114), [(x, near - 0.2), (x, near - 1.4)], 0.2, body)

    def _draw_smoke(self, lander: RocketLander) -> None:
        for puff in lander._puffs:
            age = (lander._steps - puff.step) / STEPS_PER_SECOND
            way = (1 - math.exp(-2 * age)) / 2  # s: it is slowed down by the air
            x, y = puff.x + way * puff.velocity_x, puff.y + way * puff.velocity_y
            radius = 1.5 + 5 * math.sqrt(age)
            ground = _ground(x) + 0.4 * radius
            if y < ground:  # it turns to a side
                x += (ground - y) * 1.6 * math.sin(2.4 * puff.step)
                y = ground
            self._smoke(x, y, radius, 0.3 * (1 - age / SMOKE_SECONDS) * min(age * 6, 1))

    def _draw_flame(self, lander: RocketLander) -> None:
        throttle, body = lander._throttle, lander._stage
        if throttle < 0.02:
            return
        flicker = 1 + 0.06 * math.sin(2.1 * lander._steps) + 0.04 * math.sin(5.3 * lander._steps)
        sine, cosine = math.sin(lander._gimbal), math.cos(lander._gimbal)
        nozzle = body.transform * (0.0, HULL_BOTTOM - NOZZLE_LENGTH)
        whole = 26 * throttle * flicker
        length = min(whole, max(nozzle.y - _ground(nozzle.x), 1.0))
        spread = whole - length  # m to either side, where the deck or the sea is in the way
        if spread:
            self._draw_turned_flame(nozzle.x, spread)
        for number in range(24):
            share = number / 23
            way = NOZZLE_LENGTH + length * share
            x, y = body.transform * (sine * way, HULL_BOTTOM - cosine * way)
            color = _mix((120, 96, 64), (70, 20, 6), share)
            self._glow(color, x, y, 1.6 + 2.2 * math.sin(math.pi * (0.15 + 0.85 * share)))
        for width, reach, color in FLAME_CORE:
            outline: list[tuple[float, float]] = []
            for share in (0.0, 0.12, 0.3, 0.6, 1.0, 0.6, 0.3, 0.12, 0.0):
                side = 1 if len(outline) > 4 else -1
                bulge = width * (1 - share) ** 0.7 * (0.8 + 1.6 * share)
                way, aside = NOZZLE_LENGTH + reach * length * share, side * bulge
                outline.append(
                    (sine * way + cosine * aside, HULL_BOTTOM - cosine * way + sine * aside)
                )
            self._polygon(color, outline, body)

    def _draw_turned_flame(self, middle: float, spread: float) -> None:
        for number in range(1, 12):
            color = _mix((110, 70, 36), (30, 10, 3), number / 11)
            for x in (middle - spread * number / 14, middle + spread * number / 14):
                self._glow(color, x, _ground(x) + 0.6, 1.7)

    def _draw_legs(self, lander: RocketLander) -> None:
        """Folded up high above the deck, for the eye alone: the bodies are always unfolded."""
        body = lander._stage
        unfolded = min(max((120 - lander.motion.height) / 40, 0.0), 1.0)
        unfolded = unfolded * unfolded * (3 - 2 * unfolded)
        for share, color in ((0.42, (38, 38, 44)), (1.0, (24, 24, 29))):  # the far pair first
            for number, (x, y) in enumerate(FEET):
                slid = lander._legs[number].translation
                hinge = (math.copysign(1.7, x), -9.8)
                reach = math.hypot(abs(x) - 1.7, y - hinge[1])
                lowered = math.atan2(y + slid - hinge[1], abs(x) - 1.7)
                angle = math.pi / 2 + unfolded * (lowered - math.pi / 2)
                outward = share * reach * math.cos(angle) + 0.3
                foot = (hinge[0] + math.copysign(outward, x), hinge[1] + reach * math.sin(angle))
                middle = (0.3 * hinge[0] + 0.7 * foot[0], 0.3 * hinge[1] + 0.7 * foot[1])
                if unfolded > 0.3:
                    self._line((92, 92, 100), [(hinge[0], -4.6), middle], 0.3, body)
                self._line(color, [hinge, foot], 0.75, body)
                if unfolded == 1:
                    pad = [(foot[0] - 0.8, foot[1] + 0.15), (foot[0] + 0.8, foot[1] + 0.15)]
                    self._line(color, pad, 0.4, body)

    def _draw_hull(self, lander: RocketLander) -> None:
        body = lander._stage
        sine, cosine = math.sin(lander._gimbal), math.cos(lander._gimbal)
        nozzle = [(-0.55, 0.2), (0.55, 0.2), (1.0, -NOZZLE_LENGTH), (-1.0, -NOZZLE_LENGTH)]
        turned = [(cosine * x - sine * y, HULL_BOTTOM + sine * x + cosine * y) for x, y in nozzle]
        self._polygon((58, 56, 62), turned, body)
        self._draw_cylinder(HULL_BOTTOM, -10.2, (70, 68, 72), body)
        for step in range(8):  # soot of the flight up
            bottom = -10.2 + step * 1.7
            self._draw_cylinder(bottom, bottom + 1.7, _mix((128, 122, 120), WHITE, step / 7), body)
        self._draw_cylinder(3.4, INTERSTAGE, WHITE, body)
        self._draw_cylinder(INTERSTAGE, HULL_TOP, (46, 46, 52), body)
        for y in (3.4, 12.0):
            self._line((176, 176, 184), [(-1.7, y), (1.7, y)], 0.12, body)
        self._polygon((44, 76, 150), [(-0.5, 5.5), (0.5, 5.5), (0.5, 10), (-0.5, 10)], body)
        for side in (-1, 1):
            self._draw_grid_fin(side, body)

    def _draw_cylinder(self, bottom: float, top: float, color: _Color, body: Any) -> None:
        """Lit by the sun from the left."""
        edges = [-1 + 2 * number / 16 for number in range(17)]
        for left, right in itertools.pairwise(edges):
            shade = 0.5 + 0.5 * math.cos(1.25 * ((left + right) / 2 + 0.45))
            red, green, blue = color
            dark = 1 - shade
            tint = (
                round(red * shade),
                round(green * shade * (0.97 - 0.04 * dark)),
                round(blue * shade * (0.92 + 0.12 * dark)),
            )
            a, b = left * HULL_HALF_WIDTH, right * HULL_HALF_WIDTH
            self._polygon(tint, [(a, bottom), (b, bottom), (b, top), (a, top)], body)

    def _draw_grid_fin(self, side: int, body: Any) -> None:
        inner, outer, bottom, top = 2.0 * side, 4.8 * side, 22.6, 24.2
        dark = (40, 40, 46)
        self._line(dark, [(1.6 * side, 23.4), (inner, 23.4)], 0.5, body)
        frame = [(inner, bottom), (outer, bottom + 0.3), (outer, top + 0.3), (inner, top)]
        self._polygon((88, 84, 90), frame, body)
        self._line(dark, [*frame, frame[0]], 0.22, body)
        for share in (0.33, 0.67):
            x, rise = inner + share * (outer - inner), 0.3 * share
            self._line(dark, [(x, bottom + rise), (x, top + rise)], 0.14, body)
            y = bottom + share * (top - bottom)
            self._line(dark, [(inner, y), (outer, y + 0.3)], 0.14, body)

    def _draw_side_jet(self, lander: RocketLander) -> None:
        side = lander._side
        if abs(side) < 0.05:
            return
        direction = -math.copysign(1, side)  # against the force
        for number in range(6):
            way = HULL_HALF_WIDTH + 0.4 + number * (0.4 + 0.7 * abs(side))
            sway = 0.15 * number * math.sin(1.9 * lander._steps + number)
            x, y = lander._stage.transform * (direction * way, SIDE_THRUSTER_HEIGHT + 1.5 + sway)
            self._smoke(x, y, 0.5 + 0.28 * number, (0.85 - 0.12 * number) * min(1, 2 * abs(side)))

    def _draw_instruments(self, picture: pygame.Surface, lander: RocketLander) -> None:
        pygame, motion = self._pygame, lander.motion
        panel = pygame.Surface((WIDTH - 28, 44), pygame.SRCALPHA, 32)
        pygame.draw.rect(panel, (6, 8, 22, 150), panel.get_rect(), border_radius=10)
        picture.blit(panel, (14, INSTRUMENTS_Y))
        speed = math.hypot(motion.velocity_x, motion.velocity_y)
        for x, name, value, unit in (
            (30, "SPEED", speed, "m/s"),
            (176, "HEIGHT", max(motion.height, 0.0), "m"),
        ):
            self._write(picture, self._small, name, x, (176, 178, 204))
            number = self._write(picture, self._large, f"{value:.1f}", x + 64, (250, 250, 255))
            self._write(picture, self._small, unit, x + 69 + number, (176, 178, 204))
        for x, name, share, color in (
            (332, "FUEL", lander.fuel / FULL_FUEL, (120, 200, 150)),
            (446, "THRUST", lander._throttle, (255, 176, 84)),
        ):
            name_width = self._write(picture, self._small, name, x, (176, 178, 204))
            bar = pygame.Rect(x + name_width + 8, INSTRUMENTS_Y + 18, 66, 8)
            pygame.draw.rect(picture, (60, 62, 84), bar, border_radius=4)
            bar.width = round(bar.width * share)
            pygame.draw.rect(picture, color, bar, border_radius=4)

    def _write(
        self, picture: pygame.Surface, font: pygame.font.Font, text: str, x: int, color: _Color
    ) -> int:
        """In the middle of the panel's height; returns the width in pixels."""
        written = font.render(text, True, color)
        picture.blit(written, (x, INSTRUMENTS_Y + 23 - written.get_height() // 2))
        return written.get_width()


def _dusk() -> np.ndarray:
    """Sky, sun and stars, and the sea's colour below: [2 HEIGHT, 2 WIDTH, 3] uint8."""
    rows, columns = np.mgrid[0 : HEIGHT : 2j * HEIGHT, 0 : WIDTH : 2j * WIDTH]
    stops = [0, 0.3, 0.55, 0.75, 0.92, 1, 1.001, HEIGHT / HORIZON]
    colors = np.array(
        [
            (16, 18, 48),
            (44, 38, 90),
            (110, 62, 118),
            (206, 104, 112),
            (248, 166, 118),
            (255, 208, 152),
            (150, 96, 116),
            (13, 24, 50),
        ]
    )
    place = rows / HORIZON
    picture = np.stack([np.interp(place, stops, colors[:, part]) for part in range(3)], -1)
    stars = np.random.default_rng(5)
    for y, x, light in stars.uniform((0, 0, 30), (0.75 * HORIZON, 2 * WIDTH, 190), (110, 3)):
        picture[int(y) : int(y) + 2, int(x) : int(x) + 2] += light * (1 - y / (0.75 * HORIZON))
    distance = np.hypot(columns - SUN_X, rows - SUN_Y)[..., None]
    above = (rows < HORIZON)[..., None]
    glow = 90 * np.exp(-distance / 90) * np.array([1, 0.72, 0.42])
    picture += glow * np.where(above, 1, 0.4)
    picture = np.where(above & (distance < 26), (255, 240, 206), picture)
    for y, x, height, width, light in CLOUDS:
        cloud = np.exp(-(((rows - y) / height) ** 2) - ((columns - x) / width) ** 2)[..., None]
        picture += light * cloud * np.array([1, 0.62, 0.6]) * above
    return picture.clip(0, 255).astype(np.uint8)


def _ground(x: float) -> float:
    """Height of the deck or the sea, for fire and smoke."""
    return BARGE_DECK if abs(x) < BARGE_HALF_WIDTH else 0.0


def _disc(radius: int) -> np.ndarray:
    """[2 radius, 2 radius], from 1 in the middle smoothly to 0."""
    axis = (np.arange(2 * radius) - radius + 0.5) / radius
    inside = np.clip(1 - axis[:, None] ** 2 - axis**2, 0, 1)
    return inside**2


def _ellipse(half_width: float, half_height: float, y: float) -> list[tuple[float, float]]:
    angles = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    return [(half_width * math.cos(a), y + half_height * math.sin(a)) for a in angles.tolist()]


def _mix(first: _Color, second: _Color, share: float) -> _Color:
    share = min(max(share, 0.0), 1.0)
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue
