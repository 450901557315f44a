"""Prioritized replay (Schaul et al. 2016): the proportional variant on a ring of frames."""

from __future__ import annotations

import gin
import numpy as np

from dopamine_lite.common.checks import check_fraction, check_whole
from dopamine_lite.replay.n_step import NStepTransitions
from dopamine_lite.replay.replay import ReplaySpec, Sample
from dopamine_lite.replay.ring_replay import RingReplay, checked_ring
from dopamine_lite.replay.selectors import Proportional


@gin.configurable
class PrioritizedReplay(RingReplay[Sample]):
    """Draws transition i with P(i) = (1 - u) p_i^alpha / sum_k p_k^alpha + u / size (eq. 1).

    Once a transition can be drawn, it enters with the greatest priority so far; `feedback` gives it a
    priority of its own. A transition cannot be drawn while its n-step successor is not stored yet,
    or once a frame of its stack is no longer stored. It then has no priority, so that every draw finds
    something. Within a batch of B, each draw comes from a B-th of the total (stratified, appendix
    B.2.1). All K batches of one `sample` are drawn by the priorities before the first of them.

    Args:
      spec: what the agent says of frames, environments and transitions.
      generator: draws the samples; its state is part of this buffer's.
      alpha: how much priorities count; 0: not at all.
      beta: exponent of the importance weights (1 / P(i))^beta, which are divided by their maximum in the
        batch.
      beta_period: agent steps in which beta rises linearly to 1; None: beta stays.
      uniform_sample_probability: u, the chance of a uniform draw.
      replay_capacity: frames held over all environments.
      compress: keep frames compressed in memory. Samples are the same, and take a little longer.
    """

    def __init__(
        self,
        spec: ReplaySpec,
        generator: np.random.Generator,
        *,
        alpha: float = 0.5,
        beta: float = 0.4,
        beta_period: int | None = None,
        uniform_sample_probability: float = 0.0,
        replay_capacity: int = 1_000_000,
        compress: bool = False,
    ):
        name = type(self).__name__
        check_whole(name, replay_capacity=replay_capacity)
        ring = checked_ring(spec, replay_capacity, name, compress)
        check_whole(name, optional=True, beta_period=beta_period)
        check_fraction(
            name,
            alpha=alpha,
            beta=beta,
            uniform_sample_probability=uniform_sample_probability,
        )
        view = NStepTransitions(ring)
        selector = Proportional(
            ring,
            generator,
            view,
            alpha=alpha,
            beta=beta,
            beta_period=beta_period,
            uniform=uniform_sample_probability,
        )
        super().__init__(ring, selector, view, generator)
