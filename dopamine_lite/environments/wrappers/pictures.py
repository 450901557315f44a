"""Wrappers for pictures: cropping, gray levels, other sizes, two levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gin
import gymnasium
import numpy as np
from PIL import Image

from dopamine_lite.common.checks import check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.environment import Environment
from dopamine_lite.environments.wrappers.wrapper import EnvironmentWrapper, box
from dopamine_lite.spaces.pictures import channel_axis


@gin.configurable(module=__package__)
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
      UserError: observations are not pictures, or nothing would be left of them.
    """

    def __init__(
        self, environment: Environment, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0
    ):
        space = box(environment, "Crop")
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

    def convert(self, observations: np.ndarray) -> np.ndarray:
        return observations[self._kept]


@gin.configurable(module=__package__)
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
        space = box(environment, "Grey")
        _, _, channels = _picture_axes(environment, "Grey")
        if channels is None or space.shape[channels] != 3:
            raise UserError(
                f"Grey needs pictures of red, green and blue, but {environment.spec.id} has "
                f"observations of {space}: leave Grey out of wrapped_environment.wrappers."
            )
        self._channels = channels
        low, high = self.convert(space.low), self.convert(space.high)
        gray = gymnasium.spaces.Box(low, high, dtype=low.dtype.type)
        super().__init__(environment, gray, environment.spec.stack_size)

    def convert(self, observations: np.ndarray) -> np.ndarray:
        colors = np.moveaxis(observations, self._channels, 0)
        if observations.dtype != np.uint8:
            red, green, blue = colors.astype(np.float32)
            return 0.299 * red + 0.587 * green + 0.114 * blue
        red, green, blue = colors.astype(np.uint32)
        # Pillow's weights, in units of 2^-16, with a half to round.
        return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)


@gin.configurable(module=__package__)
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
        space = box(environment, "Resize")
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

    def convert(self, observations: np.ndarray) -> np.ndarray:
        axes = (self._rows, self._columns)
        planes = np.moveaxis(observations.astype(self._dtype, copy=False), axes, (-2, -1))
        resized = [
            np.asarray(Image.fromarray(plane).resize(self._size, Image.Resampling.BILINEAR))
            for plane in np.ascontiguousarray(planes).reshape(-1, *planes.shape[-2:])
        ]
        shape = (*planes.shape[:-2], *resized[0].shape)
        return np.moveaxis(np.array(resized).reshape(shape), (-2, -1), axes)


@gin.configurable(module=__package__)
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
        space = box(environment, "Binarise")
        if space.dtype != np.uint8:
            raise UserError(
                f"Binarise needs gray pictures of bytes, but {environment.spec.id} has observations "
                f"of {space}: leave Binarise out of wrapped_environment.wrappers."
            )
        levels = gymnasium.spaces.Box(0, 1, space.shape, np.uint8)
        stack_size = environment.spec.stack_size
        super().__init__(environment, levels, stack_size, background=list(background))
        self._levels = np.ones(256, np.uint8)
        self._levels[[0, *background]] = 0  # black: in stacks, frames before the first

    def convert(self, observations: np.ndarray) -> np.ndarray:
        return self._levels[observations]


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
