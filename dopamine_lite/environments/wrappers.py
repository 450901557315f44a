"""Environments whose observations are changed: smaller pictures, stacks of frames, bins, flat rows."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import gin
import gymnasium
import numpy as np
from PIL import Image

from dopamine_lite.common.checks import check_number, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.contract import checked
from dopamine_lite.environments.environment import Environment, Report, Step
from dopamine_lite.spaces.one_hot import columns
from dopamine_lite.spaces.packed_space import PackedSpace, stacked
from dopamine_lite.spaces.pictures import channel_axis

_AS_GOOD_AS_INFINITE = float(np.finfo(np.float32).max)  # what spaces name that have no bounds


@gin.configurable
def wrapped_environment(
    environment: Callable[..., Environment] = gin.REQUIRED,
    wrappers: Sequence[Callable[[Environment], Environment]] = (),
    num_envs: int = 1,
    seed: int = 0,
    max_steps_per_episode: int | None = None,
    render: bool = False,
    evaluate: bool = False,
) -> Environment:
    """An environment with wrappers around it, such as `@create_environment` with `[@Crop, @Grey]`.

    All other arguments are passed on to the environment.

    Args:
      environment: the environment that is wrapped, such as `@create_environment`.
      wrappers: the wrappers in order, beginning with the innermost, such as `[@Crop, @Grey]`.
    """
    wrapped = checked(  # here too, for a wrapper can hide what is not as declared
        environment(
            num_envs=num_envs,
            seed=seed,
            max_steps_per_episode=max_steps_per_episode,
            render=render,
            evaluate=evaluate,
        )
    )
    for wrapper in wrappers:
        wrapped = wrapper(wrapped)
    return wrapped


class EnvironmentWrapper(Environment):
    """An environment whose observations go through `_convert`. Nothing else changes.

    Built as `wrapper(environment)` from an environment that has not been reset. The wrapper's name and
    its `settings` are added to the protocol.
    """

    def __init__(
        self, environment: Environment, space: gymnasium.Space, stack_size: int, **settings: Any
    ):
        self._environment = environment
        spec = environment.spec
        written = ", ".join(f"{name}={value}" for name, value in settings.items())
        wrappers = [*spec.protocol.get("wrappers", []), f"{type(self).__name__}({written})"]
        self.spec = dataclasses.replace(
            spec,
            observation_space=space,
            stack_size=stack_size,
            protocol=spec.protocol | {"wrappers": wrappers},
        )

    @abc.abstractmethod
    def _convert(self, observations: np.ndarray) -> np.ndarray:
        """Observations [N, ...] as this wrapper shows them, in an array that is not written to later."""

    def reset(self) -> np.ndarray:
        observations = self._convert(self._environment.reset())
        self.action_masks = self._environment.action_masks
        return observations

    def step(self, actions: np.ndarray) -> Step:
        result = self._environment.step(actions)
        self.action_masks = self._environment.action_masks
        following = observations = self._convert(result.next_observations)
        if result.observations is not result.next_observations:  # an episode has ended
            observations = self._convert(result.observations)
        return result._replace(observations=observations, next_observations=following)

    def render(self) -> np.ndarray:
        return self._environment.render()

    def report_to(self, report: Report) -> None:
        self._environment.report_to(report)

    def close(self) -> None:
        self._environment.close()


@gin.configurable
class Discretise(EnvironmentWrapper):
    """Replaces observations of D numbers by the number of their bin, in Discrete(product of the bins).

    All bins of a dimension have the same width. The first and the last also hold what lies outside.

    Args:
      environment: an environment whose observations are a `Box`.
      bins: the number of bins, as one number for all dimensions or a list with one for each.
      low: where the first bin begins, as one number for all dimensions or a list with one for each.
        None: at the lowest value of the observation space, which must be finite.
      high: where the last bin ends, as one number for all dimensions or a list with one for each.
        None: at the highest value of the observation space, which must be finite.

    Raises:
      UserError: observations are not a `Box`, or no such bins are possible.
    """

    def __init__(
        self,
        environment: Environment,
        bins: int | Sequence[int] = 10,
        low: float | Sequence[float | None] | None = None,
        high: float | Sequence[float | None] | None = None,
    ):
        space = _box(environment, "Discretise")
        counts = _numbers_of_bins(bins, environment)
        lowest = _bounds("low", low, space.low, environment)
        highest = _bounds("high", high, space.high, environment)
        if not (lowest < highest).all():
            raise UserError(
                f"Discretise.low is {lowest.tolist()} and Discretise.high {highest.tolist()}: give "
                "every dimension a low below its high."
            )
        states = math.prod(counts)
        if states > np.iinfo(np.int64).max:
            raise UserError(
                f"Discretise.bins makes {states:.1e} states of {environment.spec.id}'s "
                f"{len(counts)} dimensions, which is more than can be numbered: use fewer bins."
            )
        super().__init__(
            environment,
            gymnasium.spaces.Discrete(states),
            stack_size=1,
            bins=counts,
            low=lowest.tolist(),
            high=highest.tolist(),
        )
        self._low = lowest
        self._last = np.array(counts) - 1.0
        self._bins_per_unit = np.array(counts) / (highest - lowest)
        self._strides = np.array([math.prod(counts[index + 1 :]) for index in range(len(counts))])

    def _convert(self, observations: np.ndarray) -> np.ndarray:
        positions = (observations.reshape(len(observations), -1) - self._low) * self._bins_per_unit
        bins = np.minimum(np.maximum(positions, 0), self._last).astype(np.int64)
        return bins @ self._strides


@gin.configurable
class DifferenceFrame(EnvironmentWrapper):
    """The difference x_t - x_(t-1) between two observations; zeros at the start of an episode.

    As in Karpathy (2016), "Deep reinforcement learning: Pong from pixels". Differences of bytes are
    int16, and differences of other numbers are float32. The last difference of an episode is between
    its own last two observations.

    Raises:
      UserError: observations are not a `Box`, or they are stacks of frames.
    """

    def __init__(self, environment: Environment):
        space = _box(environment, "DifferenceFrame")
        if environment.spec.stack_size > 1:
            raise UserError(
                f"DifferenceFrame compares single frames, but {environment.spec.id}'s observations "
                f"are stacks of {environment.spec.stack_size}: set AtariEnvironment.stack_size = 1."
            )
        self._dtype: Any = np.int16 if space.dtype == np.uint8 else np.float32
        low, high = self._convert(space.low), self._convert(space.high)
        differences = gymnasium.spaces.Box(low - high, high - low, dtype=self._dtype)
        super().__init__(environment, differences, stack_size=1)

    def _convert(self, observations: np.ndarray) -> np.ndarray:
        return observations.astype(self._dtype)

    def reset(self) -> np.ndarray:
        self._previous = super().reset()
        return np.zeros_like(self._previous)

    def step(self, actions: np.ndarray) -> Step:
        result = super().step(actions)
        following = observations = result.next_observations - self._previous
        self._previous = result.observations  # where an episode begins, its first
        ended = result.terminated | result.truncated
        if ended.any():
            observations = following.copy()
            observations[ended] = 0
        return result._replace(observations=observations, next_observations=following)


@gin.configurable
class StackFrames(EnvironmentWrapper):
    """Stacks the last `size` observations into one, [size, ...], with the newest last.

    Zeros stand for observations before an episode's first. The spec declares the stacks, so a replay
    buffer stores each frame only once.

    Args:
      environment: an environment whose observations, or their entries, are arrays of numbers. They
        cannot be names, because zero would stand for a name.
      size: number of observations in a stack.

    Raises:
      UserError: observations are names or already stacks, or `size` is below 2.
    """

    def __init__(self, environment: Environment, size: int = 4):
        check_whole("StackFrames", least=2, most=1_000, size=size)
        spec = environment.spec
        if spec.stack_size > 1:
            raise UserError(
                f"StackFrames stacks single frames, but {spec.id}'s observations are stacks of "
                f"{spec.stack_size} already: leave it out of wrapped_environment.wrappers, or set "
                "AtariEnvironment.stack_size = 1."
            )
        super().__init__(
            environment, _stacks(spec.observation_space, size, spec.id), size, size=size
        )

    def _convert(self, observations: np.ndarray) -> np.ndarray:
        return observations

    def reset(self) -> np.ndarray:
        self._stacks = self._beginnings(super().reset())
        return self._stacks

    def step(self, actions: np.ndarray) -> Step:
        result = super().step(actions)
        newest = result.next_observations[:, None]
        following = observations = np.concatenate([self._stacks[:, 1:], newest], axis=1)
        ended = result.terminated | result.truncated
        if ended.any():
            observations = following.copy()
            observations[ended] = self._beginnings(result.observations[ended])
        self._stacks = observations
        return result._replace(observations=observations, next_observations=following)

    def _beginnings(self, observations: np.ndarray) -> np.ndarray:
        """Stacks [M, size, ...] of an episode's first observations [M, ...]."""
        shape = self.spec.observation_space.shape
        assert shape is not None
        stacks = np.zeros((len(observations), *shape), observations.dtype)
        stacks[:, -1] = observations
        return stacks


