"""The panel beside a game: rows of actions, axes that grow, and a canvas for bars and curves."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_FINE = 2  # everything but the game is drawn this much larger and then shrunk
LARGEST_FONT, SMALL_FONT = 24, 18
_HEADING, AXIS = 26, 28  # heights above the rows and below them
_LARGEST_DOT, _THICKEST_BAR = 12, 40

Color = tuple[int, int, int]
PAPER: Color = (18, 20, 27)
_TRACK: Color = (34, 38, 49)
LINE: Color = (70, 77, 94)
FAINT: Color = (145, 152, 170)
TEXT: Color = (232, 235, 241)
OTHER: Color = (86, 130, 199)  # actions that are not taken
TAKEN: Color = (255, 181, 71)  # color-blind people can tell it from the others


class Range:
    """The ends of an axis, which grows with the values it is shown."""

    def __init__(self, low: float = math.inf, high: float = -math.inf):
        self._low, self._high = low, high

    def include(self, values: np.ndarray) -> None:
        if values.size:
            self._low = min(self._low, float(values.min()))
            self._high = max(self._high, float(values.max()))

    @property
    def ends(self) -> tuple[float, float]:
        """The two ends, which always differ. They include zero if it is not far away."""
        low, high = self._low, self._high
        least = max(1e-6, 0.01 * max(abs(low), abs(high)))
        if high - low < least:
            low, high = low - least / 2, high + least / 2
        if low > 0 and low < high - low:
            low = 0.0
        if high < 0 and -high < high - low:
            high = 0.0
        return low, high

    def share(self, value: float) -> float:
        """The position of a value between the ends, from 0 to 1."""
        low, high = self.ends
        return min(max((value - low) / (high - low), 0.0), 1.0)

    def edges(self, bins: int) -> np.ndarray:
        """The edges [bins + 1] of `bins` equal parts."""
        return np.linspace(*self.ends, bins + 1)

    def readable(self, value: float) -> str:
        """The value with enough digits to tell values on this axis apart."""
        low, high = self.ends
        digits = min(max(2 - math.floor(math.log10(high - low)), 0), 6)
        return f"{value:,.{digits}f}"


class Area(NamedTuple):
    top: int
    bottom: int


class Row(NamedTuple):
    action: int  # its number, from 0
    top: int
    bottom: int
    font: int
    legal: bool
    taken: bool

    @property
    def middle(self) -> int:
        return (self.top + self.bottom) // 2


class Rows:
    """The positions of the rows of some actions, below a heading and above an axis."""

    def __init__(
        self,
        area: Area,
        shown: Sequence[int],
        size: int,
        taken: set[int],
        mask: np.ndarray | None,
        tallest: int,
        axes: bool = False,
    ):
        own_axis = AXIS if axes else 0  # the axis of each row
        top, bottom = area.top + _HEADING, area.bottom - (AXIS - own_axis)
        height = min((bottom - top) // len(shown), tallest + own_axis)
        inner = height - own_axis
        self.font = min(LARGEST_FONT, max(inner - 6, 10))
        gap = max(inner // 8, 2)
        self._rows = [
            Row(
                index,
                top + place * height + gap // 2,
                top + place * height + inner - gap // 2,
                self.font,
                mask is None or bool(mask[index]),
                index in taken,
            )
            for place, index in enumerate(shown)
        ]
        self.end = self._rows[-1].bottom
        self.note = "" if len(shown) == size else f", {len(shown)} of {size:,} actions"

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def name_width(self, panel: Canvas, names: Sequence[str]) -> int:
        """The place where all names end."""
        return 24 + max(panel.width_of(names[row.action], self.font) for row in self._rows)


class Canvas:
    """A drawing measured in pixels of the film, but drawn `_FINE` times as large."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self._image = Image.new("RGB", (width * _FINE, height * _FINE), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def shrunk(self) -> Image.Image:
        return self._image.reduce(_FINE)

    def text(self, x: int, y: int, text: str, size: int, color: Color, anchor: str = "lm") -> None:
        self._draw.text((x * _FINE, y * _FINE), text, color, _font(size * _FINE), anchor)

    def width_of(self, text: str, size: int) -> int:
        return math.ceil(_font(size * _FINE).getlength(text) / _FINE)

    def bar(
        self,
        plot: tuple[int, int],
        row: Row,
        axis: Range,
        value: float | None,
        color: Color,
    ) -> None:
        """A bar from zero to `value`, or a dot if zero is not on the axis."""
        half = min((row.bottom - row.top) // 4 + 1, _THICKEST_BAR // 2)
        top, bottom = row.middle - half, row.middle + half
        self._rectangle(plot[0], top, plot[1], bottom, _TRACK)
        if value is None:
            return
        at = _at(plot, axis.share(value))
        low, high = axis.ends
        if low <= 0 <= high:
            zero = _at(plot, axis.share(0.0))
            self._rectangle(min(zero, at), top, max(zero, at), bottom, color)
            self._rectangle(zero - 0.5, top - 4, zero + 0.5, bottom + 4, FAINT)
        else:
            radius = min((bottom - top) / 2, _LARGEST_DOT)
            at = min(max(at, plot[0] + radius), plot[1] - radius)
            self._rectangle(plot[0], row.middle - 1, at, row.middle + 1, color)
            self._dot(at, row.middle, radius, color)

    def histogram(self, plot: tuple[int, int], row: Row, heights: np.ndarray, color: Color) -> None:
        """Columns side by side, heights [bins] from 0 to 1."""
        tall = row.bottom - row.top - 2
        self._rectangle(plot[0], row.bottom - 1, plot[1], row.bottom, LINE)
        edges = np.linspace(*plot, len(heights) + 1)
        for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
            if height * tall >= 0.5:
                self._rectangle(left, row.bottom - 1 - height * tall, right, row.bottom - 1, color)

    def tick(self, plot: tuple[int, int], row: Row, share: float, color: Color) -> None:
        """A thin line over a row."""
        at = _at(plot, share)
        self._rectangle(at - 1, row.top, at + 1, row.bottom, color)

    def pointer(self, plot: tuple[int, int], row: Row, share: float, color: Color) -> None:
        """A line over a row and a triangle on top of it."""
        at, size = _at(plot, share), 7
        self._rectangle(at - 1, row.top, at + 1, row.bottom, color)
        corners = [(at - size, row.top - size), (at + size, row.top - size), (at, row.top + 3)]
        self._polygon(corners, color)

    def mark(self, x: int, row: Row) -> None:
        """A triangle that points at the row of the chosen action."""
        half = min(row.font // 3, 8)
        self._polygon(
            [(x, row.middle - half), (x + 2 * half, row.middle), (x, row.middle + half)], TAKEN
        )

    def strike(self, left: int, right: int, y: int) -> None:
        self._rectangle(left, y, right, y + 1, FAINT)

    def axis(
        self,
        plot: tuple[int, int],
        top: int,
        axis: Range,
        ends: tuple[str, str] | None = None,
    ) -> None:
        """The numbers at the ends of an axis, and a zero if there is room."""
        low, high = ends or (axis.readable(axis.ends[0]), axis.readable(axis.ends[1]))
        y = top + 14
        self.text(plot[0], y, low, SMALL_FONT, FAINT)
        self.text(plot[1], y, high, SMALL_FONT, FAINT, "rm")
        zero = _at(plot, axis.share(0.0))
        left = plot[0] + self.width_of(low, SMALL_FONT) + 14
        right = plot[1] - self.width_of(high, SMALL_FONT) - 14
        if left < zero < right and ends is None:
            self.text(round(zero), y, "0", SMALL_FONT, FAINT, "mm")

    def curve(self, plot: tuple[int, int], area: Area, shares: Sequence[float], most: int) -> None:
        """A curve of heights from 0 to 1, from left to right, with room for `most` of them."""
        self._rectangle(plot[0], area.top, plot[1], area.bottom, _TRACK)
        radius = 5
        first = plot[0] + radius
        step = (plot[1] - radius - first) / (most - 1)
        tall = area.bottom - area.top - 2 * radius
        points = [
            (_FINE * (first + step * index), _FINE * (area.bottom - radius - tall * share))
            for index, share in enumerate(shares)
        ]
        if len(points) > 1:
            self._draw.line(points, OTHER, 2 * _FINE, joint="curve")
        self._dot(points[-1][0] / _FINE, points[-1][1] / _FINE, radius, TEXT)

    def _dot(self, x: float, y: float, radius: float, color: Color) -> None:
        box = (x - radius, y - radius, x + radius, y + radius)
        self._draw.ellipse([_FINE * number for number in box], color)

    def _rectangle(
        self, left: float, top: float, right: float, bottom: float, color: Color
    ) -> None:
        """A rectangle from edge to edge. Pillow's own would include the last row and column."""
        box = [round(_FINE * number) for number in (left, top, right, bottom)]
        self._draw.rectangle((*box[:2], max(box[2] - 1, box[0]), max(box[3] - 1, box[1])), color)

    def _polygon(self, corners: Sequence[tuple[float, float]], color: Color) -> None:
        self._draw.polygon([(x * _FINE, y * _FINE) for x, y in corners], color)


def _at(plot: tuple[int, int], share: float) -> float:
    return plot[0] + share * (plot[1] - plot[0])


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
