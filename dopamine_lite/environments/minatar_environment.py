"""MinAtar's five small games (Young and Tian 2019), N environments at a time in one loop."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import re
from typing import Any

import gin
import gymnasium
import numpy as np

from dopamine_lite.common.checks import check_flag, check_fraction, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.environment import Environment, EnvironmentSpec, Step
from dopamine_lite.environments.gymnasium_environment import environment_seeds

GAMES = ("asterix", "breakout", "freeway", "seaquest", "space_invaders")

_ACTIONS = ("nothing", "left", "up", "right", "down", "fire")  # of every game
_CELL = 24  # pixels on a side of one of the 10 x 10 cells in a drawn picture
_PALETTE = np.array(  # nothing, then the channels of a game in order: at most ten, in Seaquest
    [
        (16, 16, 24),
        (245, 245, 245),
        (213, 74, 40),
        (0, 158, 115),
        (240, 196, 25),
        (70, 120, 230),
        (200, 120, 220),
        (120, 205, 240),
        (125, 125, 135),
        (160, 100, 50),
        (150, 220, 70),
    ],
    np.uint8,
)


@gin.configurable
class MinAtarEnvironment(Environment):
    """N environments of one MinAtar game: 10 x 10 cells, each with a 0 or 1 for every kind of object.

    Observations are [10, 10, channels] uint8. The defaults are the protocol of Young and Tian (2019)
    except for the actions: the protocol has all six in every game. One step is one frame. A game that is
    over is terminated. Freeway also terminates after 2,501 steps. The other games have no limit of their
    own.

    Args:
      num_envs: N, the number of environments.
      seed: the seed from which each environment gets its own.
      max_steps_per_episode: agent steps after which a game is truncated; None: no limit.
      render: draw the first environment.
      evaluate: has no effect; evaluation does not differ.
      game: "asterix", "breakout", "freeway", "seaquest" or "space_invaders" (or "SpaceInvaders").
      sticky_action_prob: the probability that the last action is executed again. As in the MinAtar
        package, the first action of a game can be a repetition of the last action of the game before.
      difficulty_ramping: let the game become harder with time. Breakout and Freeway never do.
      minimal_action_set: offer only the actions that the game uses instead of all six.

    Raises:
      UserError: there is no such game, a number is out of range, or MinAtar is not installed.
    """

    def __init__(
        self,
        num_envs: int = 1,
        seed: int = 0,
        max_steps_per_episode: int | None = None,
        render: bool = False,
        evaluate: bool = False,
        *,
        game: str = "breakout",
        sticky_action_prob: float = 0.1,
        difficulty_ramping: bool = True,
        minimal_action_set: bool = True,
    ):
        name = find_game(game)
        check_whole("MinAtarEnvironment", num_envs=num_envs)
        check_flag(
            "MinAtarEnvironment",
            difficulty_ramping=difficulty_ramping,
            minimal_action_set=minimal_action_set,
        )
        check_fraction("MinAtarEnvironment", sticky_action_prob=sticky_action_prob)
        create = _package().Environment
        self._games = [
            create(name, sticky_action_prob, difficulty_ramping) for _ in range(num_envs)
        ]
        self._seeds = environment_seeds(seed, num_envs)
        self._limit = max_steps_per_episode
        self._draws = render
        first = self._games[0]
        self._actions = (
            first.minimal_action_set() if minimal_action_set else list(range(first.num_actions()))
        )
        space = gymnasium.spaces.Box(0, 1, tuple(first.state_shape()), np.uint8)
        self._shape = (num_envs, *space.shape)
        self.spec = EnvironmentSpec(
            id=f"MinAtar/{title(name)}",
            observation_space=space,
            action_space=gymnasium.spaces.Discrete(len(self._actions)),
            num_envs=num_envs,
            max_steps_per_episode=max_steps_per_episode,
            protocol={
                "environment": f"MinAtar {title(name)}",
                "sticky_action_prob": sticky_action_prob,
                "difficulty_ramping": difficulty_ramping,
                "minimal_action_set": minimal_action_set,
                "max_steps_per_episode": max_steps_per_episode,
                "minatar": importlib.metadata.version("MinAtar"),
            },
            action_names=tuple(_ACTIONS[action] for action in self._actions),
        )

    def reset(self) -> np.ndarray:
        self._ages = [0] * len(self._games)  # steps taken in each environment's episode
        observations = np.empty(self._shape, np.uint8)
        for index, (game, seed) in enumerate(zip(self._games, self._seeds, strict=True)):
            game.seed(int(seed))
            game.reset()  # it began with a random state of its own
            observations[index] = game.state()
        return observations

    def step(self, actions: np.ndarray) -> Step:
        chosen, size, ages = actions.tolist(), len(self._games), self._ages
        if min(chosen) < 0 or max(chosen) >= len(self._actions):
            raise ValueError(f"{actions} are not all in {self.spec.action_space}.")
        next_observations = np.empty(self._shape, np.uint8)
        rewards = np.empty(size)
        terminated, truncated = np.zeros(size, bool), np.zeros(size, bool)
        beginnings = {}
        for index, (game, action) in enumerate(zip(self._games, chosen, strict=True)):
            rewards[index], over = game.act(self._actions[action])
            next_observations[index] = game.state()
            ages[index] += 1
            if over or ages[index] == self._limit:
                terminated[index], truncated[index] = over, not over
                ages[index] = 0
                game.reset()
                beginnings[index] = game.state()
        observations = next_observations
        if beginnings:
            observations = next_observations.copy()
            for index, observation in beginnings.items():
                observations[index] = observation
        return Step(observations, rewards, terminated, truncated, next_observations)

    def render(self) -> np.ndarray:
        """[240, 240, 3] uint8. The first channel's object in a cell is drawn inside the last
        channel's."""
        if not self._draws:
            raise ValueError("Built without render=True.")
        return draw(self._games[0].state())

    def close(self) -> None:
        self._games.clear()


def find_game(game: str) -> str:
    """The package's name of a game. Raises UserError with the nearest name if there is no such game."""
    by_key = {name.replace("_", ""): name for name in GAMES}
    key = re.sub("[_ ]", "", str(game)).lower()
    if key in by_key:
        return by_key[key]
    near = [by_key[name] for name in difflib.get_close_matches(key, by_key, n=1)]
    hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(GAMES)}."
    raise UserError(f"There is no MinAtar game {game!r}: {hint}")


def title(game: str) -> str:
    """ "space_invaders" -> "SpaceInvaders"."""
    return game.title().replace("_", "")


def draw(state: np.ndarray) -> np.ndarray:
    """State [10, 10, channels] -> picture [240, 240, 3] uint8."""
    present = state != 0
    numbers = np.arange(1, state.shape[-1] + 1)
    last = (present * numbers).max(-1)  # [10, 10], 0: nothing
    first = np.where(present.any(-1), present.argmax(-1) + 1, 0)
    cells = np.empty((10, _CELL, 10, _CELL, 3), np.uint8)
    cells[:] = _PALETTE[last][:, None, :, None]
    middle = slice(_CELL // 4, -(_CELL // 4))
    cells[:, middle, :, middle] = _PALETTE[first][:, None, :, None]
    return cells.reshape(10 * _CELL, 10 * _CELL, 3)


def _package() -> Any:
    """Imports MinAtar on demand: that takes a second, for plotting code that is not used here."""
    try:
        return importlib.import_module("minatar")
    except ModuleNotFoundError as error:
        raise UserError(
            "MinAtar's games need a package that is not installed: run `pip install MinAtar`."
        ) from error
