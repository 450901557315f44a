"""Warnings about settings that are allowed but seldom intended."""

from __future__ import annotations

import signal
from collections import Counter

import gymnasium

from dopamine_lite import configuration
from dopamine_lite.environments.checked import limit_not_held
from dopamine_lite.runner.settings import RunSettings
from dopamine_lite.runner.stage import Stage

# A segment is short if each environment takes fewer steps than this many longest episodes.
_SHORT = 1.5


def cautions(settings: RunSettings, stage: Stage, config: str, intra_op: int) -> list[str]:
    """The sentences for a run that is about to train.

    Args:
      settings: the run's settings.
      stage: its agent and environments.
      config: the configuration in force.
      intra_op: the threads with which TensorFlow started in this process.
    """
    found = (
        limit_not_held(stage.spec, stage.limit),  # for a run of an earlier version
        _limit_raised(stage),
        _settings_dropped(),
        _other_threads(config, intra_op),
        _nothing_learned(settings, stage),
        _short_segments(settings, stage),
        _idle_actors(settings),
        _actors_not_wanted(settings),
    )
    return [sentence for sentence in found if sentence]


def _limit_raised(stage: Stage) -> str | None:
    registration = gymnasium.registry.get(stage.spec.id.rpartition(":")[2])
    registered = registration and registration.max_episode_steps
    if not stage.limit or not registered or stage.limit <= registered:
        return None
    return (
        f"Runner.max_steps_per_episode raises the limit of {stage.spec.id} from {registered:,} to "
        f"{stage.limit:,} steps: published results are for the limit that the environment is registered "
        "with. Bind None to keep it."
    )


def _settings_dropped() -> str | None:
    dropped = configuration.sources().dropped
    if not dropped:
        return None
    parts = Counter(name.rpartition(".")[0] or name for name in dropped)
    named = ", ".join(f"{part} ({count})" for part, count in sorted(parts.items()))
    return (
        f"Settings of parts that were replaced are not in force: {named}. The parts that took "
        "their place have their defaults, except where you bind settings of theirs. To keep the "
        "settings of a part, refer to it, as in MyAgent.optimizer = @Adam. config.gin shows all "
        "values."
    )


def _other_threads(config: str, present: int) -> str | None:
    asked = configuration.statements(config).get("tensorflow_threads.intra_op", "None")
    if asked in ("None", str(present)):
        return None
    return (
        f"tensorflow_threads.intra_op is {asked}, but TensorFlow started with {present} in this "
        f"process and cannot change that: to get the results of {asked}, start another process, or "
        "bind the same number in all experiments of this process."
    )


def _nothing_learned(settings: RunSettings, stage: Stage) -> str | None:
    steps = settings.planned_steps
    first = getattr(stage.agent, "first_update", None)
    if first is None or steps >= first:
        return None
    return (
        f"Nothing will be learned: the run has {steps:,} agent steps, and the first update comes at "
        f"step {first:,}."
    )


def _short_segments(settings: RunSettings, stage: Stage) -> str | None:
    limit = stage.spec.max_steps_per_episode
    training = -(-settings.training_steps // settings.num_envs)
    steps = min(training, settings.segment_length)  # for each environment in a segment
    if limit is None or steps >= _SHORT * limit:
        return None
    whole = steps == training
    remedy = f"Raise Runner.{'training_steps' if whole else 'checkpoint_every_steps'}"
    if whole and settings.num_envs > 1:
        remedy += " or lower Runner.num_envs"
    return (
        f"Training is cut into segments in which each environment takes {steps:,} steps, and an episode "
        f"may last {limit:,}: episodes in flight at a segment's end, more often long ones, are cut and "
        f"do not count in training returns. {remedy} to cut fewer."
    )


def _idle_actors(settings: RunSettings) -> str | None:
    groups = -(-settings.num_envs // settings.group_size)
    if settings.actors is None or settings.actors <= groups:
        return None
    several = "s" if settings.num_envs > 1 else ""
    return (
        f"Runner.actors is {settings.actors}, but {settings.num_envs} environment{several} in groups of "
        f"{settings.group_size} can only keep {groups} busy, so no more are started: raise "
        "Runner.num_envs or lower Runner.group_size to use more."
    )


def _actors_not_wanted(settings: RunSettings) -> str | None:
    """Settings of actors, although there are none."""
    given = [
        f"Runner.{name} = {getattr(settings, name)!r}"
        for name, default in {"actor_backend": "processes", "group_size": 8}.items()
        if getattr(settings, name) != default
    ]
    if settings.actors is not None or not given:
        return None
    return (
        f"Runner.actors is None, so {' and '.join(given)} changes nothing: bind a number of "
        "actors, which then step the environments separately from the learner."
    )


def nothing_gained(has_saved: bool, signal_number: int) -> str:
    """A hint for jobs that are all ended before they save anything; no hint after Ctrl-C."""
    if has_saved or signal_number != signal.SIGTERM:
        return ""
    return (
        " This start has saved nothing: if every start ends as early, the run never gets ahead. "
        "A new run with a lower Runner.checkpoint_every_steps saves more often."
    )
