"""A replay made of a ring, a selector and a view."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np

from dopamine_lite.common.checks import check_flag
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import require_memory
from dopamine_lite.common.seeding import generator_state, restore_generator
from dopamine_lite.common.types import State
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.replay import Replay, ReplaySpec, SampleSpec
from dopamine_lite.replay.ring import Ring
from dopamine_lite.replay.selectors import Selector
from dopamine_lite.replay.view import Drawn, Sampled, View

_EXAMINED_SLOTS = 4096  # at a time
_MAX_REDRAWS = 100  # before all slots that can be drawn are listed


Sample = TypeVar("Sample", bound=Sampled)


class RingReplay(Generic[Sample]):
    """Holds the last frames of N environments, and samples items that a view makes of them.

    Args:
      ring: stores the frames.
      selector: draws slots of the ring.
      view: assembles the item that begins at a slot, such as a transition.
      generator: draws the samples; its state is part of this replay's state.
    """

    def __init__(
        self,
        ring: Ring,
        selector: Selector,
        view: View[Sample],
        generator: np.random.Generator,
    ):
        self.ring = ring
        self.selector = selector
        self._view = view
        self._generator = generator

    @property
    def memory_bytes(self) -> int:
        return self.ring.memory_bytes + self.selector.memory_bytes

    def sample_spec(self, batch_size: int) -> SampleSpec:
        spec = self.ring.spec
        return SampleSpec(
            batch_size,
            self._view.frames_shape,
            spec.frame_dtype,
            spec.stack_size,
            self.selector.weighted,
            spec.mask_size,
        )

    def __len__(self) -> int:
        return len(self.ring)

    def add(self, block: Block) -> None:
        self.ring.add(block)
        self.selector.added(block.agent_steps)

    def sample(self, num_batches: int, batch_size: int) -> Sample:
        """Draws K batches of B transitions, or of the view's other items, with replacement."""
        self.selector.prepare()
        drawn = self._draw(num_batches, batch_size)
        sample = self._view.sample(drawn, num_batches)
        weights = self.selector.weights(sample.environments, sample.slots)
        return sample if weights is None else sample._replace(weights=weights)

    def feedback(self, sample: Sample, priorities: np.ndarray) -> None:
        self.selector.feedback(sample.environments, sample.slots, priorities)

    def metrics(self) -> dict[str, float]:
        return {**self.ring.metrics(), **self.selector.metrics()}

    def describe(self) -> dict[str, Any]:
        compressed = {"compress": True} if self.ring.compress else {}
        return {"replay": type(self).__name__, **compressed, **self.selector.describe()}

    def get_state(self) -> State:
        further = self.selector.get_state()
        slots, generator = self.ring.slots(), generator_state(self._generator)
        return {"slots": slots, "generator": generator, **further}

    def set_state(self, state: State) -> None:
        if state["slots"] is None:  # a checkpoint was read only for the policy
            return
        self.ring.restore(state["slots"])
        restore_generator(self._generator, state["generator"])
        self.selector.set_state(state)

    def _draw(self, num_batches: int, batch_size: int) -> Drawn:
        """Draws K x B slots at each of which a whole transition or sequence begins."""
        environments, slots = self.selector.draw(num_batches, batch_size)
        for _ in range(_MAX_REDRAWS):
            drawn = self._view.examine(environments, slots)
            if drawn.whole.all():
                return drawn
            again = np.flatnonzero(~drawn.whole)
            environments[again], slots[again] = self.selector.draw(again.size, 1)
        # If few transitions are whole, as with a long horizon, draws hardly ever hit one.
        every = self._whole()
        chosen = self._generator.integers(len(every), size=again.size)
        environments[again], slots[again] = every[chosen].T
        return self._view.examine(environments, slots)

    def _whole(self) -> np.ndarray:
        """Environments and slots [M, 2] of all items that can be drawn."""
        found = []
        held = zip(self.ring.first, self.ring.stop, strict=True)
        for environment, (first, stop) in enumerate(held):
            slots = np.arange(first, stop)
            for part in np.array_split(slots, -(-slots.size // _EXAMINED_SLOTS)):
                environments = np.full(part.size, environment)
                whole = self._view.examine(environments, part).whole
                found.append(np.stack([environments, part], axis=1)[whole])
        every = np.concatenate(found)
        if not len(every):
            raise RuntimeError(
                f"No whole {self._view.noun} among the {len(self)} frames of the replay."
            )
        return every


def check_memory(replay: Replay, owner: str) -> None:
    """Raises UserError if a replay, once full, would not fit into memory with its agent `owner`."""
    lower = f"lower {type(replay).__name__}.replay_capacity"
    remedy = replay.ring.memory_remedy if isinstance(replay, RingReplay) else lower
    require_memory(replay.memory_bytes, owner, remedy)


def checked_ring(
    spec: ReplaySpec,
    replay_capacity: int,
    owner: str,
    compress: bool,
    keeps_values: bool = False,
) -> Ring:
    """A ring that is long enough for n-step transitions; raises UserError if it is too short.

    Args:
      spec: the agent's specification for the replay.
      replay_capacity: the number of frames held, over all environments.
      owner: the replay's name, for messages.
      compress: whether frames are kept compressed.
      keeps_values: as in `Ring`.
    """
    check_flag(owner, compress=compress)
    ring = Ring(spec, replay_capacity, owner, keeps_values=keeps_values, compress=compress)
    least = spec.update_horizon + spec.stack_size
    if ring.length <= least:
        raise UserError(
            f"{owner}.replay_capacity is {replay_capacity!r}, which leaves each of "
            f"{spec.num_envs} environments {ring.length} frames, too few for update_horizon "
            f"{spec.update_horizon} and stacks of {spec.stack_size}: give "
            f"{least * spec.num_envs + 1:,} or more."
        )
    return ring
