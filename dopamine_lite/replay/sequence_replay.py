"""Replay of sequences, for agents with a recurrent state."""

from __future__ import annotations

import numpy as np

from dopamine_lite.common.checks import check_flag, check_fraction, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.replay.replay import ReplaySpec
from dopamine_lite.replay.ring import Ring
from dopamine_lite.replay.ring_replay import RingReplay
from dopamine_lite.replay.selectors import Proportional, Selector, Uniform
from dopamine_lite.replay.sequences import Sequences, SequenceSample


class SequenceReplay(RingReplay[SequenceSample]):
    """The last frames of N environments, sampled as overlapping sequences of steps.

    The sequences are the same as in R2D2 (Kapturowski et al. 2019, section 2.3). If `spec.state_shape`
    is set, each sample has the recurrent state in which the actor took the first step of each sequence.
    The actor's decisions must then have a field `state`.

    Args:
      spec: the agent's specification of frames, environments and actions.
      generator: draws the samples; its state is part of this buffer's.
      sequence_length: steps in a sequence.
      overlap: steps that a sequence shares with the next one, fewer than `sequence_length`.
      prioritized: draw sequences in proportion to their priorities; False: uniformly.
      alpha: how much priorities count; 0: not at all.
      beta: exponent of the importance weights, which are divided by their maximum in the batch.
      replay_capacity: frames held over all environments.
      compress: keep frames compressed in memory. Samples are the same, and take a little longer.
    """

    def __init__(
        self,
        spec: ReplaySpec,
        generator: np.random.Generator,
        *,
        sequence_length: int = 80,
        overlap: int = 40,
        prioritized: bool = False,
        alpha: float = 0.9,
        beta: float = 0.6,
        replay_capacity: int = 1_000_000,
        compress: bool = False,
    ):
        name = type(self).__name__
        check_whole(name, sequence_length=sequence_length, replay_capacity=replay_capacity)
        check_whole(name, least=0, most=sequence_length - 1, overlap=overlap)
        check_fraction(name, alpha=alpha, beta=beta)
        check_flag(name, compress=compress)
        ring = Ring(spec, replay_capacity, name, keeps_ages=True, compress=compress)
        if ring.length <= sequence_length + spec.stack_size:
            raise UserError(
                f"{name}.replay_capacity is {replay_capacity!r}, which leaves each of {spec.num_envs} "
                f"environments {ring.length} frames, too few for sequences of {sequence_length} steps: "
                f"give {(sequence_length + spec.stack_size) * spec.num_envs + 1:,} or more."
            )
        view = Sequences(ring, sequence_length, overlap)
        selector: Selector = Uniform(ring, generator)
        if prioritized:
            selector = Proportional(
                ring, generator, view, alpha=alpha, beta=beta, beta_period=None, uniform=0.0
            )
        super().__init__(ring, selector, view, generator)
