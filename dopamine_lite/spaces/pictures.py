"""Finds the axes of a picture: rows, columns and channels."""

from __future__ import annotations

MOST_CHANNELS = 4  # in a picture recognized by its shape: red, green, blue and alpha


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """The axis of the channels in a picture of three axes: 0, 2 or, if its shape does not say, None.

    It is the first or the last axis, whichever has at most `MOST_CHANNELS` entries while the other has
    more.
    """
    first, last = shape[0] <= MOST_CHANNELS, shape[2] <= MOST_CHANNELS
    if first == last:
        return None
    return 0 if first else 2
