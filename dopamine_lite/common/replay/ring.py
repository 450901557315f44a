"""What a ring buffer shows to a checkpoint: numbered slots, so that only new ones are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RingSlots:
    """The slots `first..stop` of every column of a ring, to be read in blocks.

    Slots are numbered from 0 for the life of a run and never change once written; `first` rises as
    the ring overwrites its oldest. Used as a leaf of a state tree, both for a live ring that is to be
    saved and for saved segments that are to be put back.

    Attributes:
      first: [columns] int64, oldest slot still held.
      stop: [columns] int64, one past the newest.
      blocks: called with `after` [columns] int64, yields the slots from `max(after, first)` to `stop`
        in order, in blocks of bounded size. Each is a dict of arrays: "start" and "stop" [columns]
        int64 and, under every other name, the slots of column 0, then of column 1 ..., concatenated.
    """

    first: np.ndarray
    stop: np.ndarray
    blocks: Callable[[np.ndarray], Iterator[dict[str, np.ndarray]]]
