"""Circular replay: a time-major ring of single frames from which n-step transitions are built.

Every environment stream writes to a column of its own. A slot holds the newest frame of one
observation and the action, reward and ending of the step taken from it; an episode's last frame,
from which no action was taken, gets a slot too. Stacks of frames and n-step returns are assembled
when sampling and never reach across an episode's start or end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import gin
import numpy as np

from dopamine_lite.common.checks import check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import require_memory
from dopamine_lite.common.replay.ring import RingSlots
from dopamine_lite.common.seeding import generator_state, restore_generator
from dopamine_lite.common.types import State, Transitions
from dopamine_lite.losses.returns import n_step_returns

# What a slot's step led to, in `kinds`; no bit set: a step inside an episode.
TERMINATED, TRUNCATED, FINAL_FRAME = 1, 2, 4
_ENDED = TERMINATED | TRUNCATED
_BLOCK_BYTES = 64 << 20
_BLOCK_SLOTS = 4096  # examined at a time
_GREATEST = float(np.finfo(np.float32).max)  # reward that can be stored
_MAX_REDRAWS = 100  # until all that can be drawn is listed


class ReplayBatch(NamedTuple):
    """K batches of B transitions (s, a, R, d, s'), R the n-step return and d the bootstrap factor."""

    # [K, B, F, ...] single frames: the first `stack_size` are s, the last `stack_size` are s'.
    frames: np.ndarray
    actions: np.ndarray  # [K, B] int32
    returns: np.ndarray  # [K, B] float32: sum over k < L of gamma^k r_k
    discounts: np.ndarray  # [K, B] float32: gamma^L, zero where the episode terminated
    columns: np.ndarray  # [K, B] int64: the stream a transition came from
    slots: np.ndarray  # [K, B] int64: its slot's number in that stream
    weights: np.ndarray | None = None  # [K, B] float32 importance weights, of a prioritized replay
    masks: np.ndarray | None = None  # [K, B, 2, A] bool: the legal actions of s and s', if stored


@gin.configurable
class CircularReplay:
    """The last `replay_capacity` frames of N streams, sampled uniformly over whole transitions.

    Args:
      frame_shape: the shape of one frame, without a stack axis.
      frame_dtype: the dtype of one frame.
      stack_size: frames in an observation, on its first axis; 1: there is no such axis.
      num_envs: N, the number of streams.
      generator: draws the samples; its state is part of this buffer's.
      update_horizon: n of the n-step return, which is shorter if the episode ends sooner.
      gamma: discount per agent step.
      mask_size: A, the number of actions, if legal actions are to be stored with the frames.
      replay_capacity: frames held over all streams.
    """

    prioritized = False

    def __init__(
        self,
        *,
        frame_shape: tuple[int, ...],
        frame_dtype: np.dtype,
        stack_size: int,
        num_envs: int,
        generator: np.random.Generator,
        update_horizon: int = 1,
        gamma: float = 0.99,
        mask_size: int | None = None,
        replay_capacity: int = 1_000_000,
    ):
        check_whole(type(self).__name__, replay_capacity=replay_capacity)
        self._frame_shape = frame_shape
        self._dtype = np.dtype(frame_dtype)
        self._stack = stack_size
        self._num_envs = num_envs
        self._length = -(-replay_capacity // self._num_envs)  # slots in a column
        if self._length <= update_horizon + self._stack:
            raise UserError(
                f"{type(self).__name__}.replay_capacity is {replay_capacity!r}, which leaves each of "
                f"{self._num_envs} streams {self._length} frames, too few for update_horizon "
                f"{update_horizon} and stacks of {self._stack}: give "
                f"{(update_horizon + self._stack) * num_envs + 1:,} or more."
            )
        self._horizon = update_horizon
        self._mask_size = mask_size
        self._gamma = gamma
        self._generator = generator
        # One step's window of slots: the older frames of its stack, itself, n successors.
        self._offsets = np.arange(1 - self._stack, update_horizon + 1)
        if update_horizon == 1:  # s and s' share all frames but one: gather them once
            self._state_offsets = np.arange(1 - self._stack, 2)
        else:
            stack = np.arange(1 - self._stack, 1)
            self._state_offsets = np.concatenate([stack, stack])
        self._moves_with_length = np.arange(self._state_offsets.size) >= self._stack
        self._columns = np.arange(self._num_envs)
        self._stop = np.zeros(self._num_envs, np.int64)  # slots ever written, per column
        self._frames: np.ndarray | None = None
        self._masks: np.ndarray | None = None

    @property
    def memory_bytes(self) -> int:
        """Size of the full buffer."""
        frame = int(np.prod(self._frame_shape)) * self._dtype.itemsize
        return self._length * self._num_envs * (frame + 4 + 4 + 1 + (self._mask_size or 0))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """[F, ...], the shape of one transition's frames in a `ReplayBatch`."""
        return (self._state_offsets.size, *self._frame_shape)

    def __len__(self) -> int:
        """Frames held now."""
        return int(np.minimum(self._stop, self._length).sum())

    def add(self, transitions: Transitions) -> None:
        """Stores one step of every stream."""
        if self._frames is None:
            self._allocate()
        assert self._frames is not None
        kinds = transitions.terminated.view(np.uint8) | transitions.truncated.view(np.uint8) << 1
        at = (self._stop % self._length) * self._num_envs + self._columns
        self._frames[at] = self._newest(transitions.observations)
        self._actions[at] = transitions.actions
        self._rewards[at] = _in_single_precision(transitions.rewards)
        self._kinds[at] = kinds
        if self._masks is not None:
            self._masks[at] = transitions.action_masks
        self._stop += 1
        ended = kinds.nonzero()[0]
        if ended.size:
            self._add_final_frames(ended, transitions)

    def sample(self, num_batches: int, batch_size: int) -> ReplayBatch:
        """Draws K x B transitions, uniformly and with replacement.

        A transition can be drawn once its n-step successor is stored, or its episode has ended
        within the n steps, and as long as its whole stack of frames is held.
        """
        columns, slots, lengths, ages = self._draw(num_batches, batch_size)
        window = self._at(columns[:, None], slots[:, None] + np.arange(self._horizon))  # [M, n]
        last = self._kinds[self._at(columns, slots + lengths - 1)]
        returns, discounts = n_step_returns(
            self._rewards[window], lengths, (last & TERMINATED) != 0, self._gamma
        )
        shape = (num_batches, batch_size)
        masks = None
        if self._masks is not None:
            both = np.stack([window[:, 0], self._at(columns, slots + lengths)], axis=1)
            masks = self._masks[both].reshape(*shape, 2, -1)
        return ReplayBatch(
            frames=self._gather(columns, slots, lengths, ages).reshape(*shape, *self.sample_shape),
            actions=self._actions[window[:, 0]].reshape(shape),
            returns=returns.reshape(shape),
            discounts=discounts.reshape(shape),
            columns=columns.reshape(shape),
            slots=slots.reshape(shape),
            masks=masks,
        )

    def describe(self) -> dict[str, Any]:
        """The name of the replay and its active parts."""
        return {"replay": type(self).__name__}

    def metrics(self) -> dict[str, float]:
        """Numbers for the log."""
        return {}

    def get_state(self) -> State:
        return {
            "slots": RingSlots(self._first(), self._stop.copy(), self._blocks),
            "generator": generator_state(self._generator),
        }

    def set_state(self, state: State) -> None:
        slots: RingSlots = state["slots"]
        if slots.stop.shape != self._stop.shape:
            raise ValueError(f"saved with {slots.stop.size} streams, built with {self._num_envs}")
        if self._frames is None:
            self._allocate()
        for block in slots.blocks(slots.first):
            self._check_kinds(block)
            position = 0
            for column, (start, stop) in enumerate(zip(block["start"], block["stop"], strict=True)):
                at = self._at(column, np.arange(start, stop))
                for name, array in self._arrays().items():
                    array[at] = block[name][position : position + stop - start]
                position += stop - start
        self._stop[:] = slots.stop
        restore_generator(self._generator, state["generator"])

    def _check_kinds(self, block: dict[str, np.ndarray]) -> None:
        """Raises ValueError where saved slots are others than these, and would be broadcast or cast."""
        for name, array in self._arrays().items():
            own, saved = (array.dtype, array.shape[1:]), (block[name].dtype, block[name].shape[1:])
            if own != saved:
                raise ValueError(f"{name} of {saved[0]} {saved[1]} instead of {own[0]} {own[1]}")

    def _allocate(self) -> None:
        require_memory(
            self.memory_bytes, "the replay buffer", f"lower {type(self).__name__}.replay_capacity"
        )
        size = self._length * self._num_envs  # time-major: [time, environment] flattened
        self._frames = np.empty((size, *self._frame_shape), self._dtype)
        self._actions = np.zeros(size, np.int32)
        self._rewards = np.zeros(size, np.float32)
        self._kinds = np.zeros(size, np.uint8)
        if self._mask_size is not None:
            self._masks = np.zeros((size, self._mask_size), bool)

    def _arrays(self) -> dict[str, np.ndarray]:
        assert self._frames is not None
        arrays = {
            "frames": self._frames,
            "actions": self._actions,
            "rewards": self._rewards,
            "kinds": self._kinds,
        }
        return arrays if self._masks is None else arrays | {"masks": self._masks}

    def _newest(self, observations: np.ndarray) -> np.ndarray:
        return observations[:, -1] if self._stack > 1 else observations

    def _add_final_frames(self, ended: np.ndarray, transitions: Transitions) -> None:
        assert self._frames is not None
        at = self._at(ended, self._stop[ended])
        self._frames[at] = self._newest(transitions.next_observations[ended])
        if self._masks is not None:
            assert transitions.next_action_masks is not None
            self._masks[at] = transitions.next_action_masks[ended]
        self._kinds[at] = FINAL_FRAME
        self._stop[ended] += 1

    def _first(self) -> np.ndarray:
        return np.maximum(self._stop - self._length, 0)

    def _at(self, columns: np.ndarray | int, slots: np.ndarray) -> np.ndarray:
        """Where slots of columns lie in the flat arrays."""
        return (slots % self._length) * self._num_envs + columns

    def _draw(
        self, num_batches: int, batch_size: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Columns, slots, lengths L and ages of K x B whole transitions (see `_examine`)."""
        first = self._first()
        ends = np.cumsum(self._stop - first)
        columns, slots = self._draw_slots(num_batches, batch_size, first, ends)
        for _ in range(_MAX_REDRAWS):
            whole, lengths, ages = self._examine(columns, slots, first)
            if whole.all():
                return columns, slots, lengths, ages
            again = np.flatnonzero(~whole)
            columns[again], slots[again] = self._draw_slots(again.size, 1, first, ends)
        # Of few whole transitions among many frames, as with a long horizon, draws hit none.
        every = self._whole(first)
        chosen = self._generator.integers(len(every), size=again.size)
        columns[again], slots[again] = every[chosen].T
        return columns, slots, *self._examine(columns, slots, first)[1:]

    def _whole(self, first: np.ndarray) -> np.ndarray:
        """Columns and slots [M, 2] of all that can be drawn."""
        found = []
        for column in self._columns:
            slots = np.arange(first[column], self._stop[column])
            for part in np.array_split(slots, -(-slots.size // _BLOCK_SLOTS)):
                columns = np.full(part.size, column)
                whole, _, _ = self._examine(columns, part, first)
                found.append(np.stack([columns, part], axis=1)[whole])
        every = np.concatenate(found)
        if not len(every):
            raise RuntimeError(f"No whole transition among the {len(self)} frames of the replay.")
        return every

    def _draw_slots(
        self, num_batches: int, batch_size: int, first: np.ndarray, ends: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Columns and slots of K x B draws among the slots held, whether drawable or not."""
        drawn = self._generator.integers(ends[-1], size=num_batches * batch_size)
        if self._num_envs == 1:
            return np.zeros(drawn.size, np.int64), drawn + first[0]
        columns = np.searchsorted(ends, drawn, side="right")
        return columns, first[columns] + drawn - (ends - (self._stop - first))[columns]

    def _examine(
        self, columns: np.ndarray, slots: np.ndarray, first: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which slots begin a whole transition; its length L; the frames before it in its episode.

        L is n, or less where the episode ends within n steps; the age is counted up to the stack.
        """
        window = slots[:, None] + self._offsets  # [M, stack - 1 + n + 1]
        kinds = self._kinds[self._at(columns[:, None], window)]
        here = self._stack - 1
        stored = window[:, here:] < self._stop[columns, None]
        ended = ((kinds[:, here:-1] & _ENDED) != 0) & stored[:, :-1]  # [M, n]
        lengths = np.where(ended.any(1), ended.argmax(1) + 1, self._horizon)
        whole = (kinds[:, here] != FINAL_FRAME) & stored[np.arange(slots.size), lengths]
        if self._stack == 1:
            return whole, lengths, np.zeros(slots.size, np.int64)
        before = window[:, :here][:, ::-1]  # the previous slot first
        outside = (kinds[:, :here][:, ::-1] == FINAL_FRAME) | (before < 0)
        ages = np.where(outside.any(1), outside.argmax(1), here)
        # A stack whose older frames have been overwritten: its episode's start is not known.
        whole &= slots - ages - (ages < here) >= np.where(first > 0, first, -1)[columns]
        return whole, lengths, ages

    def _gather(
        self, columns: np.ndarray, slots: np.ndarray, lengths: np.ndarray, ages: np.ndarray
    ) -> np.ndarray:
        """The frames [M * F, ...] of s and s', zeros before an episode's first."""
        assert self._frames is not None
        offsets = np.broadcast_to(self._state_offsets, (slots.size, self._state_offsets.size))
        if self._horizon > 1:
            offsets = offsets + lengths[:, None] * self._moves_with_length
        at = self._at(columns[:, None], slots[:, None] + offsets)
        frames = self._frames.take(at.ravel(), axis=0)
        if self._stack > 1:
            absent = (offsets < -ages[:, None]).ravel()
            if absent.any():
                frames[absent] = 0
        return frames

    def _blocks(self, after: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        frame = self.memory_bytes // (self._length * self._num_envs)
        most = max(1, _BLOCK_BYTES // (frame * self._num_envs))
        start = np.maximum(after, self._first())
        while (start < self._stop).any():
            stop = np.minimum(start + most, self._stop)
            at = np.concatenate(
                [
                    self._at(column, np.arange(start[column], stop[column]))
                    for column in range(self._num_envs)
                ]
            )
            block = {name: array[at] for name, array in self._arrays().items()}
            yield block | {"start": start, "stop": stop}
            start = stop


def _in_single_precision(rewards: np.ndarray) -> np.ndarray:
    """Raises UserError where a reward is too large to be stored."""
    if np.abs(rewards).max() > _GREATEST:
        raise UserError(
            f"A reward of {rewards[np.abs(rewards).argmax()]:g} is beyond {_GREATEST:.3g}, the "
            "greatest number in single precision: scale the rewards, or set Runner.clip_rewards."
        )
    return rewards
