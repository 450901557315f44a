"""A picture of a game and, beside it, the agent's view: values, distributions, policy."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import gymnasium
import numpy as np
from PIL import Image

from dopamine_lite.agents.explanation import Explanation
from dopamine_lite.analysis.canvas import (
    AXIS,
    FAINT,
    LARGEST_FONT,
    LINE,
    OTHER,
    PAPER,
    SMALL_FONT,
    TAKEN,
    TEXT,
    Area,
    Canvas,
    Color,
    Range,
    Row,
    Rows,
)
from dopamine_lite.environments.action_names import number_of_actions
from dopamine_lite.environments.environment import EnvironmentSpec

WIDTH, HEIGHT = 1280, 720  # even for the mp4 format, and wide like a phone's screen
MOST_ROWS = 18  # actions shown at a time: as many as Atari has

_MARGIN = 20
_STRIP = 48  # height above the game, for step and score
_WIDEST_PICTURE = 620
_TALLEST_PICTURE = HEIGHT - 2 * _MARGIN - _STRIP
_TIMELINES = (110, 260)  # least and greatest height of the curve at the bottom
_ABOVE_TIMELINE = 34
_STEPS_IN_TIMELINE = 200  # at most; a quarter of them fill its width
_TALLEST_ROW, _TALLEST_DISTRIBUTION = 84, 150
_BINS = 32  # of a distribution that is given by quantiles
_STANDARD_DEVIATIONS = 3.0  # how much of a normal distribution is shown to either side


class Moment(NamedTuple):
    """One step of one environment, ready to be drawn."""

    explanation: Explanation  # of one observation
    action: np.ndarray  # the action taken there, as the environment takes it
    mask: np.ndarray | None  # [A] bool, the legal actions; None: all


class Explainer:
    """Draws the pictures of one film. Axes grow with the values seen so far and never shrink.

    Args:
      spec: the environment's specification.
      title: the heading of the panel, such as "DQNAgent, 50,000 agent steps".
    """

    def __init__(self, spec: EnvironmentSpec, title: str):
        self._space = spec.action_space
        self._names = _names(spec)
        self._title = title
        self._ranges: dict[str, Range] = {}
        self._history: deque[float] = deque(maxlen=_STEPS_IN_TIMELINE)
        self._moment: Moment | None = None

    def begin_episode(self) -> None:
        """Empties the curve of the expected return; the axes keep their ranges."""
        self._history.clear()

    def see(self, moment: Moment | None) -> None:
        """Takes in a step, whether or not a picture of it is drawn; None: it has no explanation."""
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
        """The whole picture [HEIGHT, WIDTH, 3] uint8: the game, its caption and the agent's view."""
        game = _fitted(picture)
        left = _MARGIN + game.width + _MARGIN
        image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
        top = _MARGIN + _STRIP + (_TALLEST_PICTURE - game.height) // 2
        image.paste(LINE, (_MARGIN - 1, top - 1, _MARGIN + game.width + 1, top + game.height + 1))
        image.paste(game, (_MARGIN, top))
        image.paste(_strip(game.width, caption), (_MARGIN, top - _STRIP))
        if self._moment is not None:
            panel = Canvas(WIDTH - left - _MARGIN, HEIGHT - 2 * _MARGIN)
            self._draw_panel(panel, self._moment)
            image.paste(panel.shrunk(), (left, _MARGIN))
        return np.asarray(image)

    def _range(self, name: str) -> Range:
        return self._ranges.setdefault(name, Range())

    def _include_normals(self, means: np.ndarray, deviations: np.ndarray) -> None:
        """Extends the axis of each number of an action to its bounds, or to its likely values."""
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

    def _draw_panel(self, panel: Canvas, moment: Moment) -> None:
        own = moment.explanation
        panel.text(0, 14, self._title, LARGEST_FONT, TEXT)
        has_timeline = bool(self._history)
        area = Area(48, panel.height - (_TIMELINES[0] + _ABOVE_TIMELINE) * has_timeline)
        end = area.top
        if own.means is not None and own.deviations is not None:
            end = self._draw_normals(panel, area, moment)
        elif own.policy is not None:
            end = self._draw_policy(panel, area, moment)
        elif own.action_values is not None:
            end = self._draw_values(panel, area, moment)
        if has_timeline:
            top = max(end + AXIS + _ABOVE_TIMELINE, panel.height - _TIMELINES[1])
            self._draw_timeline(panel, Area(top, panel.height), own)

    def _draw_values(self, panel: Canvas, area: Area, moment: Moment) -> int:
        """A row for each action: its value, as a number and a bar, and the distribution of its return.

        Returns the position where the rows end, as the other methods do.
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
            panel.text(plots[1][0], area.top + 10, "distribution of the return", SMALL_FONT, FAINT)
        panel.text(plots[0][0], area.top + 10, "Q(s, a)" + rows.note, SMALL_FONT, FAINT)
        highest = 0.0 if masses is None else float(masses.max())
        for row in rows:
            color = self._draw_name(panel, row, name_end)
            if row.legal:
                panel.text(number_end, row.middle, numbers[row.action], rows.font, color, "rm")
            panel.bar(plots[0], row, axis, values[row.action] if row.legal else None, color)
            if masses is not None:
                panel.histogram(plots[1], row, masses[row.action] / highest, color)
                where = self._range("returns").share(values[row.action])
                panel.tick(plots[1], row, where, TEXT if row.legal else LINE)
        panel.axis(plots[0], rows.end, axis)
        if masses is not None:
            panel.axis(plots[1], rows.end, self._range("returns"))
        return rows.end

    def _draw_policy(self, panel: Canvas, area: Area, moment: Moment) -> int:
        """A row for each action: its probability."""
        own = moment.explanation
        assert own.policy is not None
        probabilities = own.policy[0]
        rows = self._rows(area, probabilities, moment, _TALLEST_ROW)
        axis = Range(0.0, 1.0)
        name_end = rows.name_width(panel, self._names)
        number_end = name_end + 16 + panel.width_of("100 %", rows.font)
        plot = (number_end + 20, panel.width)
        heading = "probability" + rows.note
        panel.text(plot[0], area.top + 10, heading, SMALL_FONT, FAINT)
        for row in rows:
            color = self._draw_name(panel, row, name_end)
            share = float(probabilities[row.action])
            if row.legal:
                panel.text(number_end, row.middle, f"{100 * share:.0f} %", rows.font, color, "rm")
            panel.bar(plot, row, axis, share if row.legal else None, color)
        panel.axis(plot, rows.end, axis, ("0 %", "100 %"))
        return rows.end

    def _draw_normals(self, panel: Canvas, area: Area, moment: Moment) -> int:
        """A row for each number of an action: its density, and the number that was drawn."""
        own = moment.explanation
        assert own.means is not None and own.deviations is not None
        means, deviations = own.means[0], own.deviations[0]
        taken = np.asarray(moment.action, np.float64).ravel()
        shown = range(min(len(means), MOST_ROWS))
        rows = Rows(area, shown, len(means), set(), None, _TALLEST_DISTRIBUTION, axes=True)
        numbers = [
            f"{self._range(f'action {index}').readable(mean)} \u00b1 "
            f"{self._range(f'action {index}').readable(deviation)}"
            for index, (mean, deviation) in enumerate(zip(means, deviations, strict=True))
        ]
        name_end = rows.name_width(panel, self._names)
        number_end = name_end + 16 + max(panel.width_of(text, rows.font) for text in numbers)
        plot = (number_end + 20, panel.width)
        heading = "policy, and the action taken" + rows.note
        panel.text(plot[0], area.top + 10, heading, SMALL_FONT, FAINT)
        for row in rows:
            axis = self._range(f"action {row.action}")
            panel.text(name_end, row.middle, self._names[row.action], rows.font, TEXT, "rm")
            panel.text(number_end, row.middle, numbers[row.action], rows.font, OTHER, "rm")
            masses = _normal_masses(axis, float(means[row.action]), float(deviations[row.action]))
            panel.histogram(plot, row, masses / masses.max(), OTHER)
            panel.tick(plot, row, axis.share(float(means[row.action])), TEXT)
            panel.pointer(plot, row, axis.share(float(taken[row.action])), TAKEN)
            panel.axis(plot, row.bottom, axis)
        return rows.end

    def _rows(self, area: Area, weights: np.ndarray, moment: Moment, tallest: int) -> Rows:
        """Rows for all actions, or for the taken actions and those with the greatest `weights` [A]."""
        taken = _taken(self._space, moment.action)
        size = len(weights)
        shown = list(range(size))
        if size > MOST_ROWS:
            order = np.argsort(-weights, kind="stable").tolist()
            first = [index for index in order if index in taken]
            shown = sorted((first + [index for index in order if index not in taken])[:MOST_ROWS])
        return Rows(area, shown, size, taken, moment.mask, tallest)

    def _draw_name(self, panel: Canvas, row: Row, end: int) -> Color:
        """Names a row's action and marks it if it was taken; returns the row's color."""
        color = TAKEN if row.taken else OTHER if row.legal else LINE
        name_color = TAKEN if row.taken else TEXT if row.legal else LINE
        name = self._names[row.action]
        panel.text(end, row.middle, name, row.font, name_color, "rm")
        if row.taken:
            panel.mark(0, row)
        if not row.legal:
            panel.strike(end - panel.width_of(name, row.font), end, row.middle)
        return color

    def _masses(self, own: Explanation) -> np.ndarray | None:
        """The masses [A, bins] of the returns' distributions between the ends of their axis."""
        if own.probabilities is not None and own.atoms is not None:
            return own.probabilities[0]
        if own.quantiles is None:
            return None
        axis = self._range("returns")
        return np.array([quantile_masses(each, axis.edges(_BINS)) for each in own.quantiles[0]])

    def _draw_timeline(self, panel: Canvas, area: Area, own: Explanation) -> None:
        """The expected return of the last steps as a curve."""
        axis = self._range("expected")
        what = "value of the state V(s)" if own.state_values is not None else "best Q(s, a)"
        steps = len(self._history)
        heading = f"{what}, last {steps} steps" if steps > 1 else what
        panel.text(0, area.top - 14, heading, SMALL_FONT, FAINT)
        now = axis.readable(self._history[-1])
        panel.text(panel.width, area.top - 14, now, LARGEST_FONT, TEXT, "rm")
        low, high = map(axis.readable, axis.ends)
        left = 12 + max(panel.width_of(text, SMALL_FONT) for text in (low, high))
        panel.text(0, area.top + 12, high, SMALL_FONT, FAINT)
        panel.text(0, area.bottom - 12, low, SMALL_FONT, FAINT)
        shares = [axis.share(value) for value in self._history]
        panel.curve((left, panel.width), area, shares, max(steps, _STEPS_IN_TIMELINE // 4))


def quantile_masses(quantiles: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Masses [bins], between rising `edges` [bins + 1], of a return given by quantiles [K].

    The fractions are (i + 1/2) / K. Between two quantiles, the mass is spread evenly. The mass below the
    first quantile lies on that quantile, and the mass above the last one on the last.
    """
    ordered = np.sort(quantiles.astype(np.float64))
    fractions = (np.arange(len(ordered)) + 0.5) / len(ordered)
    below = np.interp(edges, ordered, fractions, left=0.0, right=1.0)
    below[0], below[-1] = 0.0, 1.0
    return np.diff(below)


def _normal_masses(axis: Range, mean: float, deviation: float) -> np.ndarray:
    """Densities [bins] of a normal distribution. The greatest is never zero."""
    edges = axis.edges(4 * _BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    nearest = min(max(mean, middles[0]), middles[-1])  # the mean may lie beyond the axis
    width = max(deviation, float(edges[1] - edges[0]))
    squares = ((middles - mean) / width) ** 2 - ((nearest - mean) / width) ** 2
    return np.exp(-squares / 2)


def _names(spec: EnvironmentSpec) -> tuple[str, ...]:
    """The names of the actions, one for each possible row."""
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
    """`picture`, as large as there is room: scaled by a whole factor if that is 2 or more."""
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
    strip = Canvas(width, _STRIP)
    strip.text(0, _STRIP // 2 - 4, left, LARGEST_FONT + 4, TEXT)
    strip.text(width, _STRIP // 2 - 4, right, LARGEST_FONT + 4, FAINT, "rm")
    return strip.shrunk()
