"""A grid to walk across from corner to corner, with cells that teleport; one agent or N at once."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dopamine_lite.common.checks import check_whole
from dopamine_lite.common.errors import UserError

START = 0
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # rows and columns of up, right, down, left

_LARGEST_CELL, _LARGEST_SIDE = 64, 768  # pixels, of a cell and of the picture
_SMOOTHING = 4  # the picture is drawn this much larger and then shrunk
_PAPER, _LINE, _INK = (250, 249, 245), (205, 208, 212), (38, 50, 66)
_START, _GOAL = (223, 230, 238), (46, 139, 87)
_COLOURS = (  # of magic squares, one for each destination; distinct for color-blind people, too
    (230, 159, 0),
    (0, 114, 178),
    (204, 121, 167),
    (213, 94, 0),
    (86, 180, 233),
    (120, 94, 240),
)


class GridWorld(gymnasium.Env):
    """An agent walks a grid of cells from the top left to the bottom right.

    An observation is the agent's cell, `Discrete(rows * columns)`, numbered from 0 row by row. Actions
    are `Discrete(4)`: 0 up, 1 right, 2 down, 3 left. A move off the grid leaves the agent where it is.
    The step that reaches the goal gives a reward of 0 and terminates; every other step gives -1.
    Nothing is random. Only the registration limits the steps of an episode.

    An agent that moves onto a magic square is on the square's destination when the step ends, so no
    agent is ever on the square itself. The start and the goal cannot be magic squares, but the goal can
    be a destination. A destination cannot be a magic square, and from every cell there must be a way to
    the goal.

    Args:
      rows: number of rows of cells.
      columns: number of columns of cells.
      magic_squares: the destination cell of each magic square, such as {18: 54, 63: 14}.
      render_mode: "human" for a window; "rgb_array" for a picture [height, width, 3] uint8 with cells of
        64 pixels, or fewer if the picture would be larger than 768 pixels; "ansi" for text.

    Raises:
      UserError: a number is out of range, or the magic squares break one of the rules above.
    """

    metadata = {"render_modes": ["human", "rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        rows: int = 9,
        columns: int = 9,
        magic_squares: Mapping[int, int] | None = None,
        render_mode: str | None = None,
    ):
        self.magic_squares = checked_magic_squares(rows, columns, magic_squares)
        self.rows, self.columns = rows, columns
        self.goal = rows * columns - 1
        self.observation_space = gymnasium.spaces.Discrete(rows * columns)
        self.action_space = gymnasium.spaces.Discrete(len(MOVES))
        self.render_mode = render_mode
        self._successors = successor_table(rows, columns, self.magic_squares)
        self._cell = START
        self._empty_grid: Image.Image | None = None  # the picture without the agent
        self._window: Any = None  # pygame's

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self._cell = START
        if self.render_mode == "human":
            self.render()
        return self._cell, {}

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        if not self.action_space.contains(action):
            raise ValueError(f"{action} is not in {self.action_space}.")
        self._cell = int(self._successors[self._cell, action])
        terminated = self._cell == self.goal
        if self.render_mode == "human":
            self.render()
        return self._cell, 0.0 if terminated else -1.0, terminated, False, {}

    def transition_matrix(self) -> np.ndarray:
        """[S, A, S'] float64: p(s' | s, a), magic squares included; the goal is absorbing."""
        return np.eye(self.goal + 1)[self._successors]

    def reward_matrix(self) -> np.ndarray:
        """[S, A] float64: r(s, a); 0 in the goal."""
        return np.where(self._successors == self.goal, 0.0, -1.0)

    def render(self) -> Any:
        """The output for `render_mode`: a picture, text, or None if a window shows the picture."""
        if self.render_mode is None:
            gymnasium.logger.warn("GridWorld draws only if it was made with a render_mode.")
            return None
        if self.render_mode == "ansi":
            return as_text(self.rows, self.columns, self.magic_squares, self._cell)
        if self._empty_grid is None:
            self._empty_grid = draw_grid(self.rows, self.columns, self.magic_squares)
        picture = draw_agent(self._empty_grid, self.columns, self._cell)
        if self.render_mode == "rgb_array":
            return picture
        self._show(picture)
        return None

    def close(self) -> None:
        if self._window is not None:
            import pygame

            pygame.display.quit()
            self._window = None

    def _show(self, picture: np.ndarray) -> None:
        import pygame  # slow, and prints a greeting

        if self._window is None:
            pygame.display.init()
            pygame.display.set_caption("GridWorld")
            self._window = pygame.display.set_mode(picture.shape[1::-1])
            self._clock = pygame.time.Clock()
        self._window.blit(pygame.surfarray.make_surface(picture.swapaxes(0, 1)), (0, 0))
        pygame.event.pump()
        pygame.display.update()
        self._clock.tick(self.metadata["render_fps"])


class GridWorldVector(gymnasium.vector.VectorEnv):
    """N agents, each in its own `GridWorld`. An agent restarts in the step that ends its episode.

    Args:
      num_envs: N, the number of agents.
      max_episode_steps: steps after which an episode is truncated; None: no limit. As in Gymnasium's
        `TimeLimit`, an episode that terminates at its limit is truncated as well.
      rows, columns, magic_squares: as in `GridWorld`.

    Raises:
      UserError: as in `GridWorld`.
    """

    metadata = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        rows: int = 9,
        columns: int = 9,
        magic_squares: Mapping[int, int] | None = None,
    ):
        check_whole("GridWorld", num_envs=num_envs)
        check_whole("GridWorld", optional=True, max_episode_steps=max_episode_steps)
        magic_squares = checked_magic_squares(rows, columns, magic_squares)
        self.num_envs = num_envs
        self.single_observation_space = gymnasium.spaces.Discrete(rows * columns)
        self.single_action_space = gymnasium.spaces.Discrete(len(MOVES))
        batch = gymnasium.vector.utils.batch_space
        self.observation_space = batch(self.single_observation_space, num_envs)
        self.action_space = batch(self.single_action_space, num_envs)
        self._goal = rows * columns - 1
        self._limit = np.inf if max_episode_steps is None else max_episode_steps
        self._successors = successor_table(rows, columns, magic_squares)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Returns the start, [N] int64."""
        super().reset(seed=seed)
        self._cells = np.full(self.num_envs, START)
        self._ages = np.zeros(self.num_envs, np.int64)  # steps taken in each agent's episode
        return self._cells.copy(), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Takes one action [N] for each agent.

        Returns:
          Observations [N] int64, rewards [N] float64, terminated and truncated [N] bool, and infos. If
          any episode has ended, "final_obs" [N] int64 has the last cells of the agents that "_final_obs"
          [N] bool marks.
        """
        if ((actions < 0) | (actions >= len(MOVES))).any():
            raise ValueError(f"{actions} are not all in {self.single_action_space}.")
        successors = self._successors[self._cells, actions]
        self._ages += 1
        terminated = successors == self._goal
        truncated = self._ages >= self._limit
        ended = terminated | truncated
        self._cells, infos = successors, {}
        if ended.any():
            self._cells = np.where(ended, START, successors)
            self._ages[ended] = 0
            infos = {"final_obs": successors, "_final_obs": ended}
        return self._cells.copy(), terminated - 1.0, terminated, truncated, infos


def checked_magic_squares(
    rows: int, columns: int, magic_squares: Mapping[int, int] | None
) -> dict[int, int]:
    """`magic_squares` with numbers as keys (JSON's are text).

    Raises:
      UserError: the grid or the magic squares break a rule of `GridWorld`. The message names the rule.
    """
    check_whole("GridWorld", rows=rows)
    check_whole("GridWorld", columns=columns)
    if rows * columns == 1:
        raise UserError("A GridWorld of 1 row and 1 column begins at its goal: give it more cells.")
    if not isinstance(magic_squares, Mapping | None):
        raise UserError(
            f"GridWorld.magic_squares is {magic_squares!r}: give a dictionary, such as {{18: 54}}."
        )
    squares = {
        _cell(source, rows * columns): _cell(destination, rows * columns)
        for source, destination in (magic_squares or {}).items()
    }
    for cell, name in ((START, "start"), (rows * columns - 1, "goal")):
        if cell in squares:
            raise UserError(f"GridWorld.magic_squares has cell {cell}, the {name}: choose another.")
    for source, destination in squares.items():
        if destination in squares:
            raise UserError(
                f"GridWorld.magic_squares leads from {source} to {destination}, which is a magic "
                "square itself: give the final destination."
            )
    if squares:
        _check_goal_is_reached(successor_table(rows, columns, squares))
    return squares


def successor_table(rows: int, columns: int, magic_squares: Mapping[int, int]) -> np.ndarray:
    """[S, A] int64: the cell that each action leads to; from the goal, the goal."""
    cells = np.arange(rows * columns)
    row, column = np.divmod(cells, columns)
    destinations = cells.copy()
    destinations[list(magic_squares)] = list(magic_squares.values())
    successors = [
        destinations[
            (row + down).clip(0, rows - 1) * columns + (column + right).clip(0, columns - 1)
        ]
        for down, right in MOVES
    ]
    table = np.stack(successors, axis=1)
    table[-1] = rows * columns - 1
    return table


def as_text(rows: int, columns: int, magic_squares: Mapping[int, int], agent: int) -> str:
    """The grid as text: "@" is the agent, "S" the start, "G" the goal, and "1>" leads to ">1"."""
    numbers = _numbers(magic_squares)
    texts = ["."] * (rows * columns)
    texts[START], texts[-1] = "S", "G"
    texts[agent] = "@"
    for source, destination in magic_squares.items():
        texts[source] = f"{numbers[destination] + 1}>"
    for destination, number in numbers.items():
        texts[destination] = f"{texts[destination].strip('.')}>{number + 1}"
    width = max(map(len, texts))
    lines = [texts[row * columns : (row + 1) * columns] for row in range(rows)]
    return "".join(" ".join(text.ljust(width) for text in line).rstrip() + "\n" for line in lines)


def draw_grid(rows: int, columns: int, magic_squares: Mapping[int, int]) -> Image.Image:
    """The picture without an agent. A magic square is filled and its destination is framed, both in the
    same color, and an arrow joins them."""
    pixels = max(4, min(_LARGEST_CELL, _LARGEST_SIDE // max(rows, columns)))
    size = pixels * _SMOOTHING  # of a cell while drawing
    image = Image.new("RGB", (columns * size, rows * size), _PAPER)
    brush = ImageDraw.Draw(image)
    _letter(brush, (0, 0), size, "S", _START, _INK)
    _letter(brush, ((columns - 1) * size, (rows - 1) * size), size, "G", _GOAL, _PAPER)
    for place in range(0, max(image.size) + 1, size):
        brush.line([(place, 0), (place, image.height)], _LINE, _SMOOTHING)
        brush.line([(0, place), (image.width, place)], _LINE, _SMOOTHING)
    numbers = _numbers(magic_squares)
    corners = {
        cell: (cell % columns * size, cell // columns * size) for cell in (*magic_squares, *numbers)
    }
    colors = {cell: _COLOURS[number % len(_COLOURS)] for cell, number in numbers.items()}
    frame, round_off = size // 14, size // 6
    for source, destination in magic_squares.items():
        color = colors[destination]
        brush.rounded_rectangle(_inner_box(corners[source], size), round_off, color)
        brush.rounded_rectangle(
            _inner_box(corners[destination], size), round_off, None, color, frame
        )
    for source, destination in magic_squares.items():
        _arrow(brush, corners[source], corners[destination], size, colors[destination])
    return image.resize((columns * pixels, rows * pixels), Image.Resampling.BOX)


def draw_agent(empty_grid: Image.Image, columns: int, cell: int) -> np.ndarray:
    """The picture [height, width, 3] uint8 with the agent, a disc, in its cell."""
    pixels = empty_grid.width // columns
    size = pixels * _SMOOTHING
    disc = Image.new("RGBA", (size, size))
    brush = ImageDraw.Draw(disc)
    middle = (size / 2, size / 2)
    brush.circle(middle, 0.31 * size, (*_PAPER, 255))
    brush.circle(middle, 0.27 * size, (*_INK, 255))
    disc = disc.resize((pixels, pixels), Image.Resampling.BOX)
    picture = empty_grid.copy()
    picture.paste(disc, (cell % columns * pixels, cell // columns * pixels), disc)
    return np.array(picture)


def _cell(value: Any, cells: int) -> int:
    """The cell that `value` names: a whole number, or its digits as text."""
    try:
        number = int(value) if isinstance(value, str) else operator.index(value)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < cells:
        raise UserError(
            f"GridWorld.magic_squares has cell {value!r}: give whole numbers from 0 to {cells - 1}."
        )
    return number


def _check_goal_is_reached(successors: np.ndarray) -> None:
    reached = np.arange(len(successors)) == len(successors) - 1
    while True:
        more = reached[successors].any(1)
        if (more == reached).all():
            break
        reached = more
    if not reached.all():
        raise UserError(
            f"GridWorld.magic_squares leaves no way from cell {reached.argmin()} to the goal: remove "
            "a magic square."
        )


def _numbers(magic_squares: Mapping[int, int]) -> dict[int, int]:
    """A number for each destination, from 0."""
    return {cell: number for number, cell in enumerate(dict.fromkeys(magic_squares.values()))}


def _letter(
    brush: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    size: int,
    letter: str,
    fill: tuple[int, int, int],
    ink: tuple[int, int, int],
) -> None:
    x, y = corner
    brush.rectangle((x, y, x + size, y + size), fill)
    font = ImageFont.load_default(0.5 * size)
    brush.text((x + size / 2, y + size / 2), letter, ink, font, anchor="mm")


def _inner_box(corner: tuple[int, int], size: int) -> tuple[float, float, float, float]:
    x, y = corner
    return x + 0.12 * size, y + 0.12 * size, x + 0.88 * size, y + 0.88 * size


def _arrow(
    brush: ImageDraw.ImageDraw,
    source: tuple[int, int],
    destination: tuple[int, int],
    size: int,
    color: tuple[int, int, int],
) -> None:
    """Draws an arrow from the middle of one cell to another, with its head in the frame there."""
    begin, end = np.array(source) + size / 2, np.array(destination) + size / 2
    along = (end - begin) / np.linalg.norm(end - begin)
    across = np.array([-along[1], along[0]])
    neck = end - 0.26 * size * along
    head = [end, neck + 0.14 * size * across, neck - 0.14 * size * across]
    for ink, width in ((_PAPER, 0.12), (color, 0.07)):  # a pale edge separates it from the rest
        brush.line([*begin, *neck], ink, round(width * size))
    brush.circle(tuple(begin), 0.09 * size, _PAPER)
    brush.polygon([tuple(corner) for corner in head], color)
