"""A Gymnasium environment, or a user's own, checked against Gymnasium's interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

from dopamine_lite.common.errors import UserError, is_of_users_code
from dopamine_lite.environments.declared import as_declared, described, listed

MASK = "action_mask"  # Gymnasium's name in an info for the legal actions

_RESET = "`reset(self, *, seed=None, options=None)` that returns (observation, info)"
_STEP = (
    "`step(self, action)` that returns (observation, reward, terminated, truncated, info), the "
    "last a dictionary"
)
_RENDER = "`render(self)` that returns a picture"
_INTERFACE = {"reset": _RESET, "step": _STEP, "render": _RENDER}


class SingleEnvironment:
    """An environment whose return values are checked against its spaces and Gymnasium's interface.

    An exception inside the environment's own code is passed on with its traceback.

    Args:
      id: the environment's id, for messages.
      env: the environment, not yet reset.
      index: which of the N environments it is, from 0.

    Raises:
      UserError: it has no spaces. From the methods: a return value is not as declared, or is missing.
    """

    def __init__(self, id: str, env: gymnasium.Env, index: int):
        self._id = id
        self._env = env
        self._index = index
        self.observation_space = self._space("observation_space")
        self.action_space = self._space("action_space")
        self._shape = self.observation_space.shape
        self._dtype = self.observation_space.dtype
        self._is_number = isinstance(self.observation_space, gymnasium.spaces.Discrete)
        self._steps = 0  # of the episode
        # Whether infos name the legal actions, according to the first info.
        self.masked: bool | None = None
        self.info: Mapping[str, Any] = {}  # of the last step

    def reset(self, **seed: int) -> tuple[Any, np.ndarray | None]:
        """Begins an episode. Returns its first observation, and the legal actions [A] bool or None."""
        self._steps = 0
        returned = self._asked("reset", self._env.reset, **seed)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise self._breaks("reset", f"returned {_counted(returned)}")
        observation, info = returned
        if not isinstance(info, Mapping):
            raise self._breaks("reset", f"returned {described(info)} as info")
        observation = self._held(observation)
        if self.masked is None:
            self.masked = MASK in info
        return observation, self._mask(info)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, np.ndarray | None]:
        """Returns observation, reward, terminated, truncated, and the legal actions [A] bool or None."""
        self._steps += 1
        returned = self._asked("step", self._env.step, action)
        if not isinstance(returned, tuple) or len(returned) != 5:
            raise self._breaks("step", f"returned {_counted(returned)}")
        observation, reward, terminated, truncated, info = returned
        observation = self._held(observation)
        if type(reward) is not float:
            reward = self._number(reward)
        if type(terminated) is not bool:
            terminated = self._truth(terminated, "terminated")
        if type(truncated) is not bool:
            truncated = self._truth(truncated, "truncated")
        if type(info) is not dict and not isinstance(info, Mapping):
            raise self._breaks("step", f"returned {described(info)} as info")
        self.info = info
        return observation, reward, terminated, truncated, self._mask(info, terminated)

    def render(self) -> Any:
        return self._asked("render", self._env.render)

    def close(self) -> None:
        self._env.close()

    def _asked(self, method: str, call: Callable[..., Any], *action: Any, **seed: int) -> Any:
        """The environment's return value; a UserError if its interface is wrong."""
        try:
            return call(*action, **seed)
        except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
            if is_of_users_code(error) or not _is_of_the_interface(error):
                raise
            said = str(error) or type(error).__name__
            raise self._breaks(method, f"cannot be used ({said})") from error

    def _held(self, observation: Any) -> Any:
        """`observation`, checked to be storable as declared."""
        if self._is_number:
            if type(observation) in (int, np.int64):
                return observation
        elif (
            type(observation) is np.ndarray
            and observation.dtype is self._dtype
            and observation.shape == self._shape
        ):
            return observation
        if self._shape is None:  # a dictionary or the like, which no environment's spec allows
            return observation
        space = self.observation_space
        return as_declared(observation, space, self._shape, self._id, self._where())

    def _number(self, reward: Any) -> float:
        """The single number in `reward`, whatever its type."""
        array = np.asarray(reward)
        if array.size != 1 or array.dtype.kind not in "biuf":
            raise UserError(
                f"{self._id} returned {described(reward)} as reward {self._where()}: return one "
                "finite number."
            )
        return float(array.item())

    def _truth(self, flag: Any, name: str) -> bool:
        array = np.asarray(flag)
        if array.size != 1 or array.dtype != bool:
            raise UserError(
                f"{self._id} returned {described(flag)} as {name} {self._where()}: return True or "
                "False."
            )
        return bool(array.item())

    def _mask(self, info: Mapping[str, Any], terminated: bool = False) -> np.ndarray | None:
        """The legal actions [A] bool, as a copy: an environment may write to its own array again."""
        if (MASK in info) is not self.masked:
            return self._mask_missing(terminated)
        if not self.masked or not isinstance(self.action_space, gymnasium.spaces.Discrete):
            return None  # masks are for one discrete action, as `spec_of` says
        size = int(self.action_space.n)
        given = np.asarray(info[MASK])
        if given.shape == (size,) and given.dtype.kind in "biuf":
            mask = given.astype(bool)
            if np.array_equal(mask, given):
                return mask
        raise UserError(
            f"{self._id} returned {listed(info[MASK])} as info['{MASK}'] {self._where()}, but has "
            f"{size} actions: return an array of {size} numbers, 1 where an action is legal and 0 "
            "where it is not."
        )

    def _mask_missing(self, terminated: bool) -> np.ndarray:
        """The mask for an end without a mask; a UserError if masks are missing or unexpected."""
        if not self.masked:
            raise UserError(
                f"{self._id} names legal actions in info['{MASK}'] {self._where()}, but did not at its "
                "first reset, so illegal actions could be played: return them from reset and step."
            )
        if not terminated:
            raise UserError(
                f"{self._id} names no legal actions in info {self._where()}, but did at its first "
                f"reset: return info['{MASK}'] from reset and step."
            )
        return np.zeros(int(self.action_space.n), bool)  # no action follows there

    def _where(self) -> str:
        return where(self._index, self._steps)

    def _breaks(self, method: str, what: str) -> UserError:
        """A sentence on what `method` did wrong, and what Gymnasium's interface asks for."""
        kind = type(self._env.unwrapped).__name__
        return UserError(
            f"{self._id}: the {method} of {kind} {what}: Gymnasium's interface asks for "
            f"{_INTERFACE[method]}."
        )

    def _space(self, name: str) -> Any:
        kind = type(self._env.unwrapped).__name__
        space = getattr(self._env, name, None)
        if not isinstance(space, gymnasium.Space):
            raise UserError(
                f"{self._id}: the {name} of {kind} is {described(space)}: Gymnasium's interface asks "
                "for one of gymnasium.spaces."
            )
        return space


def where(environment: int, step: int) -> str:
    """ "in step 3 of an episode (environment 0)"; step 0 is an episode's start."""
    when = f"in step {step:,}" if step else "at the start"
    return f"{when} of an episode (environment {environment})"


def _counted(returned: Any) -> str:
    return f"{len(returned)} values" if isinstance(returned, tuple) else described(returned)


def _is_of_the_interface(error: BaseException) -> bool:
    """Whether `error` was raised where Gymnasium calls an environment or unpacks its result."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = str(traceback.tb_frame.f_globals.get("__name__", "")) if traceback else ""
    return module == __name__ or module.startswith(("gymnasium.core", "gymnasium.wrappers"))
