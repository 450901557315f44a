"""A picture of a game with, beside it, what the agent makes of it: values, distributions, policy."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import gymnasium
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dopamine_lite.agents.explanation import Explanation
from dopamine_lite.environments.action_names import number_of_actions
from dopamine_lite.environments.environment import EnvironmentSpec

WIDTH, HEIGHT = 1280, 720  # of every picture: even, as the mp4 format asks, and wide, as phones are
MOST_ROWS = 18  # actions that are shown at a time: all that Atari has

_FINE = 2  # what is not the game is drawn this much larger and then shrunk
_MARGIN = 20
_STRIP = 48  # above the game, for step and score
_WIDEST_PICTURE = 620
_TALLEST_PICTURE = HEIGHT - 2 * _MARGIN - _STRIP
_TIMELINES = (110, 260)  # heights that the curve at the bottom may have
_ABOVE_TIMELINE = 34
_STEPS_IN_TIMELINE = 200  # at most; a quarter of them fill its width
_TALLEST_ROW, _TALLEST_DISTRIBUTION = 84, 150
_LARGEST_FONT, _SMALL_FONT = 24, 18
_HEADING, _AXIS = 26, 28  # above rows and below them
_LARGEST_DOT, _THICKEST_BAR = 12, 40
_BINS = 32  # of a distribution known by its quantiles
_STANDARD_DEVIATIONS = 3.0  # of a normal distribution that are shown to either side

_Color = tuple[int, int, int]
_PAPER: _Color = (18, 20, 27)
_TRACK: _Color = (34, 38, 49)
_LINE: _Color = (70, 77, 94)
_FAINT: _Color = (145, 152, 170)
_TEXT: _Color = (232, 235, 241)
_OTHER: _Color = (86, 130, 199)  # actions that are not taken
_TAKEN: _Color = (255, 181, 71)  # told apart from the others by colour-blind eyes too


class Moment(NamedTuple):
    """One step of one stream as it is drawn."""

    explanation: Explanation  # of one observation
    action: np.ndarray  # that was taken there, as the environment takes it
    mask: np.ndarray | None  # [A] bool, the legal actions; None: all


class Explainer:
    """Draws pictures of one film. Axes grow with what has been seen and never shrink.

    Args:
      spec: of the environment.
      title: what the panel is headed with, "DQNAgent, 50,000 agent steps".
    """

    def __init__(self, spec: EnvironmentSpec, title: str):
        self._space = spec.action_space
        self._names = _names(spec)
        self._title = title
        self._ranges: dict[str, _Range] = {}
        self._history: deque[float] = deque(maxlen=_STEPS_IN_TIMELINE)
        self._moment: Moment | None = None

    def begin_episode(self) -> None:
        """Empties the curve of the expected return; axes stay as they are."""
        self._history.clear()

    def see(self, moment: Moment | None) -> None:
        """Takes in a step, whether or not a picture of it is drawn; None: nothing was said of it."""
        self._moment = moment
        if moment is None:
            return
        own, mask = moment.explanation, moment.mask
        if own.action_values is not None:
            values = own.action_values[0]
            self._range("values").include(values if mask is None else values[mask])
        if own.quantiles is not None:
            self._range("returns").include(own.quantiles)
        if own.atoms is not None:
            self._range("returns").include(own.atoms)
        if own.means is not None and own.deviations is not None:
            self._include_normals(own.means[0], own.deviations[0])
        expected = own.expected_returns(None if mask is None else mask[None])
        if expected is not None:
            self._history.append(float(expected[0]))
            self._range("expected").include(expected)

    def draw(self, picture: np.ndarray, caption: tuple[str, str]) -> np.ndarray:
        """[HEIGHT, WIDTH, 3] uint8: `picture` [height, width, 3] uint8 with `caption` above it, left and
        right, beside what was last seen."""
        game = _fitted(picture)
        left = _MARGIN + game.width + _MARGIN
        image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
        top = _MARGIN + _STRIP + (_TALLEST_PICTURE - game.height) // 2
        image.paste(_LINE, (_MARGIN - 1, top - 1, _MARGIN + game.width + 1, top + game.height + 1))
        image.paste(game, (_MARGIN, top))
        image.paste(_strip(game.width, caption), (_MARGIN, top - _STRIP))
        if self._moment is not None:
            panel = _Canvas(WIDTH - left - _MARGIN, HEIGHT - 2 * _MARGIN)
            self._draw_panel(panel, self._moment)
            image.paste(panel.shrunk(), (left, _MARGIN))
        return np.asarray(image)

    def _range(self, name: str) -> _Range:
        return self._ranges.setdefault(name, _Range())

    def _include_normals(self, means: np.ndarray, deviations: np.ndarray) -> None:
        """Makes the axis of each number of an action hold its bounds, or where it may be drawn."""
        space = self._space
        assert isinstance(space, gymnasium.spaces.Box)
        low, high = space.low.ravel(), space.high.ravel()
        for index, (mean, deviation) in enumerate(zip(means, deviations, strict=True)):
            own = self._range(f"action {index}")
            if np.isfinite(low[index]) and np.isfinite(high[index]):
                own.include(np.array([low[index], high[index]]))
            else:
                wide = _STANDARD_DEVIATIONS * deviation
                own.include(np.array([mean - wide, mean + wide]))

    def _draw_panel(self, panel: _Canvas, moment: Moment) -> None:
        own = moment.explanation
        panel.text(0, 14, self._title, _LARGEST_FONT, _TEXT)
        has_timeline = bool(self._history)
        area = _Area(48, panel.height - (_TIMELINES[0] + _ABOVE_TIMELINE) * has_timeline)
        end = area.top
        if own.means is not None and own.deviations is not None:
            end = self._draw_normals(panel, area, moment)
        elif own.policy is not None:
            end = self._draw_policy(panel, area, moment)
        elif own.action_values is not None:
            end = self._draw_values(panel, area, moment)
        if has_timeline:
            top = max(end + _AXIS + _ABOVE_TIMELINE, panel.height - _TIMELINES[1])
            self._draw_timeline(panel, _Area(top, panel.height), own)

    def _draw_values(self, panel: _Canvas, area: _Area, moment: Moment) -> int:
        """A row for each action: its value, as a number and a bar, and the distribution of its return.

        Returns where the rows end, as the others do.
        """
        own = moment.explanation
        assert own.action_values is not None
        values = own.action_values[0]
        masses = self._masses(own)
        tallest = _TALLEST_ROW if masses is None else _TALLEST_DISTRIBUTION
        rows = self._rows(area, values, moment, tallest)
        axis = self._range("values")
        numbers = [axis.readable(value) for value in values]
        name_end = rows.name_width(panel, self._names)
        number_end = name_end + 16 + max(panel.width_of(text, rows.font) for text in numbers)
        plots = [(number_end + 20, panel.width)]
        if masses is not None:
            middle = number_end + 20 + (panel.width - number_end - 20) * 2 // 5
            plots = [(number_end + 20, middle - 14), (middle + 14, panel.width)]
            panel.text(
                plots[1][0], area.top + 10, "distribution of the return", _SMALL_FONT, _FAINT
            )
        panel.text(plots[0][0], area.top + 10, "Q(s, a)" + rows.note, _SMALL_FONT, _FAINT)
        highest = 0.0 if masses is None else float(masses.max())
        for row in rows:
            color = self._draw_name(panel, row, name_end)
            if row.legal:
                panel.text(number_end, row.middle, numbers[row.action], rows.font, color, "rm")
            panel.bar(plots[0], row, axis, values[row.action] if row.legal else None, color)
            if masses is not None:
                panel.histogram(plots[1], row, masses[row.action] / highest, color)
                where = self._range("returns").share(values[row.action])
                panel.tick(plots[1], row, where, _TEXT if row.legal else _LINE)
        panel.axis(plots[0], rows.end, axis)
        if masses is not None:
            panel.axis(plots[1], rows.end, self._range("returns"))
        return rows.end

    def _draw_policy(self, panel: _Canvas, area: _Area, moment: Moment) -> int:
        """A row for each action: its probability."""
        own = moment.explanation
        assert own.policy is not None
        probabilities = own.policy[0]
        rows = self._rows(area, probabilities, moment, _TALLEST_ROW)
        axis = _Range(0.0, 1.0)
        name_end = rows.name_width(panel, self._names)
        number_end = name_end + 16 + panel.width_of("100 %", rows.font)
        plot = (number_end + 20, panel.width)
        heading = "probability" + rows.note
        panel.text(plot[0], area.top + 10, heading, _SMALL_FONT, _FAINT)
        for row in rows:
            color = self._draw_name(panel, row, name_end)
            share = float(probabilities[row.action])
            if row.legal:
                panel.text(number_end, row.middle, f"{100 * share:.0f} %", rows.font, color, "rm")
            panel.bar(plot, row, axis, share if row.legal else None, color)
        panel.axis(plot, rows.end, axis, ("0 %", "100 %"))
        return rows.end

    def _draw_normals(self, panel: _Canvas, area: _Area, moment: Moment) -> int:
        """A row for each number of an action: the density that it is drawn from, and what it was."""
        own = moment.explanation
        assert own.means is not None and own.deviations is not None
        means, deviations = own.means[0], own.deviations[0]
        taken = np.asarray(moment.action, np.float64).ravel()
        shown = range(min(len(means), MOST_ROWS))
        rows = _Rows(area, shown, len(means), set(), None, _TALLEST_DISTRIBUTION, axes=True)
        numbers = [
            f"{self._range(f'action {index}').readable(mean)} \u00b1 "
            f"{self._range(f'action {index}').readable(deviation)}"
            for index, (mean, deviation) in enumerate(zip(means, deviations, strict=True))
        ]
        name_end = rows.name_width(panel, self._names)
        number_end = name_end + 16 + max(panel.width_of(text, rows.font) for text in numbers)
        plot = (number_end + 20, panel.width)
        heading = "policy, and the action taken" + rows.note
        panel.text(plot[0], area.top + 10, heading, _SMALL_FONT, _FAINT)
        for row in rows:
            axis = self._range(f"action {row.action}")
            panel.text(name_end, row.middle, self._names[row.action], rows.font, _TEXT, "rm")
            panel.text(number_end, row.middle, numbers[row.action], rows.font, _OTHER, "rm")
            masses = _normal_masses(axis, float(means[row.action]), float(deviations[row.action]))
            panel.histogram(plot, row, masses / masses.max(), _OTHER)
            panel.tick(plot, row, axis.share(float(means[row.action])), _TEXT)
            panel.pointer(plot, row, axis.share(float(taken[row.action])), _TAKEN)
            panel.axis(plot, row.bottom, axis)
        return rows.end

    def _rows(self, area: _Area, weights: np.ndarray, moment: Moment, tallest: int) -> _Rows:
        """Rows for all actions, or for the taken ones and those of greatest `weights` [A]."""
        taken = _taken(self._space, moment.action)
        size = len(weights)
        shown = list(range(size))
        if size > MOST_ROWS:
            order = np.argsort(-weights, kind="stable").tolist()
            first = [index for index in order if index in taken]
            shown = sorted((first + [index for index in order if index not in taken])[:MOST_ROWS])
        return _Rows(area, shown, size, taken, moment.mask, tallest)

    def _draw_name(self, panel: _Canvas, row: _Row, end: int) -> _Color:
        """Names a row's action and marks it if it was taken; returns the row's color."""
        color = _TAKEN if row.taken else _OTHER if row.legal else _LINE
        name_color = _TAKEN if row.taken else _TEXT if row.legal else _LINE
        name = self._names[row.action]
        panel.text(end, row.middle, name, row.font, name_color, "rm")
        if row.taken:
            panel.mark(0, row)
        if not row.legal:
            panel.strike(end - panel.width_of(name, row.font), end, row.middle)
        return color

    def _masses(self, own: Explanation) -> np.ndarray | None:
        """[A, bins] the masses of the returns' distributions between the ends of their axis."""
        if own.probabilities is not None and own.atoms is not None:
            return own.probabilities[0]
        if own.quantiles is None:
            return None
        axis = self._range("returns")
        return np.array([quantile_masses(each, axis.edges(_BINS)) for each in own.quantiles[0]])

    def _draw_timeline(self, panel: _Canvas, area: _Area, own: Explanation) -> None:
        """The expected return of the last steps as a curve."""
        axis = self._range("expected")
        what = "value of the state V(s)" if own.state_values is not None else "best Q(s, a)"
        steps = len(self._history)
        heading = f"{what}, last {steps} steps" if steps > 1 else what
        panel.text(0, area.top - 14, heading, _SMALL_FONT, _FAINT)
        now = axis.readable(self._history[-1])
        panel.text(panel.width, area.top - 14, now, _LARGEST_FONT, _TEXT, "rm")
        low, high = map(axis.readable, axis.ends)
        left = 12 + max(panel.width_of(text, _SMALL_FONT) for text in (low, high))
        panel.text(0, area.top + 12, high, _SMALL_FONT, _FAINT)
        panel.text(0, area.bottom - 12, low, _SMALL_FONT, _FAINT)
        shares = [axis.share(value) for value in self._history]
        panel.curve((left, panel.width), area, shares, max(steps, _STEPS_IN_TIMELINE // 4))


class _Range:
    """The ends of an axis, as far apart as what it has been shown."""

    def __init__(self, low: float = math.inf, high: float = -math.inf):
        self._low, self._high = low, high

    def include(self, values: np.ndarray) -> None:
        if values.size:
            self._low = min(self._low, float(values.min()))
            self._high = max(self._high, float(values.max()))

    @property
    def ends(self) -> tuple[float, float]:
        """With zero, where it is not far, and never the same number twice."""
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
        """Where between the ends, 0 to 1, a value lies."""
        low, high = self.ends
        return min(max((value - low) / (high - low), 0.0), 1.0)

    def edges(self, bins: int) -> np.ndarray:
        """[bins + 1] of as many equal parts."""
        return np.linspace(*self.ends, bins + 1)

    def readable(self, value: float) -> str:
        """With as many digits as tell values on this axis apart."""
        low, high = self.ends
        digits = min(max(2 - math.floor(math.log10(high - low)), 0), 6)
        return f"{value:,.{digits}f}"


class _Area(NamedTuple):
    top: int
    bottom: int


class _Row(NamedTuple):
    action: int  # its number, from 0
    top: int
    bottom: int
    font: int
    legal: bool
    taken: bool

    @property
    def middle(self) -> int:
        return (self.top + self.bottom) // 2


class _Rows:
    """Where the rows of some actions lie, below a heading and above an axis."""

    def __init__(
        self,
        area: _Area,
        shown: Sequence[int],
        size: int,
        taken: set[int],
        mask: np.ndarray | None,
        tallest: int,
        axes: bool = False,
    ):
        own_axis = _AXIS if axes else 0  # of each row
        top, bottom = area.top + _HEADING, area.bottom - (_AXIS - own_axis)
        height = min((bottom - top) // len(shown), tallest + own_axis)
        inner = height - own_axis
        self.font = min(_LARGEST_FONT, max(inner - 6, 10))
        gap = max(inner // 8, 2)
        self._rows = [
            _Row(
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

    def __iter__(self) -> Iterator[_Row]:
        return iter(self._rows)

    def name_width(self, panel: _Canvas, names: Sequence[str]) -> int:
        """Where names, which end at the same place, end."""
        return 24 + max(panel.width_of(names[row.action], self.font) for row in self._rows)


class _Canvas:
    """A drawing in whole pixels of the film, made `_FINE` times as large."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self._image = Image.new("RGB", (width * _FINE, height * _FINE), _PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def shrunk(self) -> Image.Image:
        return self._image.reduce(_FINE)

    def text(self, x: int, y: int, text: str, size: int, color: _Color, anchor: str = "lm") -> None:
        self._draw.text((x * _FINE, y * _FINE), text, color, _font(size * _FINE), anchor)

    def width_of(self, text: str, size: int) -> int:
        return math.ceil(_font(size * _FINE).getlength(text) / _FINE)

    def bar(
        self,
        plot: tuple[int, int],
        row: _Row,
        axis: _Range,
        value: float | None,
        color: _Color,
    ) -> None:
        """A bar from zero to `value`; a dot where zero is not on the axis."""
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
            self._rectangle(zero - 0.5, top - 4, zero + 0.5, bottom + 4, _FAINT)
        else:
            radius = min((bottom - top) / 2, _LARGEST_DOT)
            at = min(max(at, plot[0] + radius), plot[1] - radius)
            self._rectangle(plot[0], row.middle - 1, at, row.middle + 1, color)
            self._dot(at, row.middle, radius, color)

    def histogram(
        self, plot: tuple[int, int], row: _Row, heights: np.ndarray, color: _Color
    ) -> None:
        """Columns side by side, heights [bins] from 0 to 1."""
        tall = row.bottom - row.top - 2
        self._rectangle(plot[0], row.bottom - 1, plot[1], row.bottom, _LINE)
        edges = np.linspace(*plot, len(heights) + 1)
        for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
            if height * tall >= 0.5:
                self._rectangle(left, row.bottom - 1 - height * tall, right, row.bottom - 1, color)

    def tick(self, plot: tuple[int, int], row: _Row, share: float, color: _Color) -> None:
        """A thin line over a row."""
        at = _at(plot, share)
        self._rectangle(at - 1, row.top, at + 1, row.bottom, color)

    def pointer(self, plot: tuple[int, int], row: _Row, share: float, color: _Color) -> None:
        """A line over a row and a triangle on top of it."""
        at, size = _at(plot, share), 7
        self._rectangle(at - 1, row.top, at + 1, row.bottom, color)
        corners = [(at - size, row.top - size), (at + size, row.top - size), (at, row.top + 3)]
        self._polygon(corners, color)

    def mark(self, x: int, row: _Row) -> None:
        """A triangle that points at the row of the action that was taken."""
        half = min(row.font // 3, 8)
        self._polygon(
            [(x, row.middle - half), (x + 2 * half, row.middle), (x, row.middle + half)], _TAKEN
        )

    def strike(self, left: int, right: int, y: int) -> None:
        self._rectangle(left, y, right, y + 1, _FAINT)

    def axis(
        self,
        plot: tuple[int, int],
        top: int,
        axis: _Range,
        ends: tuple[str, str] | None = None,
    ) -> None:
        """The numbers at the ends of an axis, and zero where there is room."""
        low, high = ends or (axis.readable(axis.ends[0]), axis.readable(axis.ends[1]))
        y = top + 14
        self.text(plot[0], y, low, _SMALL_FONT, _FAINT)
        self.text(plot[1], y, high, _SMALL_FONT, _FAINT, "rm")
        zero = _at(plot, axis.share(0.0))
        left = plot[0] + self.width_of(low, _SMALL_FONT) + 14
        right = plot[1] - self.width_of(high, _SMALL_FONT) - 14
        if left < zero < right and ends is None:
            self.text(round(zero), y, "0", _SMALL_FONT, _FAINT, "mm")

    def curve(self, plot: tuple[int, int], area: _Area, shares: Sequence[float], most: int) -> None:
        """Heights from 0 to 1 from the left on, of at most so many."""
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
            self._draw.line(points, _OTHER, 2 * _FINE, joint="curve")
        self._dot(points[-1][0] / _FINE, points[-1][1] / _FINE, radius, _TEXT)

    def _dot(self, x: float, y: float, radius: float, color: _Color) -> None:
        box = (x - radius, y - radius, x + radius, y + radius)
        self._draw.ellipse([_FINE * number for number in box], color)

    def _rectangle(
        self, left: float, top: float, right: float, bottom: float, color: _Color
    ) -> None:
        """From edge to edge: Pillow's own has the last row and column too."""
        box = [round(_FINE * number) for number in (left, top, right, bottom)]
        self._draw.rectangle((*box[:2], max(box[2] - 1, box[0]), max(box[3] - 1, box[1])), color)

    def _polygon(self, corners: Sequence[tuple[float, float]], color: _Color) -> None:
        self._draw.polygon([(x * _FINE, y * _FINE) for x, y in corners], color)


def quantile_masses(quantiles: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Masses [bins] between rising `edges` [bins + 1] of a return known by quantiles [K].

    The fractions are (i + 1/2) / K; between two quantiles the mass is spread evenly, and what is below
    the first and above the last lies on these two.
    """
    ordered = np.sort(quantiles.astype(np.float64))
    fractions = (np.arange(len(ordered)) + 0.5) / len(ordered)
    below = np.interp(edges, ordered, fractions, left=0.0, right=1.0)
    below[0], below[-1] = 0.0, 1.0
    return np.diff(below)


def _normal_masses(axis: _Range, mean: float, deviation: float) -> np.ndarray:
    """Densities [bins] of a normal distribution, the greatest of them not nothing."""
    edges = axis.edges(4 * _BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    nearest = min(max(mean, middles[0]), middles[-1])  # it may lie beyond the axis
    width = max(deviation, float(edges[1] - edges[0]))
    squares = ((middles - mean) / width) ** 2 - ((nearest - mean) / width) ** 2
    return np.exp(-squares / 2)


def _names(spec: EnvironmentSpec) -> tuple[str, ...]:
    """Of the actions, one for each row that there may be."""
    space = spec.action_space
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return tuple(
            f"{part}: {space.start.ravel()[part] + option}"
            for part, size in enumerate(space.nvec.ravel())
            for option in range(size)
        )
    if len(spec.action_names) == number_of_actions(space):
        return spec.action_names
    if isinstance(space, gymnasium.spaces.Discrete):
        return tuple(f"action {space.start + index}" for index in range(int(space.n)))
    return tuple(f"action[{index}]" for index in range(int(np.prod(space.shape or ()))))


def _taken(space: gymnasium.Space, action: np.ndarray) -> set[int]:
    """The rows of the actions that were taken."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return {int(action) - int(space.start)}
    assert isinstance(space, gymnasium.spaces.MultiDiscrete)
    sizes = space.nvec.ravel()
    firsts = np.cumsum(sizes) - sizes
    return set((firsts + np.ravel(action) - space.start.ravel()).tolist())


def _fitted(picture: np.ndarray) -> Image.Image:
    """`picture` as large as there is room: by a whole factor where that is 2 or more."""
    height, width = picture.shape[:2]
    factor = min(_WIDEST_PICTURE / width, _TALLEST_PICTURE / height)
    image = Image.fromarray(picture)
    if factor >= 2:
        whole = int(factor)
        return image.resize((width * whole, height * whole), Image.Resampling.NEAREST)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return image.resize(size, Image.Resampling.BICUBIC)


def _strip(width: int, caption: tuple[str, str]) -> Image.Image:
    left, right = caption
    strip = _Canvas(width, _STRIP)
    strip.text(0, _STRIP // 2 - 4, left, _LARGEST_FONT + 4, _TEXT)
    strip.text(width, _STRIP // 2 - 4, right, _LARGEST_FONT + 4, _FAINT, "rm")
    return strip.shrunk()


def _at(plot: tuple[int, int], share: float) -> float:
    return plot[0] + share * (plot[1] - plot[0])


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
