"""Checks an environment's return values against the space that it declares."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from dopamine_lite.common.errors import UserError

_NUMBERS = frozenset("biuf")  # kinds of dtype: booleans, integers, reals
_LONGEST = 60  # characters of a returned value that a sentence quotes


def as_declared(
    returned: Any, space: gymnasium.Space, shape: tuple[int, ...], what: str, where: str
) -> np.ndarray:
    """`returned` as an array of `shape`, if conversion to the dtype of `space` changes no value.

    Rounding is allowed: float64 is fine for float32, and whole numbers are fine for real numbers.
    Whether the values lie in the space is checked elsewhere (see `Contract`).

    Args:
      returned: the value returned for one environment or for N environments.
      space: the space that is declared for one environment.
      shape: the shape of `space`, with N before it for N environments.
      what: the environment's name in the message, such as "CartPole-v1".
      where: where this happened, for the message, such as "in step 3 of an episode".

    Raises:
      UserError: `returned` is not such an array.
    """
    try:
        array = np.asarray(returned)
    except ValueError:  # lists of different lengths
        array = np.empty((), object)
    dtype: Any = space.dtype
    remedy = f"return {_wanted(space, shape)}"
    if array.dtype.kind in _NUMBERS and array.shape == shape:
        if dtype.kind == "f" or dtype == array.dtype:
            return array
        if _is_whole(array, space):
            if np.array_equal(array.astype(dtype), array):
                return array
            remedy = f"return numbers that {dtype} can hold"
    raise UserError(
        f"{what} returned {described(returned)} as observation {where}, but declares {space}: "
        f"{remedy}."
    )


def described(value: Any) -> str:
    """A value in a few words, or the value itself if it is short."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    text = " ".join(repr(value).split())
    if len(text) <= _LONGEST:
        return text
    return f"a {type(value).__name__}"


def listed(value: Any) -> str:
    """A short array or list in full, and anything else as in `described`."""
    text = f"[{', '.join(map(str, np.asarray(value).tolist()))}]" if np.ndim(value) == 1 else ""
    return text if text and len(text) <= _LONGEST else described(value)


def _wanted(space: gymnasium.Space, shape: tuple[int, ...]) -> str:
    if isinstance(space, gymnasium.spaces.Discrete) and not shape:
        return f"one integer from {space.start} to {space.start + space.n - 1}"
    return f"an array of shape {shape} and dtype {space.dtype}"


def _is_whole(array: np.ndarray, space: gymnasium.Space) -> bool:
    """Whether the array has an integer type; booleans count if they stand for 0 and 1."""
    if array.dtype.kind == "b":
        return not isinstance(space, gymnasium.spaces.Discrete | gymnasium.spaces.MultiDiscrete)
    return array.dtype.kind in "iu"
