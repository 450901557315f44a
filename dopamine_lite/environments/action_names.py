"""The names of an environment's actions, for people; agents know only numbers."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import gymnasium

from dopamine_lite.common.printable import printable

_LONGEST = 24  # letters of a name

_UP_RIGHT_DOWN_LEFT = ("up", "right", "down", "left")
_LEFT_DOWN_RIGHT_UP = ("left", "down", "right", "up")
_HIPS_AND_KNEES = ("hip 1", "knee 1", "hip 2", "knee 2")

# From the documentation of each environment, by the id without its version. If an option changes the
# actions, there is one tuple for each possible number of actions.
_KNOWN: dict[str, tuple[tuple[str, ...], ...]] = {
    "Acrobot": (("torque -1", "torque 0", "torque +1"),),
    "BipedalWalker": (_HIPS_AND_KNEES,),
    "BipedalWalkerHardcore": (_HIPS_AND_KNEES,),
    "Blackjack": (("stick", "hit"),),
    "CarRacing": (
        ("steering", "gas", "brake"),
        ("nothing", "steer right", "steer left", "gas", "brake"),
    ),
    "CartPole": (("push left", "push right"),),
    "CliffWalking": (_UP_RIGHT_DOWN_LEFT,),
    "CliffWalkingSlippery": (_UP_RIGHT_DOWN_LEFT,),
    "FrozenLake": (_LEFT_DOWN_RIGHT_UP,),
    "FrozenLake8x8": (_LEFT_DOWN_RIGHT_UP,),
    "GridWorld": (_UP_RIGHT_DOWN_LEFT,),
    "LunarLander": (
        ("nothing", "left engine", "main engine", "right engine"),
        ("main engine", "side engines"),
    ),
    "LunarLanderContinuous": (("main engine", "side engines"),),
    "MountainCar": (("push left", "nothing", "push right"),),
    "MountainCarContinuous": (("force",),),
    "Pendulum": (("torque",),),
    "RocketLander": (
        ("throttle", "gimbal", "side thruster"),
        ("nothing", "engine", "engine, lean left", "engine, lean right", "push left", "push right"),
    ),
    "Taxi": (("down", "up", "right", "left", "pick up", "drop off"),),
}


def known_names(id: str, space: gymnasium.Space, env: Any = None) -> tuple[str, ...]:
    """Names of the actions, one for each of a `Discrete` space or each number of a `Box`; () if unknown.

    Args:
      id: the environment's id.
      space: the action space.
      env: the environment. If it has a method `get_action_meanings`, as Atari environments do, its names
        come first.
    """
    size = number_of_actions(space)
    told = None
    with contextlib.suppress(Exception):  # it has no such method, or a method with another meaning
        told = env.unwrapped.get_action_meanings()
    if isinstance(told, list | tuple) and len(told) == size and all(told):
        return tuple(printable(str(name))[:_LONGEST] for name in told)
    bare = re.sub(r"-v\d+$", "", id.rpartition(":")[2])
    return next((names for names in _KNOWN.get(bare, ()) if len(names) == size), ())


def number_of_actions(space: gymnasium.Space) -> int | None:
    """The number of actions of a `Discrete`, or of numbers in an action of a `Box` [D], or None."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return int(space.n)
    if isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1:
        return int(space.shape[0])
    return None


def in_words(name: str) -> str:
    """ "UPRIGHTFIRE" -> "up right fire", "NOOP" -> "nothing"."""
    words = re.findall("NOOP|UP|DOWN|LEFT|RIGHT|FIRE", name)
    return " ".join(words).lower().replace("noop", "nothing") or name.lower()
