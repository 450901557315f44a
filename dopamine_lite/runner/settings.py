"""A run's settings: how long it trains, how it is evaluated, how often it is saved."""

from __future__ import annotations

from dataclasses import dataclass

from dopamine_lite.common.checks import check_flag, check_whole
from dopamine_lite.common.errors import UserError

_SCHEDULES = ("continuous_train_and_eval", "continuous_train")
_ACTOR_BACKENDS = ("processes", "threads", "ray")
_MOST_ENVIRONMENTS = 65_536  # more would take minutes to make, and too much memory


@dataclass(frozen=True)
class RunSettings:
    """The settings of a `Runner`. Its docstring describes them.

    Raises:
      UserError: the settings do not describe a possible run.
    """

    seed: int
    num_iterations: int
    training_steps: int
    evaluation_steps: int | None
    evaluation_episodes: int | None
    max_steps_per_episode: int | None
    clip_rewards: bool
    num_envs: int
    checkpoint_every_steps: int | None
    log_every_steps: int
    schedule: str
    from_run: str | None
    actors: int | None
    actor_backend: str
    group_size: int
    policy_lag: int

    def __post_init__(self) -> None:
        check_whole("Runner", least=0, seed=self.seed)
        check_whole(
            "Runner",
            num_iterations=self.num_iterations,
            training_steps=self.training_steps,
            num_envs=self.num_envs,
            checkpoint_every_steps=self.segment_length,
            log_every_steps=self.log_every_steps,
        )
        check_whole("Runner", most=_MOST_ENVIRONMENTS, num_envs=self.num_envs)
        check_whole(
            "Runner",
            optional=True,
            evaluation_steps=self.evaluation_steps,
            evaluation_episodes=self.evaluation_episodes,
            max_steps_per_episode=self.max_steps_per_episode,
        )
        check_flag("Runner", clip_rewards=self.clip_rewards)
        self._check_actors()
        if self.schedule not in _SCHEDULES:
            raise UserError(
                f"Runner.schedule is {self.schedule!r}: choose one of {', '.join(_SCHEDULES)}."
            )
        if self.evaluates and (self.evaluation_steps is None) == (self.evaluation_episodes is None):
            both = self.evaluation_steps is not None
            raise UserError(
                f"{'Both' if both else 'Neither'} of Runner.evaluation_steps and "
                f"Runner.evaluation_episodes {'are' if both else 'is'} set: set exactly one of "
                'them, or Runner.schedule = "continuous_train".'
            )

    def _check_actors(self) -> None:
        check_whole("Runner", optional=True, actors=self.actors)
        check_whole("Runner", group_size=self.group_size)
        check_whole("Runner", least=0, most=1, policy_lag=self.policy_lag)
        if self.actor_backend not in _ACTOR_BACKENDS:
            raise UserError(
                f"Runner.actor_backend is {self.actor_backend!r}: choose one of "
                f"{', '.join(_ACTOR_BACKENDS)}."
            )
        if self.policy_lag and self.actors is None:
            raise UserError(
                f"Runner.policy_lag is {self.policy_lag}, but Runner.actors is None: without "
                "actors, an agent always acts with its newest parameters. Bind Runner.actors too."
            )

    @property
    def actor_processes(self) -> int:
        """The number of actors' processes on this machine, in addition to the run's own."""
        if self.actors is None or self.actor_backend != "processes":
            return 0
        return min(self.actors, -(-self.num_envs // self.group_size))

    @property
    def evaluates(self) -> bool:
        """Whether an evaluation phase follows each training phase."""
        return self.schedule == "continuous_train_and_eval"

    @property
    def segment_length(self) -> int:
        """Agent steps of each environment in a segment, unless it is the last of its phase."""
        if self.checkpoint_every_steps is None:
            return self.training_steps
        return self.checkpoint_every_steps

    @property
    def phase_steps(self) -> int:
        """Agent steps of a training phase, rounded up so that all environments take equal shares."""
        return -(-self.training_steps // self.num_envs) * self.num_envs

    @property
    def planned_steps(self) -> int:
        """Agent steps of the whole run."""
        return self.num_iterations * self.phase_steps

    def segment_steps(self, done: int) -> int:
        """Agent steps of the next segment after `done` steps of a phase; 0 if the phase is over.

        There is no short segment at the end of a phase: its steps belong to the previous segment.
        """
        left = self.phase_steps - done
        whole = self.segment_length * self.num_envs
        return whole if left >= 2 * whole else max(left, 0)
