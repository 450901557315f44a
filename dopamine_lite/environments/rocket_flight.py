"""The flight of RocketLander's stage in Box2D: its engines, the air, the sea and the barge."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, NamedTuple

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

# Everything is in meters, seconds, kilograms, newtons and radians unless a comment says otherwise.
# Angles grow counter-clockwise: a positive one leans to the left.
STEPS_PER_SECOND = 50
GRAVITY = 9.81  # m/s^2

# The stage. Its points are relative to the hull's center of mass, the second number along its axis.
HULL_MASS = 24_000.0  # kg, without legs and fuel
FULL_FUEL = 2_000.0  # kg, what is left for the landing
GYRATION_RADIUS = 11.0  # m: moment of inertia = mass * GYRATION_RADIUS^2
HULL_HALF_WIDTH = 1.85  # m
HULL_BOTTOM, HULL_TOP = -11.5, 28.0  # m; the main engine pushes at the bottom
SIDE_THRUSTER_HEIGHT = 24.0  # m
FEET = ((-9.0, -15.0), (9.0, -15.0))  # m, left and right
STANDING_HEIGHT = 15.0  # m from the deck to the center of mass of a standing stage

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
SMOKE_SECONDS = 1.6  # how long pictures show the main engine's smoke

# Air: a force on the stage's side only; along its axis it is small at these speeds.
AIR_DRAG = 0.5 * 1.2 * 1.2 * 40 * 3.7  # N per (m/s)^2: half density * coefficient * side area
MAXIMUM_WIND_SPEED = 20.0  # m/s; in stronger wind, a hovering stage leans too far to land

# Barge. The sea's level is 0.
BARGE_HALF_WIDTH, BARGE_HALF_HEIGHT = 30.0, 3.5  # m
BARGE_DECK = 4.0  # m above the sea at rest
HEAVE, HEAVE_PERIOD = 0.5, 8.0  # m, s
ROLL, ROLL_PERIOD = math.radians(1.2), 11.0  # rad, s

# An episode begins uniformly within these ranges.
START_X = (-60.0, 60.0)  # m
START_HEIGHT = (170.0, 200.0)  # m
START_VELOCITY_X = (-8.0, 8.0)  # m/s
START_VELOCITY_Y = (-30.0, -20.0)  # m/s
START_ANGLE = (-0.25, 0.25)  # rad
START_ANGULAR_VELOCITY = (-0.1, 0.1)  # rad/s


class Motion(NamedTuple):
    """The motion of the hull's center of mass relative to the barge, in SI units."""

    x: float  # from the middle of the barge
    height: float  # above its height when the stage stands on the deck
    velocity_x: float
    velocity_y: float  # relative to the barge, which heaves
    angle: float
    angular_velocity: float


class Puff(NamedTuple):
    """A cloud of exhaust, as it left the engine."""

    step: int
    x: float
    y: float
    velocity_x: float
    velocity_y: float


class Scene(NamedTuple):
    """Everything that a picture shows of one moment."""

    step: int
    motion: Motion
    stage: b2Transform  # `stage * (x, y)` is the stage's point (x, y) in the world
    barge: b2Transform  # likewise, from its middle
    legs: tuple[float, float]  # m by which the left and the right leg are pushed in
    throttle: float  # of the full thrust
    gimbal: float  # rad; positive leans the stage to the right
    side: float  # of the side thrusters' force; positive is to the right
    fuel: float  # kg
    puffs: tuple[Puff, ...]  # the oldest first


