"""The block: some steps of N environments, handed from acting to learning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dopamine_lite.common.types import Transitions


class Block(NamedTuple):
    """T steps of N environments, time-major, and the observations after the last step.

    Row t holds the step that was taken from `observations[t]`. If an episode ended with this step,
    `observations[t + 1]` belongs to the next episode, and the true successor is in
    `final_observations`.
    """

    observations: np.ndarray  # [T + 1, N, ...] as the actor saw them, and those it sees next
    actions: np.ndarray  # [T, N, ...]
    rewards: np.ndarray  # [T, N] float64, clipped if the Runner clips
    terminated: np.ndarray  # [T, N] bool: the environment's own end; never bootstrap
    truncated: np.ndarray  # [T, N] bool: cut by a limit; bootstrap from the true successor
    # [E, ...] the last observations of the E episodes that ended, in order of step, then environment.
    final_observations: np.ndarray
    # [T + 1, N, A] bool and [E, A] bool: the legal actions; None if all actions are always legal.
    action_masks: np.ndarray | None = None
    final_action_masks: np.ndarray | None = None
    # What the actor recorded about its decisions: a named tuple of arrays [T, N, ...], or None.
    decisions: Any = None

    @classmethod
    def of(cls, steps: Sequence[Transitions], after: Any, decisions: Sequence[Any]) -> Block:
        """Makes a block of T steps.

        Args:
          steps: T steps of N environments.
          after: the observations [N, ...] and the action masks that the actor sees after these steps.
          decisions: what the actor recorded about each step: T named tuples of arrays [N, ...], or T
            times None.
        """
        observations, masks = after
        terminated = np.array([step.terminated for step in steps])
        truncated = np.array([step.truncated for step in steps])
        ends = terminated | truncated
        rows = ends.any(axis=1).nonzero()[0].tolist() if ends.any() else []
        ending = [(steps[row], ends[row]) for row in rows]
        final = [step.next_observations[ended] for step, ended in ending]
        first = steps[0].observations
        block = cls(
            observations=np.stack([*(step.observations for step in steps), observations]),
            actions=np.array([step.actions for step in steps]),
            rewards=np.array([step.rewards for step in steps]),
            terminated=terminated,
            truncated=truncated,
            final_observations=(
                np.concatenate(final) if final else np.empty((0, *first.shape[1:]), first.dtype)
            ),
        )
        if masks is not None:
            before: list[Any] = [step.action_masks for step in steps]
            after_end: list[Any] = [step.next_action_masks for step, _ in ending]
            final_masks = [
                found[ended] for found, (_, ended) in zip(after_end, ending, strict=True)
            ]
            block = block._replace(
                action_masks=np.stack([*before, masks]),
                final_action_masks=(
                    np.concatenate(final_masks)
                    if final_masks
                    else np.empty((0, masks.shape[1]), bool)
                ),
            )
        if decisions[0] is None:
            if any(said is not None for said in decisions):
                raise ValueError("The actor returned decisions in some steps and None in others.")
            return block
        kind = type(decisions[0])
        return block._replace(
            decisions=kind(*(np.stack(column) for column in zip(*decisions, strict=True)))
        )

    @property
    def num_steps(self) -> int:
        """T, the steps of each environment."""
        return len(self.actions)

    @property
    def agent_steps(self) -> int:
        """T x N, the steps of all environments."""
        return self.rewards.size

    @property
    def ended(self) -> np.ndarray:
        """[T, N] bool: whether an episode ended with the step."""
        return self.terminated | self.truncated

    def successors(self, step: int) -> np.ndarray:
        """The true successors [N, ...] of row `step`, counted from 0."""
        return self._successors(step, self.observations, self.final_observations)

    def successor_masks(self, step: int) -> np.ndarray | None:
        """The legal actions in these successors, [N, A] bool; None: all actions are always legal."""
        if self.action_masks is None or self.final_action_masks is None:
            return None
        return self._successors(step, self.action_masks, self.final_action_masks)

    def _successors(self, step: int, values: np.ndarray, final: np.ndarray) -> np.ndarray:
        ended = self.ended
        if not ended[step].any():
            return values[step + 1]
        found, before = values[step + 1].copy(), int(ended[:step].sum())
        found[ended[step]] = final[before : before + int(ended[step].sum())]
        return found

    def transitions(self) -> Iterator[Transitions]:
        """The T steps, one after the other."""
        for step in range(self.num_steps):
            yield Transitions(
                self.observations[step],
                self.actions[step],
                self.rewards[step],
                self.terminated[step],
                self.truncated[step],
                self.successors(step),
                None if self.action_masks is None else self.action_masks[step],
                self.successor_masks(step),
            )

    def rows(self, start: int, stop: int) -> Block:
        """The rows from `start` up to, but not including, `stop`, which may lie beyond the last row."""
        ended, rows = self.ended, slice(start, stop)
        first, last = int(ended[:start].sum()), int(ended[:stop].sum())
        masks, final_masks, said = self.action_masks, self.final_action_masks, self.decisions
        return Block(
            self.observations[start : stop + 1],
            self.actions[rows],
            self.rewards[rows],
            self.terminated[rows],
            self.truncated[rows],
            self.final_observations[first:last],
            None if masks is None else masks[start : stop + 1],
            None if final_masks is None else final_masks[first:last],
            None if said is None else type(said)(*(column[rows] for column in said)),
        )

    def split(self, most: int) -> Iterator[Block]:
        """The same steps in blocks of at most `most` steps of each environment."""
        if self.num_steps <= most:
            yield self
            return
        for start in range(0, self.num_steps, most):
            yield self.rows(start, start + most)
