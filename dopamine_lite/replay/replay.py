"""The contract of replay, one of an agent's three organs. It remembers steps and draws samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from dopamine_lite.common.types import State
from dopamine_lite.replay.block import Block


@dataclass(frozen=True)
class ReplaySpec:
    """An agent's specification for its replay."""

    frame_shape: tuple[int, ...]  # of one frame, without the axis of a stack
    frame_dtype: np.dtype
    num_envs: int  # N, the number of environments
    stack_size: int = 1  # frames in an observation, on its first axis; 1: there is no such axis
    action_shape: tuple[int, ...] = ()
    action_dtype: np.dtype = field(default_factory=lambda: np.dtype(np.int32))
    update_horizon: int = 1  # n of the n-step return, which is shorter if the episode ends sooner
    gamma: float = 0.99  # discount per agent step
    mask_size: int | None = None  # A, the number of actions, if legal actions are to be stored
    # Whether the agent's priorities are absolute TD errors, and its actor can record the first values.
    tells_values: bool = False
    # The shape of an actor's recurrent state, if it has to be stored.
    state_shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class SampleSpec:
    """The content of every sample of a replay."""

    batch_size: int  # B, transitions in a batch
    frames_shape: tuple[int, ...]  # [F, ...] the frames of one transition
    frame_dtype: np.dtype
    stack_size: int
    weighted: bool  # whether there are importance weights; the replay then needs priorities
    mask_size: int | None


class Sample(NamedTuple):
    """K batches of B transitions (s, a, R, d, s').

    R is the n-step return and d the bootstrap factor. L is the number of steps from s to s': n, or fewer
    if the episode ends sooner.
    """

    # [K, B, F, ...] single frames: the first `stack_size` are s, and the last `stack_size` are s'.
    frames: np.ndarray
    actions: np.ndarray  # [K, B, ...]
    returns: np.ndarray  # [K, B] float32: sum over k < L of gamma^k r_k
    discounts: np.ndarray  # [K, B] float32: gamma^L, zero where the episode terminated
    environments: np.ndarray  # [K, B] int64: the environment of each transition
    slots: np.ndarray  # [K, B] int64: the number of its slot in that environment
    weights: np.ndarray | None = None  # [K, B] float32 importance weights, of a prioritized replay
    masks: np.ndarray | None = None  # [K, B, 2, A] bool: the legal actions of s and s', if stored


class Replay(Protocol):
    """Remembers the actor's steps. Built as `replay(spec, generator)`.

    `spec` is a `ReplaySpec`. The replay draws its samples with the NumPy generator, and its state
    includes the generator's.
    """

    @property
    def memory_bytes(self) -> int:
        """The bytes that the full replay takes."""

    def sample_spec(self, batch_size: int) -> SampleSpec:
        """The content of samples with batches of this size."""

    def __len__(self) -> int:
        """The number of frames held now."""

    def add(self, block: Block) -> None:
        """Stores the steps of a block."""

    def sample(self, num_batches: int, batch_size: int) -> Sample:
        """Draws K batches of B transitions."""

    def feedback(self, sample: Sample, priorities: np.ndarray) -> None:
        """Takes the learner's priorities [K, B] of the transitions in the last sample."""

    def metrics(self) -> dict[str, float]:
        """Numbers for the log."""

    def describe(self) -> dict[str, Any]:
        """The name of the replay and its active parts."""

    def get_state(self) -> State:
        """Everything that determines the next sample."""

    def set_state(self, state: State) -> None:
        """Puts this replay into `state`, which `get_state` returned.

        If a checkpoint is read only for the policy, the large parts of the state are None. There is
        nothing to restore then.
        """