class Flight:
    """One flight of the stage, from a random start.

    Args:
      generator: draws the start, the sea and the wind.
      wind_speed: mean speed of the wind in m/s.
    """

    def __init__(self, generator: np.random.Generator, wind_speed: float):
        # Of heave, roll and two gusts
        self._phases = generator.uniform(0, 2 * math.pi, 4).tolist()
        self._mean_wind = wind_speed * generator.choice((-1, 1))
        self.steps = 0
        self.fuel = FULL_FUEL  # kg
        self.throttle = self.gimbal = self.side = 0.0  # the gimbal in rad
        self._puffs: deque[Puff] = deque()
        self._create_world(generator)
        self.motion = self._measure()

    def advance(self, throttle: float, gimbal: float, side: float) -> float:
        """Flies one step with these commands, from -1 to 1; returns the kg of fuel burnt."""
        burnt = self._fire(throttle, gimbal, side)
        self._blow()
        self._rock()
        self._world.Step(1 / STEPS_PER_SECOND, 10, 10)
        self.steps += 1
        self._weigh()
        self.motion = self._measure()
        return burnt

    def _create_world(self, generator: np.random.Generator) -> None:
        """Creates the world, anew for each episode: an old order of contacts changes results."""
        draw = generator.uniform
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
        self.contacts = self._world.contactListener = _Contacts(self._barge)

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
        """Moves the actuators toward their commands and pushes; returns the kg of fuel burnt."""
        command = MINIMUM_THROTTLE + (1 - MINIMUM_THROTTLE) * throttle if throttle > 0 else 0.0
        self.throttle = _towards(self.throttle, command, THROTTLE_RATE / STEPS_PER_SECOND)
        self.gimbal = _towards(self.gimbal, gimbal * MAXIMUM_GIMBAL, GIMBAL_RATE / STEPS_PER_SECOND)
        wanted = MAIN_THRUST * self.throttle + SIDE_THRUST * abs(side)
        wanted /= EXHAUST_SPEED * STEPS_PER_SECOND  # kg in this step
        share = 1.0 if wanted <= self.fuel else self.fuel / wanted
        self.throttle *= share
        self.side = side * share
        self.fuel = max(self.fuel - wanted * share, 0.0)
        stage, thrust = self._stage, MAIN_THRUST * self.throttle
        stage.ApplyForce(
            stage.GetWorldVector((-thrust * math.sin(self.gimbal), thrust * math.cos(self.gimbal))),
            stage.GetWorldPoint((0, HULL_BOTTOM)),
            True,
        )
        stage.ApplyForce(
            stage.GetWorldVector((SIDE_THRUST * self.side, 0)),
            stage.GetWorldPoint((0, SIDE_THRUSTER_HEIGHT)),
            True,
        )
        return wanted * share

    def _blow(self) -> None:
        time, phases = self.steps / STEPS_PER_SECOND, self._phases
        gusts = 0.3 * math.sin(1.3 * time + phases[2]) + 0.2 * math.sin(2.7 * time + phases[3])
        relative = self._mean_wind * (1 + gusts) - self._stage.linearVelocity.x
        self._stage.ApplyForceToCenter((AIR_DRAG * abs(relative) * relative, 0), True)

    def _rock(self) -> None:
        """Gives the barge the velocities that take it to its next pose."""
        barge = self._barge
        heave, roll = self._sea(self.steps + 1)
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

    def scene(self) -> Scene:
        left, right = (leg.translation for leg in self._legs)
        stage, barge = self._stage.transform, self._barge.transform
        return Scene(
            step=self.steps,
            motion=self.motion,
            stage=b2Transform(stage.position, stage.q),  # a copy: the body's own transform moves on
            barge=b2Transform(barge.position, barge.q),
            legs=(left, right),
            throttle=self.throttle,
            gimbal=self.gimbal,
            side=self.side,
            fuel=self.fuel,
            puffs=tuple(self._puffs),
        )

    def leave_smoke(self) -> None:
        """Adds a puff of the engine's smoke, for pictures."""
        while self._puffs and self.steps - self._puffs[0].step >= SMOKE_SECONDS * STEPS_PER_SECOND:
            self._puffs.popleft()
        if self.throttle < 0.1 or self.steps % 2:
            return
        direction = self._stage.GetWorldVector((math.sin(self.gimbal), -math.cos(self.gimbal)))
        x, y = self._stage.GetWorldPoint((0, HULL_BOTTOM)) + 22 * self.throttle * direction
        velocity = self._stage.linearVelocity
        self._puffs.append(
            Puff(
                self.steps,
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

    def is_in_the_sea(self) -> bool:
        height, angle = self._stage.position.y, self._stage.angle
        return any(
            height + x * math.sin(angle) + y * math.cos(angle) < 0
            for x, y in (*FEET, (0.0, HULL_TOP))
        )


class _Contacts(contactListener):
    """The parts of the stage that touch the barge, and the speed of a foot at its first touch."""

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
