"""The schedule on which an agent with a replay takes gradient steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dopamine_lite.common.checks import check_whole
from dopamine_lite.common.memory import require_memory
from dopamine_lite.replay.replay import SampleSpec

_BESIDE_FRAMES = 128  # bytes: a transition's numbers, its slots and the window that finds them


class UpdateSchedule(NamedTuple):
    """`updates_per_period` gradient steps are taken every `update_period` agent steps.

    Agent steps are counted over all environments. During the first `min_replay_history` agent steps, no
    gradient step is taken.
    """

    num_envs: int
    min_replay_history: int
    update_period: int
    updates_per_period: int

    @classmethod
    def checked(
        cls,
        owner: str,
        num_envs: int,
        update_horizon: int,
        min_replay_history: int,
        update_period: int,
        updates_per_period: int,
    ) -> UpdateSchedule:
        """The schedule of the agent that is called `owner`; raises UserError if it is impossible."""
        check_whole(
            owner,
            update_horizon=update_horizon,
            update_period=update_period,
            updates_per_period=updates_per_period,
        )
        # No step can be drawn before its n-step successor is stored.
        least = update_horizon * num_envs
        check_whole(owner, least=least, min_replay_history=min_replay_history)
        return cls(num_envs, min_replay_history, update_period, updates_per_period)

    def require_memory(self, owner: str, sample: SampleSpec, network_bytes: int) -> None:
        """Raises UserError if there is not enough memory for what one update samples and computes.

        Args:
          owner: the agent's name, for the message.
          sample: what the replay tells about its samples.
          network_bytes: the bytes that a batch takes in the networks.
        """
        transitions = max(self.numbers) * sample.batch_size
        of_frames = int(np.prod(sample.frames_shape)) * sample.frame_dtype.itemsize
        require_memory(
            transitions * (of_frames + _BESIDE_FRAMES) + network_bytes,
            f"An update of {owner}",
            f"lower {owner}.batch_size or {owner}.updates_per_period",
        )

    def due(self, before: int, after: int) -> int:
        """How many gradient steps become due between the agent steps `before` and `after`."""
        if after <= self.min_replay_history:
            return 0
        periods = after // self.update_period - before // self.update_period
        return periods * self.updates_per_period

    def block_length(self, steps: int, *periods: int) -> int:
        """Steps of each environment from agent step `steps` to the end of one of the periods."""
        left = min(period - steps % period for period in (self.update_period, *periods))
        return -(-left // self.num_envs)

    @property
    def first_update(self) -> int:
        """The number of agent steps after which the first gradient step is taken."""
        # The last step in which the agent may not learn.
        before = self.min_replay_history // self.num_envs * self.num_envs
        due = (before // self.update_period + 1) * self.update_period
        return -(-due // self.num_envs) * self.num_envs

    @property
    def numbers(self) -> set[int]:
        """The numbers of gradient steps, apart from 0, that one step of all environments can make due.

        There are at most two, because the number of periods that end in a step differs by one at most.
        """
        fewest, rest = divmod(self.num_envs, self.update_period)
        periods = {fewest, fewest + bool(rest)} - {0}
        return {number * self.updates_per_period for number in periods}
