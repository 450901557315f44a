"""Atari games that play themselves, eight at a time, for measurements on real frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dopamine_lite.common.types import Transitions
from dopamine_lite.environments.atari_environment import AtariEnvironment

NUM_ENVS = 8
_RANDOM = 0.2  # share of actions in which a follower does anything, so that no game is like another
_FIRE = 1


class _Follower(NamedTuple):
    """Where in a frame the ball and the own paddle are, and what moves the paddle to the ball."""

    ball: tuple[slice, slice]  # rows, columns
    paddle: tuple[slice, slice]
    axis: int  # that the paddle moves along: 0, rows; 1, columns
    back: int  # action that moves it to smaller numbers
    forth: int

    def action(self, frame: np.ndarray) -> int:
        ball, paddle = (_place(frame, area, self.axis) for area in (self.ball, self.paddle))
        if ball is None or paddle is None:
            return _FIRE
        return self.back if ball < paddle else self.forth


_FOLLOWERS = {
    "Pong": _Follower((slice(14, 77), slice(12, 72)), (slice(14, 77), slice(73, 76)), 0, 2, 3),
    "Breakout": _Follower((slice(38, 75), slice(5, 79)), (slice(76, 77), slice(5, 79)), 1, 3, 2),
}


def _place(frame: np.ndarray, area: tuple[slice, slice], axis: int) -> float | None:
    """Where along an axis something stands out from the ground of an area; None: nothing does."""
    rows, columns = area
    seen = frame[area]
    found = (seen != np.median(seen[:, ::9])).nonzero()[axis]
    return float(found.mean()) + (rows, columns)[axis].start if found.size else None


def play(game: str, seed: int = 0) -> Iterator[Transitions]:
    """Steps of eight games without end, raw rewards; in Pong and Breakout the paddle follows the ball.

    In other games, actions are random.
    """
    environment = AtariEnvironment(game=game, num_envs=NUM_ENVS, seed=seed)
    generator, follower = np.random.default_rng(seed), _FOLLOWERS.get(game)
    num_actions = int(environment.spec.action_space.n)
    observations = environment.reset()
    while True:
        actions = generator.integers(num_actions, size=NUM_ENVS)
        if follower is not None:
            for index in (generator.random(NUM_ENVS) >= _RANDOM).nonzero()[0]:
                actions[index] = follower.action(observations[index, -1])
        step = environment.step(actions)
        yield Transitions(
            observations,
            actions,
            step.rewards,
            step.terminated,
            step.truncated,
            step.next_observations,
        )
        observations = step.observations