@gin.configurable
class Flatten(EnvironmentWrapper):
    """Turns each observation into one row of numbers, as `gymnasium.spaces.flatten` does.

    Names of a `Discrete` or `MultiDiscrete` space become one-hot vectors. The entries of dictionaries
    and tuples follow one another, in float32 where Gymnasium has float64. In a stack, each frame becomes
    a row. Numbers are not scaled, not even bytes next to fractions. Without this wrapper a network can
    read several entries too, and it scales bytes to fractions.
    """

    def __init__(self, environment: Environment):
        spec = environment.spec
        space: Any = spec.observation_space
        self._space = space
        entries = space.entries if isinstance(space, PackedSpace) else {"": space}
        if spec.stack_size > 1 and not isinstance(space, PackedSpace):
            entries = {
                "": gymnasium.spaces.Box(space.low[0], space.high[0], dtype=space.dtype.type)
            }
        self._entries: dict[str, Any] = entries
        flat: Any = [gymnasium.spaces.flatten_space(entry) for entry in entries.values()]
        dtype = np.result_type(*(entry.dtype for entry in flat))
        self._dtype = np.float32 if dtype == np.float64 else dtype
        row = gymnasium.spaces.Box(
            np.concatenate([entry.low for entry in flat]).astype(self._dtype),
            np.concatenate([entry.high for entry in flat]).astype(self._dtype),
            dtype=np.dtype(self._dtype).type,
        )
        size = spec.stack_size
        super().__init__(environment, stacked(row, size) if size > 1 else row, size)

    def _convert(self, observations: np.ndarray) -> np.ndarray:
        values = {"": observations}
        if isinstance(self._space, PackedSpace):
            values = self._space.unpack(observations)
        rows = [self._flat(entry, values[name]) for name, entry in self._entries.items()]
        return np.concatenate(rows, axis=-1).astype(self._dtype, copy=False)

    def _flat(self, space: Any, values: np.ndarray) -> np.ndarray:
        """Values [N, *shape], or [N, stack, *shape], as rows."""
        rows = values.reshape(*values.shape[: values.ndim - len(space.shape)], -1)
        if not isinstance(space, gymnasium.spaces.Discrete | gymnasium.spaces.MultiDiscrete):
            return rows
        owners, names = columns(space)
        return (rows[..., owners] == names).astype(space.dtype)


