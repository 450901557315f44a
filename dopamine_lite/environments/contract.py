"""Checks the return values of every environment against its spec while it is stepped.

Without these checks, an agent would learn from an undeclared reward or observation as from any other,
and its curves would not show it.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.declared import described
from dopamine_lite.environments.environment import EnvironmentSpec, Report, Step
from dopamine_lite.environments.single_environment import where

EXACT_STEPS = 32  # at the start of every segment of a run
_NAMES = (gymnasium.spaces.MultiDiscrete, gymnasium.spaces.MultiBinary)
_ROUNDING = 1e-6  # share of a bound by which real numbers may exceed it


class Contract:
    """Checks the arrays that N environments return together.

    In every step, observations must be arrays as declared, with finite real numbers or with names that
    belong to their space. Rewards must be N finite numbers, some action must be legal, and no episode
    may be longer than the limit. In the first steps, and in the first step that ends an episode, there
    are more checks: observations must be within their bounds, a stack must continue the previous stack,
    and no array may be written to after it was returned.

    Args:
      spec: what the environment declares.
      exact_steps: the number of first steps that are checked in full. The first step that ends an
        episode is checked in full, too.
    """

    def __init__(self, spec: EnvironmentSpec, exact_steps: int = EXACT_STEPS):
        self._spec = spec
        self._exact_steps = exact_steps
        self._space = spec.observation_space
        self._is_real = np.dtype(self._space.dtype).kind == "f"
        self._shape = (spec.num_envs,)
        self._steps = 0
        self._began = np.zeros(spec.num_envs, int)  # `_steps` at the start of each episode
        self._saw_end = False
        self._last: tuple[np.ndarray, np.ndarray] | None = None  # the last return value, and a copy
        self._remembered = -1  # the step that returned it
        self._first_picture: tuple[int, ...] | None = None
        self.report: Report = _ignore
        self._reported: set[str] = set()

    def check_reset(self, observations: np.ndarray, masks: np.ndarray | None) -> None:
        """Raises UserError if the first observations or their masks are not as declared."""
        self._check_array(observations, "observations")
        self._check_bounds(observations)
        self._check_values(observations)
        self._check_masks(masks)
        self._check_beginnings(observations)
        self._remember(observations)

    def checked(self, step: Step, masks: np.ndarray | None) -> Step:
        """Checks `step` and `masks`, the masks of the next actions, and returns the step.

        A truncated state without a legal action becomes a terminal state: nothing can follow, so its
        value is zero. A terminated episode never counts as truncated, too.

        Raises:
          UserError: something is not as declared.
        """
        self._steps += 1
        self._check_arrays(step)
        ended = step.terminated | step.truncated
        ends = bool(ended.any())
        exact = self._steps <= self._exact_steps or (ends and not self._saw_end)
        if exact:
            self._check_exactly(step, ended)
        self._check_rewards(step.rewards)
        self._check_values(step.next_observations)
        if self._spec.action_masks or step.next_action_masks is not None:
            step = self._with_masks(step)
        if ends:
            step = step._replace(truncated=step.truncated & ~step.terminated)
            self._check_values(step.observations)
        self._check_lengths(ended)
        if ends:
            self._began[ended] = self._steps
            self._saw_end = True
        if exact:
            self._remember(step.observations)
        if self._spec.action_masks or masks is not None:
            self._check_masks(masks)
        return step

    def picture(self, returned: Any) -> np.ndarray:
        """The picture [height, width, 3] uint8. Raises UserError if `returned` is not such a picture."""
        is_picture = (
            isinstance(returned, np.ndarray)
            and returned.dtype == np.uint8
            and returned.ndim == 3
            and returned.shape[2] == 3
            and returned.size > 0
        )
        if not is_picture:
            raise UserError(
                f"{self._spec.id} drew {described(returned)}: Gymnasium's interface asks `render` in "
                "the mode 'rgb_array' to return an array [height, width, 3] of dtype uint8."
            )
        if self._first_picture is None:
            self._first_picture = returned.shape
        if returned.shape != self._first_picture:
            raise UserError(
                f"{self._spec.id} drew {described(returned)} after pictures of shape "
                f"{self._first_picture}: draw them all in one size."
            )
        return returned

    def _check_lengths(self, ended: Any) -> None:
        """Raises UserError if an episode that has not `ended` has reached the limit."""
        limit = self._spec.max_steps_per_episode
        lengths = self._steps - self._began
        if limit is None or lengths.max() < limit:
            return
        going_on = (lengths >= limit) & ~ended
        if going_on.any():
            raise UserError(
                f"{self._spec.id} did not end an episode {self._where(_first(going_on)[0])}, but "
                f"declares that no episode has more than {limit:,} steps: truncate it there."
            )

    def _check_beginnings(self, observations: np.ndarray) -> None:
        """Raises UserError if a stack at an episode's start holds frames from before it."""
        size = self._spec.stack_size
        if size > 1 and observations[:, : size - 1].any():
            raise UserError(
                f"{self._spec.id} begins an episode with a stack whose first {size - 1} frames are not "
                "all zeros, which agents' replays rely on: stack frames with StackFrames."
            )

    def _check_stacks(self, following: np.ndarray) -> None:
        """Raises UserError if a stack is not the previous stack plus a new frame."""
        assert self._last is not None
        if not np.array_equal(following[:, :-1], self._last[1][:, 1:], equal_nan=self._is_real):
            raise UserError(
                f"{self._spec.id} returned a stack whose first {self._spec.stack_size - 1} frames "
                f"are not the last ones of the previous stack, in step {self._steps:,}: stack "
                "frames with StackFrames."
            )

    def _check_arrays(self, step: Step) -> None:
        self._check_array(step.next_observations, "next_observations")
        if step.observations is not step.next_observations:
            self._check_array(step.observations, "observations")
        for name, array in (("terminated", step.terminated), ("truncated", step.truncated)):
            is_flags = isinstance(array, np.ndarray) and array.dtype == bool
            if not is_flags or array.shape != self._shape:
                remedy = f"return an array of shape {self._shape} and dtype bool"
                raise self._other(name, array, remedy)

    def _check_exactly(self, step: Step, ended: np.ndarray) -> None:
        self._check_bounds(step.next_observations)
        if self._last is not None and not np.array_equal(*self._last, equal_nan=self._is_real):
            raise UserError(
                f"{self._spec.id} wrote to an array of observations after it had returned it: return "
                "a new array, or a copy, from every step."
            )
        if self._spec.stack_size > 1 and self._remembered == self._steps - 1:
            self._check_stacks(step.next_observations)
        if step.observations is not step.next_observations:
            self._check_bounds(step.observations)
            seen, following = step.observations[~ended], step.next_observations[~ended]
            if not np.array_equal(seen, following, equal_nan=self._is_real):
                raise UserError(
                    f"{self._spec.id} returned observations that differ from next_observations in "
                    f"step {self._steps:,} of an environment whose episode had not ended: return "
                    "equal arrays unless an episode ends."
                )
            self._check_beginnings(step.observations[ended])

    def _check_array(self, array: Any, name: str) -> None:
        space = self._space
        assert space.shape is not None
        shape = (*self._shape, *space.shape)
        if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != space.dtype:
            declared = f"return an array of shape {shape} and dtype {space.dtype}"
            raise self._other(name, array, f"its spec declares {space} for each: {declared}")

    def _check_rewards(self, rewards: np.ndarray) -> None:
        if not isinstance(rewards, np.ndarray) or rewards.shape != self._shape:
            remedy = f"return an array of shape {self._shape} and dtype float64"
            raise self._other("rewards", rewards, remedy)
        if not _all_finite(rewards):
            environment = _first(~np.isfinite(rewards))[0]
            raise UserError(
                f"{self._spec.id} returned {float(rewards[environment])} as reward "
                f"{self._where(environment)}: return one finite number."
            )

    def _check_values(self, observations: np.ndarray) -> None:
        """Checks the values of observations that need it in every step; otherwise, it costs nothing."""
        if self._is_real:
            if not _all_finite(observations):
                environment, *place = _first(~np.isfinite(observations))
                value = float(observations[environment, *place])
                raise self._outside(value, environment, place, "return finite numbers")
        elif isinstance(self._space, gymnasium.spaces.Discrete):
            first, last = int(self._space.start), int(self._space.start + self._space.n - 1)
            if len(observations) == 1:
                inside = first <= observations.item() <= last
            else:
                inside = first <= observations.min() and observations.max() <= last
            if not inside:
                environment = _first((observations < first) | (observations > last))[0]
                remedy = f"return one integer from {first} to {last}"
                raise self._outside(observations[environment], environment, [], remedy)
        elif isinstance(self._space, _NAMES):  # values outside of these have no column
            self._check_bounds(observations)

    def _check_bounds(self, observations: np.ndarray) -> None:
        """Raises UserError for whole numbers outside of their space; for real numbers, it reports them.

        Real numbers may be outside, as in the standard LunarLander-v3 and BipedalWalker-v3.
        """
        bounds = _bounds(self._space)
        if bounds is None:
            return
        low, high = bounds
        if self._is_real:
            low = low - _ROUNDING * np.maximum(1, np.abs(low))
            high = high + _ROUNDING * np.maximum(1, np.abs(high))
        outside = (observations < low) | (observations > high)
        if not outside.any():
            return
        environment, *place = _first(outside)
        value = observations[environment, *place]
        if not self._is_real:
            remedy = "correct the observation or the space"
            raise self._outside(value, environment, place, remedy)
        self._say(
            f"{self._spec.id}: bounds",
            f"{self._spec.id} returned an observation with {value:g}{_at(place)}, outside of "
            f"{self._space}, which it declares. The run goes on; correct the space if something "
            "relies on its bounds, as Discretise does.",
        )

    def _with_masks(self, step: Step) -> Step:
        """`step`, where truncated states without a legal action become terminal."""
        masks = step.next_action_masks
        self._check_mask_array(masks, "next_action_masks")
        assert masks is not None
        if masks.any(axis=1).all():
            return step
        stuck = ~masks.any(axis=1) & ~step.terminated
        if not stuck.any():
            return step
        going_on = stuck & ~step.truncated
        if going_on.any():
            raise self._nothing_legal(_first(going_on)[0])
        self._say(
            f"{self._spec.id}: truncated",
            f"{self._spec.id} truncated an episode in a state where no action is legal. Nothing can "
            "follow there, so it counts as terminated and its value is zero; name the legal actions "
            "if the episode could have gone on.",
        )
        return step._replace(terminated=step.terminated | stuck, truncated=step.truncated & ~stuck)

    def _check_masks(self, masks: np.ndarray | None) -> None:
        if masks is None and not self._spec.action_masks:
            return
        self._check_mask_array(masks, "action_masks")
        assert masks is not None
        legal = masks.any(axis=1)
        if not legal.all():
            raise self._nothing_legal(_first(~legal)[0])

    def _check_mask_array(self, masks: np.ndarray | None, name: str) -> None:
        if not self._spec.action_masks:
            raise self._other(
                name, masks, "its spec declares no action masks: set action_masks in the spec"
            )
        shape = (*self._shape, int(getattr(self._spec.action_space, "n", 0)))
        if not isinstance(masks, np.ndarray) or masks.shape != shape or masks.dtype != bool:
            raise self._other(name, masks, f"return an array of shape {shape} and dtype bool")

    def _nothing_legal(self, environment: int) -> UserError:
        return UserError(
            f"{self._spec.id} names no legal action {self._where(environment)}, where one must be "
            "chosen: end the episode there or make an action legal."
        )

    def _outside(self, value: Any, environment: int, place: list[int], remedy: str) -> UserError:
        with_it = (
            f"an observation with {value}{_at(place)}" if place else f"the observation {value}"
        )
        return UserError(
            f"{self._spec.id} returned {with_it} {self._where(environment)}, but declares "
            f"{self._space}: {remedy}."
        )

    def _other(self, name: str, returned: Any, remedy: str) -> UserError:
        when = f"step {self._steps:,}" if self._steps else "reset"
        count = len(self._began)
        environments = f"{count} environments" if count > 1 else "1 environment"
        return UserError(
            f"{self._spec.id} returned {described(returned)} as {name} of {environments} in {when}: "
            f"{remedy}."
        )

    def _where(self, environment: int) -> str:
        return where(environment, int(self._steps - self._began[environment]))

    def _say(self, about: str, sentence: str) -> None:
        if about not in self._reported:
            self._reported.add(about)
            self.report(about, sentence)

    def _remember(self, observations: np.ndarray) -> None:
        self._last, self._remembered = (observations, observations.copy()), self._steps


def _bounds(space: gymnasium.Space) -> tuple[Any, Any] | None:
    """The least and the greatest value of each number in an observation, if known."""
    if isinstance(space, gymnasium.spaces.Box):
        return space.low, space.high
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return space.start, space.start + space.nvec - 1
    if isinstance(space, gymnasium.spaces.MultiBinary):
        return 0, 1
    return None


def _all_finite(array: np.ndarray) -> bool:
    """Whether no number is infinite or NaN.

    The sum of squares answers in a third of the time, unless it is too large itself.
    """
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


def _first(where_true: Any) -> list[int]:
    """The indices of the first true element."""
    return [int(index) for index in np.argwhere(where_true)[0]]


def _at(place: list[int]) -> str:
    return f" at {place}" if place else ""


def _ignore(about: str, sentence: str) -> None: ...
