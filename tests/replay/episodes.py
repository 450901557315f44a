"""A brute-force reference for replay buffers that keeps whole episodes, and plays that fill both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dopamine_lite.common.types import Transitions
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.replay import Replay, ReplaySpec

GAMMA = 0.9


def spec(
    num_envs: int = 1, shape: tuple[int, ...] = (1,), dtype: Any = np.float32, **rest: Any
) -> ReplaySpec:
    """What a replay is told, with small frames."""
    return ReplaySpec(
        frame_shape=shape, frame_dtype=np.dtype(dtype), num_envs=num_envs, **{"gamma": GAMMA} | rest
    )


def block(*steps: Transitions) -> Block:
    """The block of these steps, after which the actor sees where the last of them led to."""
    after = steps[-1].next_observations, steps[-1].next_action_masks
    return Block.of(steps, after, [None] * len(steps))


@dataclasses.dataclass
class Episode:
    """One episode of one environment, whole: T + 1 frames and T steps."""

    first_slot: int
    frames: list[int]
    actions: list[int] = dataclasses.field(default_factory=list)
    rewards: list[float] = dataclasses.field(default_factory=list)
    terminated: bool = False
    ended: bool = False


class Reference:
    """Keeps everything; says which transitions can be drawn and what each must look like."""

    def __init__(self, num_envs: int, length: int, stack: int, horizon: int):
        self.length, self.stack, self.horizon = length, stack, horizon
        self.episodes: list[list[Episode]] = [[] for _ in range(num_envs)]
        self.stop = [0] * num_envs

    def begin(self, environment: int, frame: int) -> None:
        self.episodes[environment].append(Episode(self.stop[environment], [frame]))

    def step(
        self,
        environment: int,
        action: int,
        reward: float,
        frame: int,
        terminated: bool,
        truncated: bool,
    ) -> None:
        episode = self.episodes[environment][-1]
        episode.actions.append(action)
        episode.rewards.append(reward)
        episode.frames.append(frame)
        self.stop[environment] += 1
        if terminated or truncated:
            episode.terminated, episode.ended = terminated, True
            self.stop[environment] += 1  # the final frame has a slot of its own

    def observation(self, episode: Episode, t: int) -> list[int]:
        return [episode.frames[i] if i >= 0 else 0 for i in range(t - self.stack + 1, t + 1)]

    def transitions(self) -> dict[tuple[int, int], tuple]:
        """(environment, slot) -> (stack, action, n-step return, discount, next stack), all drawable."""
        found = {}
        for environment, episodes in enumerate(self.episodes):
            oldest = max(0, self.stop[environment] - self.length)
            for episode in episodes:
                for t in range(len(episode.actions)):
                    n = min(self.horizon, len(episode.actions) - t)
                    # Unfinished: s' at t + n must have been acted on, so that its frame is stored.
                    if not episode.ended and t + self.horizon >= len(episode.actions):
                        continue
                    slot = episode.first_slot + t
                    earliest = max(t - self.stack + 1, 0)
                    # Whether an episode begins here is seen in the slot before it.
                    seen_from = episode.first_slot + earliest
                    if self.stack > 1 and t - self.stack + 1 < 0 and seen_from > 0:
                        seen_from -= 1
                    if seen_from < oldest:
                        continue
                    ends = episode.ended and t + n == len(episode.actions)
                    found[environment, slot] = (
                        self.observation(episode, t),
                        episode.actions[t],
                        sum(GAMMA**k * episode.rewards[t + k] for k in range(n)),
                        0.0 if ends and episode.terminated else GAMMA**n,
                        self.observation(episode, t + n),
                    )
        return found


def play(
    replay: Replay,
    reference: Reference,
    endings: list[list[int]],
    after_step: Callable[[], None] = lambda: None,
) -> None:
    """Plays steps whose endings (0 none, 1 terminated, 2 truncated) are given [time][env]."""
    num_envs = len(endings[0])
    counter = 0

    def new_frame() -> int:
        nonlocal counter
        counter += 1
        return counter

    current = [[0] * (reference.stack - 1) + [new_frame()] for _ in range(num_envs)]
    for environment in range(num_envs):
        reference.begin(environment, current[environment][-1])

    def as_observations(stacks: list[list[int]]) -> np.ndarray:
        frames = np.array(stacks, np.int32)[..., None].repeat(2, axis=-1)
        return frames if reference.stack > 1 else frames[:, -1]

    for time, row in enumerate(endings):
        actions = np.array([(time + environment) % 5 for environment in range(num_envs)])
        rewards = np.array([float(time * 3 + environment) for environment in range(num_envs)])
        following = [[*stack[1:], new_frame()] for stack in current]
        terminated, truncated = np.array(row) == 1, np.array(row) == 2
        step = Transitions(
            as_observations(current),
            actions,
            rewards,
            terminated,
            truncated,
            as_observations(following),
        )
        replay.add(block(step))
        for environment in range(num_envs):
            reference.step(
                environment,
                int(actions[environment]),
                float(rewards[environment]),
                following[environment][-1],
                bool(terminated[environment]),
                bool(truncated[environment]),
            )
            if row[environment]:
                following[environment] = [0] * (reference.stack - 1) + [new_frame()]
                reference.begin(environment, following[environment][-1])
        current = following
        after_step()


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, int, int, int, list[list[int]]]:
    """Environments, frames in a stack, horizon, frames held of each one, and endings for `play`."""
    num_envs = draw(st.integers(1, 3))
    stack = draw(st.sampled_from([1, 2, 4]))
    horizon = draw(st.integers(1, 4))
    length = draw(st.integers(stack + horizon + 1, 30))
    ending = st.sampled_from([0, 0, 0, 0, 1, 2])
    endings = draw(
        st.lists(st.lists(ending, min_size=num_envs, max_size=num_envs), min_size=8, max_size=80)
    )
    return num_envs, stack, horizon, length, endings
