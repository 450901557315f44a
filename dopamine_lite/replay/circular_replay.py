"""Circular replay: the last frames of N environments, sampled uniformly."""

from __future__ import annotations

import gin
import numpy as np

from dopamine_lite.common.checks import check_whole
from dopamine_lite.replay.n_step import NStepTransitions
from dopamine_lite.replay.replay import ReplaySpec, Sample
from dopamine_lite.replay.ring_replay import RingReplay, checked_ring
from dopamine_lite.replay.selectors import Uniform


@gin.configurable
class CircularReplay(RingReplay[Sample]):
    """The last `replay_capacity` frames of N environments, sampled uniformly over whole transitions.

    Args:
      spec: the agent's specification of frames, environments and transitions.
      generator: draws the samples; its state is part of this buffer's.
      replay_capacity: the number of frames that the replay holds, over all environments.
      compress: keep frames compressed in memory. Samples are the same, and take a little longer.
    """

    def __init__(
        self,
        spec: ReplaySpec,
        generator: np.random.Generator,
        replay_capacity: int = 1_000_000,
        compress: bool = False,
    ):
        name = type(self).__name__
        check_whole(name, replay_capacity=replay_capacity)
        ring = checked_ring(spec, replay_capacity, name, compress)
        super().__init__(ring, Uniform(ring, generator), NStepTransitions(ring), generator)
