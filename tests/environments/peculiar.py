"""Environments that break a promise, each in one way; the one they are made of breaks none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

LENGTH = 6  # steps in an episode
ALL, SOME, NONE = (np.array(mask, np.int8) for mask in ([1, 1, 1], [1, 0, 1], [0, 0, 0]))
BYTES = spaces.Box(0, 255, (2, 2), np.uint8)
PICTURE = np.zeros((10, 12, 3), np.uint8)


class Plain(gymnasium.Env):
    """Six steps worth 1 each, three zeros to see, three actions. `step` 0 is the reset."""

    observation_space: Any = spaces.Box(-1, 1, (3,), np.float32)
    action_space: Any = spaces.Discrete(3)

    def observation(self, step: int) -> Any:
        return np.zeros(3, np.float32)

    def reward(self, step: int) -> Any:
        return 1.0

    def info(self, step: int) -> Any:
        return {}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.count = 0
        return self.observation(0), self.info(0)

    def step(self, action: Any) -> Any:
        self.count += 1
        step, over = self.count, self.count == LENGTH
        return self.observation(step), self.reward(step), over, False, self.info(step)


def seen(value: Any, space: spaces.Space | None = None, from_step: int = 0) -> type[Plain]:
    """Observes `value` from a step on and zeros before, in `space` if that is given."""

    class Seen(Plain):
        def observation(self, step: int) -> Any:
            zeros = np.zeros(self.observation_space.shape, self.observation_space.dtype)
            if step < from_step:
                return zeros if zeros.ndim else zeros.item()
            return value

    if space is not None:
        Seen.observation_space = space
    return Seen


def paid(value: Any, at_step: int = 1) -> type[Plain]:
    """Has the reward `value` in one step."""

    class Paid(Plain):
        def reward(self, step: int) -> Any:
            return value if step == at_step else 1.0

    return Paid


def masked(
    at_reset: Any, in_steps: Any, at_end: Any = SOME, truncates: bool = False
) -> type[Plain]:
    """Numbers its states 0 to 6 and names legal actions; None: does not. Ends as it is told to."""

    class Masked(Plain):
        observation_space = spaces.Discrete(LENGTH + 1)

        def observation(self, step: int) -> int:
            return step

        def info(self, step: int) -> Any:
            mask = at_reset if step == 0 else at_end if step == LENGTH else in_steps
            return {} if mask is None else {"action_mask": mask}

        def step(self, action: Any) -> Any:
            observation, reward, over, _, info = super().step(action)
            ends = (False, over) if truncates else (over, False)
            return observation, reward, *ends, info

    return Masked


def drawn(*pictures: Any, **metadata: Any) -> type[Plain]:
    """Draws each of `pictures` in turn, and the last one for ever."""

    class Drawn(Plain):
        def __init__(self, render_mode: str | None = None):
            self._pictures = list(pictures)

        def render(self) -> Any:
            return self._pictures.pop(0) if len(self._pictures) > 1 else self._pictures[0]

    Drawn.metadata = {"render_modes": ["rgb_array"], **metadata}
    return Drawn


class FourValues(Plain):
    """Steps as Gym did until 0.25."""

    def step(self, action: Any) -> Any:
        observation, reward, over, _, info = super().step(action)
        return observation, reward, over, info


class OnlyObservation(Plain):
    """Resets as Gym did until 0.25."""

    def reset(self, **options: Any) -> Any:
        return super().reset(**options)[0]


class OnlyTwoNumbers(OnlyObservation):
    """What it returns at a reset can be taken for an observation and an info."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)

    def observation(self, step: int) -> Any:
        return np.zeros(2, np.float32)


class NoSeed(Plain):
    def reset(self) -> Any:  # type: ignore[override]
        return Plain.reset(self)


class NoOptions(Plain):
    def reset(self, seed: int | None = None) -> Any:  # type: ignore[override]
        return Plain.reset(self, seed=seed)


class NoAction(Plain):
    def step(self) -> Any:  # type: ignore[override]
        return Plain.step(self, 0)


class NoStep(gymnasium.Env):
    observation_space = Plain.observation_space
    action_space = Plain.action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return np.zeros(3, np.float32), {}


class NoReset(gymnasium.Env):
    observation_space = Plain.observation_space
    action_space = Plain.action_space


class NoSpace(Plain):
    observation_space = None


class NoActions(gymnasium.Env):
    observation_space = Plain.observation_space


class NoEnvironment:
    """Of no class of Gymnasium's."""


class NothingStepped(Plain):
    def step(self, action: Any) -> Any:
        return None


class NoInfo(Plain):
    def info(self, step: int) -> Any:
        return None if step == 2 else {}


class NumbersForEnds(Plain):
    def step(self, action: Any) -> Any:
        observation, reward, over, _, info = super().step(action)
        return observation, reward, int(over), False, info


class InitMistake(Plain):
    def __init__(self):
        self.price = {"cost": 1}["price"]


class InitTypeMistake(Plain):
    """Gymnasium raises a TypeError anew."""

    def __init__(self):
        self.price = len(3)  # type: ignore[arg-type]


class ResetMistake(Plain):
    def reset(self, **options: Any) -> Any:
        return np.zeros(3).reshape(2), {}


class StepMistake(Plain):
    def step(self, action: Any) -> Any:
        return int("three")


class CloseMistake(Plain):
    def close(self) -> None:
        raise KeyError("simulator")


class Alone(Plain):
    """May exist once at a time, as a simulator behind a port."""

    exists = False

    def __init__(self):
        if Alone.exists:
            raise RuntimeError("there is one already")
        Alone.exists = True

    def close(self) -> None:
        Alone.exists = False


class OneBuffer(Plain):
    """Writes to the array that it has returned."""

    def __init__(self):
        self.buffer = np.zeros(3, np.float32)

    def observation(self, step: int) -> Any:
        self.buffer[:] = step / LENGTH
        return self.buffer


@contextlib.contextmanager
def registered(**entry_points: Any) -> Iterator[None]:
    """Makes environments known by the names of the arguments, "-v0" after each."""
    for name, entry_point in entry_points.items():
        gymnasium.register(f"{name}-v0", entry_point)
    try:
        yield
    finally:
        for name in entry_points:
            del gymnasium.registry[f"{name}-v0"]