@gin.configurable
class Crop(EnvironmentWrapper):
    """Cuts rows and columns off the edges of pictures.

    Args:
      environment: an environment with pictures [height, width], with or without channels, in stacks or
        not.
      top: number of rows to cut off at the top.
      bottom: number of rows to cut off at the bottom.
      left: number of columns to cut off at the left.
      right: number of columns to cut off at the right.

    Raises:
      UserError: observations are not pictures, or nothing of them would be left.
    """

    def __init__(
        self, environment: Environment, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0
    ):
        space = _box(environment, "Crop")
        rows, columns, _ = _picture_axes(environment, "Crop")
        height, width = space.shape[rows], space.shape[columns]
        cuts = {"top": top, "bottom": bottom, "left": left, "right": right}
        if min(cuts.values()) < 0 or top + bottom >= height or left + right >= width:
            written = ", ".join(f"{name} {cut}" for name, cut in cuts.items())
            raise UserError(
                f"Crop's {written} cannot be cut away from {height} rows and {width} columns: give "
                "numbers, 0 or more, that leave something."
            )
        behind = (slice(None),) * (-1 - columns)  # channels
        self._kept: Any = (..., slice(top, height - bottom), slice(left, width - right), *behind)
        low, high = space.low[self._kept], space.high[self._kept]
        cropped = gymnasium.spaces.Box(low, high, dtype=space.dtype.type)
        super().__init__(environment, cropped, environment.spec.stack_size, **cuts)

    def _convert(self, observations: np.ndarray) -> np.ndarray:
        return observations[self._kept]


