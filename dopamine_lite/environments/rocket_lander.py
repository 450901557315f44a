"""RocketLander: the first stage of a rocket returns to a barge at sea, in Box2D."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled

try:
    from Box2D import b2MassData, b2Transform, b2World
    from Box2D.b2 import contactListener, fixtureDef, polygonShape
except ImportError as error:
    raise DependencyNotInstalled(
        "RocketLander needs Box2D, which is not installed: run `pip install swig` and then "
        '`pip install "gymnasium[box2d]"`.'
    ) from error

if TYPE_CHECKING:
    from dopamine_lite.environments.rocket_painter import Painter

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
SMOKE_SECONDS = 1.6  # for so long the main engine's smoke is in pictures

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


class Motion(NamedTuple):
    """Of the hull's centre of mass beside the barge, in SI units."""

    x: float  # from the middle of the barge
    height: float  # above where it is when the stage stands on the deck
    velocity_x: float
    velocity_y: float  # relative to the barge, which heaves
    angle: float
    angular_velocity: float


class Puff(NamedTuple):
    """A cloud of exhaust as it left the engine."""

    step: int
    x: float
    y: float
    velocity_x: float
    velocity_y: float


class Scene(NamedTuple):
    """All that a picture shows of a moment."""

    step: int
    motion: Motion
    stage: b2Transform  # `stage * (x, y)` is where its point (x, y) is in the world
    barge: b2Transform  # likewise, from its middle
    legs: tuple[float, float]  # m by which the left and the right one are pushed in
    throttle: float  # of the full thrust
    gimbal: float  # rad; positive leans the stage to the right
    side: float  # of the side thrusters' force; positive is to the right
    fuel: float  # kg
    puffs: tuple[Puff, ...]  # the oldest first


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

    `Box` of 12 float32, clipped to its bounds. Positions and velocities are of the hull's centre of
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
        # Of heave, roll and two gusts
        self._phases = self.np_random.uniform(0, 2 * math.pi, 4).tolist()
        self._mean_wind = self.wind_speed * self.np_random.choice((-1, 1))
        self._steps = 0
        self._steps_landed = 0
        self.fuel = FULL_FUEL  # kg
        self._throttle = self._gimbal = self._side = 0.0  # the gimbal in rad
        self._puffs: deque[Puff] = deque()
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
            self._painter.show(self._scene())
            return None
        return self._painter.pixels(self._scene())

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

    def _scene(self) -> Scene:
        left, right = (leg.translation for leg in self._legs)
        stage, barge = self._stage.transform, self._barge.transform
        return Scene(
            step=self._steps,
            motion=self.motion,
            stage=b2Transform(stage.position, stage.q),  # a copy: the body's own moves on
            barge=b2Transform(barge.position, barge.q),
            legs=(left, right),
            throttle=self._throttle,
            gimbal=self._gimbal,
            side=self._side,
            fuel=self.fuel,
            puffs=tuple(self._puffs),
        )

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
            Puff(
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
