"""Replay buffers; whoever imports one makes all of them known to gin."""

from dopamine_lite.common.replay.circular_replay import CircularReplay, ReplayBatch
from dopamine_lite.common.replay.prioritized_replay import PrioritizedReplay

__all__ = ["CircularReplay", "PrioritizedReplay", "ReplayBatch"]