@gin.configurable
class Grey(EnvironmentWrapper):
    """Turns pictures of red, green and blue into gray, [height, width]: 0.299 R + 0.587 G + 0.114 B.

    This is the luma of ITU-R BT.601. Bytes are rounded as Pillow rounds them, and other numbers become
    float32.

    Args:
      environment: an environment with pictures of three channels, first or last, in stacks or not.

    Raises:
      UserError: observations are not such pictures.
    """

    def __init__(self, environment: Environment):
        space = _box(environment, "Grey")
        _, _, channels = _picture_axes(environment, "Grey")
        if channels is None or space.shape[channels] != 3:
            raise UserError(
                f"Grey needs pictures of red, green and blue, but {environment.spec.id} has "
                f"observations of {space}: leave Grey out of wrapped_environment.wrappers."
            )
        self._channels = channels
        low, high = self._convert(space.low), self._convert(space.high)
        grey = gymnasium.spaces.Box(low, high, dtype=low.dtype.type)
        super().__init__(environment, grey, environment.spec.stack_size)

    def _convert(self, observations: np.ndarray) -> np.ndarray:
        colors = np.moveaxis(observations, self._channels, 0)
        if observations.dtype != np.uint8:
            red, green, blue = colors.astype(np.float32)
            return 0.299 * red + 0.587 * green + 0.114 * blue
        red, green, blue = colors.astype(np.uint32)
        # Pillow's, in units of 2^-16, with a half to round.
        return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)


@gin.configurable
class Resize(EnvironmentWrapper):
    """Resizes pictures with Pillow's bilinear filter; a smaller picture averages all that it covers.

    Bytes are rounded, in the same way on every machine, and other numbers become float32.

    Args:
      environment: an environment with pictures [height, width], with or without channels, in stacks or
        not.
      height: number of rows of the new pictures, up to 4,096.
      width: number of columns of the new pictures, up to 4,096.

    Raises:
      UserError: observations are not pictures, or a size is not from 1 to 4,096.
    """

    def __init__(self, environment: Environment, height: int = 84, width: int = 84):
        check_whole("Resize", most=4_096, height=height, width=width)
        space = _box(environment, "Resize")
        self._rows, self._columns, _ = _picture_axes(environment, "Resize")
        self._size = (width, height)
        self._dtype: Any = np.uint8 if space.dtype == np.uint8 else np.float32
        shape = list(space.shape)
        shape[self._rows], shape[self._columns] = height, width
        low, high = space.low.min(), space.high.max()
        resized = gymnasium.spaces.Box(
            self._dtype(low), self._dtype(high), tuple(shape), self._dtype
        )
        stack_size = environment.spec.stack_size
        super().__init__(environment, resized, stack_size, height=height, width=width)

    def _convert(self, observations: np.ndarray) -> np.ndarray:
        axes = (self._rows, self._columns)
        planes = np.moveaxis(observations.astype(self._dtype, copy=False), axes, (-2, -1))
        resized = [
            np.asarray(Image.fromarray(plane).resize(self._size, Image.Resampling.BILINEAR))
            for plane in np.ascontiguousarray(planes).reshape(-1, *planes.shape[-2:])
        ]
        shape = (*planes.shape[:-2], *resized[0].shape)
        return np.moveaxis(np.array(resized).reshape(shape), (-2, -1), axes)


