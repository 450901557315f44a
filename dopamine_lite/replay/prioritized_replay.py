"""Prioritized replay (Schaul et al. 2016): the proportional variant on a ring of frames."""

from __future__ import annotations

from typing import Any

import gin
import numpy as np

from dopamine_lite.common.checks import check_fraction, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.replay.n_step import NStepTransitions
from dopamine_lite.replay.replay import ReplaySpec, Sample
from dopamine_lite.replay.ring_replay import RingReplay, checked_ring
from dopamine_lite.replay.selectors import Proportional


@gin.configurable
class PrioritizedReplay(RingReplay[Sample]):
    """Draws transition i with P(i) = (1 - u) p_i^alpha / sum_k p_k^alpha + u / size (eq. 1).

    The equation is from Schaul et al. (2016). A transition enters with its `initial_priority`, and gets
    another priority when it has been learned from. It cannot be drawn while its n-step successor is not
    stored yet, or once a frame of its stack is no longer stored. Within a batch of B, each draw comes
    from a B-th of the total (stratified, appendix B.2.1). All batches that are drawn together use the
    priorities from before the first batch.

    Args:
      spec: the agent's specification of frames, environments and transitions.
      generator: draws the samples; its state is part of this buffer's.
      alpha: how much priorities count; 0: not at all.
      beta: the exponent of the importance weights (1 / P(i))^beta, which are divided by their maximum in
        the batch.
      beta_period: the agent steps in which beta rises linearly to 1; None: beta is constant.
      uniform_sample_probability: u, the probability of a uniform draw.
      initial_priority: the priority with which a transition enters. "greatest": the greatest priority so
        far. "td_error": its TD error |R + d max_a Q(s', a) - Q(s, a)| by the values that the actor acted
        by, as in Ape-X (Horgan et al. 2018, algorithm 1). The actor then computes action values in every
        step, and the agent's own priorities must be TD errors too, as in DQN, QR-DQN and IQN. If an
        episode was truncated in s', nobody acted there, and the transition enters with the greatest
        priority.
      replay_capacity: the number of frames that the replay holds, over all environments.
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
        initial_priority: str = "greatest",
        replay_capacity: int = 1_000_000,
        compress: bool = False,
    ):
        name = type(self).__name__
        check_whole(name, replay_capacity=replay_capacity)
        self.needs_values = self._needs_values(initial_priority, spec)
        ring = checked_ring(spec, replay_capacity, name, compress, keeps_values=self.needs_values)
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
            first_priorities=view.td_errors if self.needs_values else None,
        )
        super().__init__(ring, selector, view, generator)

    def _needs_values(self, initial_priority: str, spec: ReplaySpec) -> bool:
        """Whether the actor has to record the values on which it acted."""
        name = type(self).__name__
        if initial_priority not in ("greatest", "td_error"):
            raise UserError(
                f'{name}.initial_priority is {initial_priority!r}: choose "greatest" or "td_error".'
            )
        wanted = initial_priority == "td_error"
        if wanted and not spec.tells_values:
            raise UserError(
                f'{name}.initial_priority is "td_error", which needs an agent whose priorities are TD '
                'errors of action values, such as DQNAgent: set it to "greatest" for this agent.'
            )
        return wanted

    def describe(self) -> dict[str, Any]:
        initial = {"initial_priority": "td_error"} if self.needs_values else {}
        return super().describe() | initial
