"""A time-major ring of single frames, the store of every replay in this package.

Every environment has its own slots, numbered from 0 for the life of a run. A slot holds the newest frame
of one observation, and the action, reward and ending of the step taken from it. An episode's last frame,
from which no action was taken, also gets a slot.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import require_memory
from dopamine_lite.common.types import RingSlots
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.compressed_frames import CompressedFrames, expected_bytes
from dopamine_lite.replay.replay import ReplaySpec
from dopamine_lite.replay.view import Drawn

# The result of a slot's step, in `kinds`; no bit set: a step inside an episode.
TERMINATED, TRUNCATED, FINAL_FRAME = 1, 2, 4
ENDED = TERMINATED | TRUNCATED
_BLOCK_BYTES = 64 << 20
_GREATEST = float(np.finfo(np.float32).max)  # the greatest reward that can be stored


class Ring:
    """The last frames of N environments.

    Nothing is allocated before the first step is added.

    Args:
      spec: the specification of the stored steps.
      capacity: the number of frames held, over all environments.
      owner: the replay's name, for messages.
      keeps_ages: whether `ages` has, for each step, the number of steps before it in its episode.
      keeps_values: whether `values` has, for each step, the actor's Q(s, a) and max_a Q(s, a).
      compress: keep the frames compressed in memory; the frames read are the same.
    """

    def __init__(
        self,
        spec: ReplaySpec,
        capacity: int,
        owner: str,
        keeps_ages: bool = False,
        keeps_values: bool = False,
        compress: bool = False,
    ):
        self.spec = spec
        self.length = -(-capacity // spec.num_envs)  # slots of each environment
        self.stop = np.zeros(spec.num_envs, np.int64)  # slots ever written, by environment
        self._environments = np.arange(spec.num_envs)
        self._owner = owner
        self.compress = compress
        self._arrays: dict[str, Any] = {}  # NumPy arrays or, for frames, their stand-in
        kinds: dict[str, tuple[tuple[int, ...], np.dtype]] = {
            "frames": (spec.frame_shape, np.dtype(spec.frame_dtype)),
            "actions": (spec.action_shape, np.dtype(spec.action_dtype)),
            "rewards": ((), np.dtype(np.float32)),
            "kinds": ((), np.dtype(np.uint8)),
        }
        if spec.mask_size is not None:
            kinds["masks"] = ((spec.mask_size,), np.dtype(bool))
        if spec.state_shape is not None:
            kinds["states"] = (spec.state_shape, np.dtype(np.float32))
        if keeps_ages:
            kinds["ages"] = ((), np.dtype(np.int32))
        if keeps_values:
            kinds["values"] = ((2,), np.dtype(np.float32))
        self._age = np.zeros(spec.num_envs, np.int32)  # of the next step, by environment
        self._kinds = kinds
        self._slot_bytes = sum(
            int(np.prod(shape)) * dtype.itemsize for shape, dtype in kinds.values()
        )

    @property
    def capacity(self) -> int:
        """The number of slots of all environments."""
        return self.length * self.spec.num_envs

    @property
    def memory_bytes(self) -> int:
        """The size of the full ring; with `compress`, the expected size."""
        plain = self.capacity * self._slot_bytes
        if not self.compress:
            return plain
        shape, dtype = self._kinds["frames"]
        plain -= self.capacity * int(np.prod(shape)) * dtype.itemsize
        return plain + expected_bytes(self.length, self.spec.num_envs, shape, dtype)

    @property
    def memory_remedy(self) -> str:
        """Advice to the user if there is not enough memory for the full ring."""
        lower = f"lower {self._owner}.replay_capacity"
        would_shrink = not self.compress and self._kinds["frames"][1].kind != "f"
        return f"{lower}, or set {self._owner}.compress = True" if would_shrink else lower

    @property
    def first(self) -> np.ndarray:
        """[N] the oldest slot still held, by environment."""
        return np.maximum(self.stop - self.length, 0)

    def __len__(self) -> int:
        """The number of slots held now."""
        return int(np.minimum(self.stop, self.length).sum())

    def __getitem__(self, name: str) -> np.ndarray:
        """One of the flat arrays [capacity, ...], which are indexed by `at`."""
        return self._arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self._kinds

    def at(self, environments: Any, slots: np.ndarray) -> np.ndarray:
        """The indices of environments' slots in the flat arrays."""
        return (slots % self.length) * self.spec.num_envs + environments

    def add(self, block: Block) -> None:
        """Stores the steps of a block, and the last frame of each episode that ended in it."""
        self.allocate()
        for part in block.split(max(1, self.length // 2)):  # so that no slot is written twice
            self._add(part)

    def _add(self, block: Block) -> None:
        slots = self.stop + np.arange(block.num_steps)[:, None]  # [T, N]
        ended = block.ended
        any_ended = len(block.final_observations) > 0
        if any_ended:  # each end took one more slot of its environment
            slots += ended.cumsum(axis=0) - ended
        at = self.at(self._environments, slots)
        arrays = self._arrays
        stacked = self.spec.stack_size > 1  # then only the newest frame is new
        seen = block.observations[:-1]
        arrays["frames"][at] = seen[:, :, -1] if stacked else seen
        arrays["actions"][at] = block.actions
        arrays["rewards"][at] = in_single_precision(block.rewards)
        arrays["kinds"][at] = block.terminated.view(np.uint8) | block.truncated.view(np.uint8) << 1
        if block.action_masks is not None:
            arrays["masks"][at] = block.action_masks[:-1]
        if "states" in arrays:
            arrays["states"][at] = block.decisions.state
        if "values" in arrays:
            told = block.decisions
            arrays["values"][at] = np.stack([told.taken, told.values], axis=-1)
        if "ages" in arrays:
            arrays["ages"][at] = self._ages(ended)
        self.stop += block.num_steps
        if any_ended:
            self.stop += ended.sum(axis=0)
            _, environments = ended.nonzero()
            final = self.at(environments, slots[ended] + 1)
            arrays["frames"][final] = (
                block.final_observations[:, -1] if stacked else block.final_observations
            )
            arrays["kinds"][final] = FINAL_FRAME
            if block.final_action_masks is not None:
                arrays["masks"][final] = block.final_action_masks

    def _ages(self, ended: np.ndarray) -> np.ndarray:
        """[T, N] the number of earlier steps in the episode of each step of a block with these ends."""
        rows = np.arange(len(ended) + 1)[:, None]
        ends = np.vstack([np.full_like(ended[:1], False), ended])  # at the step before each row
        begun = np.maximum.accumulate(np.where(ends, rows, -1))  # where a row's episode began
        ages = np.where(begun < 0, rows + self._age, rows - begun)
        self._age = ages[-1].astype(np.int32)
        return ages[:-1]

    def allocate(self) -> None:
        """Takes the memory, unless it is taken already."""
        if self._arrays:
            return
        require_memory(self.memory_bytes, "the replay buffer", self.memory_remedy)
        for name, (shape, dtype) in self._kinds.items():
            if name == "frames" and self.compress:
                num_envs = self.spec.num_envs
                frames = CompressedFrames(self.length, num_envs, shape, dtype, self._owner)
                self._arrays[name] = frames
            else:
                make = np.empty if name == "frames" else np.zeros
                self._arrays[name] = make((self.capacity, *shape), dtype)

    def metrics(self) -> dict[str, float]:
        """Numbers for the log."""
        frames = self._arrays.get("frames")
        return {"frames_bytes": frames.nbytes} if isinstance(frames, CompressedFrames) else {}

    def frames(self, drawn: Drawn, offsets: np.ndarray) -> np.ndarray:
        """The frames [M * F, ...] at `offsets` [M, F] from slots, zeros before an episode's first."""
        at = self.at(drawn.environments[:, None], drawn.slots[:, None] + offsets)
        frames = self["frames"][at.ravel()]
        if self.spec.stack_size > 1:
            absent = (offsets < -drawn.ages[:, None]).ravel()
            if absent.any():
                frames[absent] = 0
        return frames

    def slots(self) -> RingSlots:
        """The content for a checkpoint: all slots held, to be read in blocks."""
        return RingSlots(self.first, self.stop.copy(), self._blocks)

    def restore(self, slots: RingSlots) -> None:
        """Puts back the slots that `slots` returned.

        Raises:
          ValueError: they belong to a different ring.
        """
        if slots.stop.shape != self.stop.shape:
            raise ValueError(
                f"saved with {slots.stop.size} environments, built with {self.stop.size}"
            )
        self.allocate()
        for block in slots.blocks(slots.first):
            self._check_kinds(block)
            position = 0
            ranges = zip(block["start"], block["stop"], strict=True)
            for environment, (start, stop) in enumerate(ranges):
                at = self.at(environment, np.arange(start, stop))
                for name, array in self._arrays.items():
                    array[at] = block[name][position : position + stop - start]
                position += stop - start
        self.stop[:] = slots.stop
        if "ages" in self:
            newest = self.at(self._environments, np.maximum(self.stop - 1, 0))
            goes_on = (self.stop > 0) & (self["kinds"][newest] != FINAL_FRAME)
            self._age = np.where(goes_on, self["ages"][newest] + 1, 0).astype(np.int32)

    def _check_kinds(self, block: dict[str, np.ndarray]) -> None:
        """Raises ValueError if saved slots have other shapes or dtypes, before NumPy casts them."""
        for name, (shape, dtype) in self._kinds.items():
            saved = (block[name].shape[1:], block[name].dtype)
            if (shape, dtype) != saved:
                raise ValueError(f"{name} of {saved[1]} {saved[0]} instead of {dtype} {shape}")

    def _blocks(self, after: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        most = max(1, _BLOCK_BYTES // (self._slot_bytes * self.spec.num_envs))
        start = np.maximum(after, self.first)
        while (start < self.stop).any():
            stop = np.minimum(start + most, self.stop)
            at = np.concatenate(
                [
                    self.at(environment, np.arange(start[environment], stop[environment]))
                    for environment in self._environments
                ]
            )
            block = {name: array[at] for name, array in self._arrays.items()}
            yield block | {"start": start, "stop": stop}
            start = stop


def in_single_precision(rewards: np.ndarray) -> np.ndarray:
    """Raises UserError if a reward is too large to be stored."""
    if np.abs(rewards).max() > _GREATEST:
        raise UserError(
            f"A reward of {rewards.flat[np.abs(rewards).argmax()]:g} is beyond {_GREATEST:.3g}, the "
            "greatest number in single precision: scale the rewards, or set Runner.clip_rewards."
        )
    return rewards