@gin.configurable
class Binarise(EnvironmentWrapper):
    """Turns gray pictures into two levels: 0 for black and the background, 1 for everything else.

    Args:
      environment: an environment whose observations are bytes.
      background: the gray levels that are background, such as 87 in Pong.

    Raises:
      UserError: observations are not bytes.
    """

    def __init__(self, environment: Environment, background: Sequence[int] = (87,)):
        for level in background:
            check_whole("Binarise", least=0, most=255, background=level)
        space = _box(environment, "Binarise")
        if space.dtype != np.uint8:
            raise UserError(
                f"Binarise needs gray pictures of bytes, but {environment.spec.id} has observations "
                f"of {space}: leave Binarise out of wrapped_environment.wrappers."
            )
        levels = gymnasium.spaces.Box(0, 1, space.shape, np.uint8)
        stack_size = environment.spec.stack_size
        super().__init__(environment, levels, stack_size, background=list(background))
        self._levels = np.ones(256, np.uint8)
        self._levels[[0, *background]] = 0  # black: the frames before an episode's first, in stacks

    def _convert(self, observations: np.ndarray) -> np.ndarray:
        return self._levels[observations]


def _box(environment: Environment, wrapper: str) -> gymnasium.spaces.Box:
    space = environment.spec.observation_space
    if not isinstance(space, gymnasium.spaces.Box):
        raise UserError(
            f"{wrapper} needs observations in a Box, but {environment.spec.id} has {space}: leave "
            f"{wrapper} out of wrapped_environment.wrappers."
        )
    return space


def _picture_axes(environment: Environment, wrapper: str) -> tuple[int, int, int | None]:
    """The axes of rows, columns and channels, if there are any, counted from an observation's end."""
    space = environment.spec.observation_space
    shape = space.shape
    assert shape is not None
    if environment.spec.stack_size > 1:
        shape = shape[1:]
    if len(shape) == 2:
        return -2, -1, None
    if len(shape) != 3:
        raise UserError(
            f"{wrapper} needs pictures, but {environment.spec.id} has observations of {space}: leave "
            f"{wrapper} out of wrapped_environment.wrappers."
        )
    channels = channel_axis(shape)
    if channels is None:
        raise UserError(
            f"{wrapper} needs pictures, but the shape {shape} of {environment.spec.id}'s observations "
            "does not say which axis holds the channels: let them be [height, width, channels], with at "
            "most 4 channels."
        )
    return (-2, -1, -3) if channels == 0 else (-3, -2, -1)


def _stacks(space: gymnasium.Space, size: int, id: str) -> gymnasium.Space:
    """The space of stacks of `size`."""
    numbers = (gymnasium.spaces.Box, gymnasium.spaces.MultiBinary)
    entries = space.entries if isinstance(space, PackedSpace) else {"": space}
    for name, entry in entries.items():
        if not isinstance(entry, numbers):
            raise UserError(
                f"StackFrames puts zeros before an episode's first observation, but those of {id} have "
                f"{entry}{f' at {name!r}' if name else ''}, whose values are names: put @Flatten before "
                "StackFrames."
            )
    if isinstance(space, PackedSpace):
        return PackedSpace(space.entries, space.owner, size)
    return stacked(space, size)


def _numbers_of_bins(bins: int | Sequence[int], environment: Environment) -> list[int]:
    """One number for each dimension."""
    counts = _for_each_dimension("bins", bins, environment)
    if not all(isinstance(count, int) and count > 0 for count in counts):
        raise UserError(f"Discretise.bins is {bins!r}: give whole numbers, 1 or more.")
    return counts


def _bounds(
    name: str,
    given: float | Sequence[float | None] | None,
    of_space: np.ndarray,
    environment: Environment,
) -> np.ndarray:
    """[D] float64: what was `given` for each dimension, else the bounds of the space."""
    bounds = of_space.reshape(-1).astype(np.float64)
    for index, bound in enumerate(_for_each_dimension(name, given, environment)):
        if bound is not None:
            bounds[index] = bound
            check_number("Discretise", **{name: bound})
        elif not abs(bounds[index]) < _AS_GOOD_AS_INFINITE:
            raise UserError(
                f"{environment.spec.id}'s observations have no finite {name} in dimension {index} of "
                f"{len(bounds)}, counted from 0: give Discretise.{name} a number for it."
            )
    return bounds


def _for_each_dimension(name: str, value: Any, environment: Environment) -> list[Any]:
    """`value` as a list of one for each dimension of the observations."""
    size = math.prod(environment.spec.observation_space.shape or ())
    if not isinstance(value, list | tuple):
        return [value] * size
    if len(value) != size:
        raise UserError(
            f"Discretise.{name} has {len(value)} numbers, but {environment.spec.id}'s observations "
            f"have {size}: give as many, or one for all."
        )
    return list(value)
