"""Replay buffers; importing one registers all of them with gin."""

from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.replay.prioritized_replay import PrioritizedReplay
from dopamine_lite.replay.replay import Replay, ReplaySpec, Sample, SampleSpec

__all__ = [
    "CircularReplay",
    "PrioritizedReplay",
    "Replay",
    "ReplaySpec",
    "Sample",
    "SampleSpec",
]
