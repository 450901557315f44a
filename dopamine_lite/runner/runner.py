"""The Runner: wires an agent to environments, and trains, evaluates, logs and saves it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gin

from dopamine_lite import configuration
from dopamine_lite.agents.agent import Agent
from dopamine_lite.callbacks import Callback
from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration.devices import tensorflow_devices
from dopamine_lite.configuration.tensorflow_setup import import_tensorflow, tensorflow_threads
from dopamine_lite.environments.checked import limit_not_held
from dopamine_lite.environments.environment import Environment, EnvironmentSpec
from dopamine_lite.reporting.console import Console, make_console
from dopamine_lite.reporting.info_metrics import InfoMetrics
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord
from dopamine_lite.runner import directory, identity
from dopamine_lite.runner.hooks import Hooks
from dopamine_lite.runner.lockstep import block_agent
from dopamine_lite.runner.restoring import Restoring
from dopamine_lite.runner.settings import RunSettings
from dopamine_lite.runner.signals import Stopped
from dopamine_lite.runner.stage import Stage, check_factory
from dopamine_lite.runner.training import Training

import_tensorflow()  # before an agent's module does it, and with its banner

__all__ = ["Runner", "Stopped"]


@gin.configurable
class Runner:
    """Trains an agent in environments, and evaluates, logs and saves it on the way.

    Args:
      base_dir: the run's directory; only `run` and `iterations` write to it.
      agent: the agent, which is built as `agent(spec, seeds)`.
      environment: the environment, which is built as `environment(num_envs=, seed=,
        max_steps_per_episode=, render=, evaluate=)`.
      seed: the run's seed, from which all its random numbers come.
      num_iterations: the number of training phases, each followed by an evaluation phase.
      training_steps: the agent steps in a training phase, over all environments.
      evaluation_steps: the agent steps in an evaluation phase, over all environments. The episodes that
        have begun by then are played to their ends, as in Dopamine. Set either this or
        `evaluation_episodes`.
      evaluation_episodes: the whole episodes in an evaluation phase. Set either this or
        `evaluation_steps`.
      max_steps_per_episode: the agent steps after which an episode is truncated, in place of the limit
        that the environment is registered with; None: that limit.
      clip_rewards: whether the agent gets rewards clipped to [-1, 1]. Statistics are of raw rewards.
      num_envs: N, the number of environments that are stepped together.
      checkpoint_every_steps: the agent steps that each environment takes in a segment, or up to twice as
        many in the last segment of a training phase; None: a segment is a whole training phase.
      log_every_steps: the agent steps between points in TensorBoard.
      schedule: "continuous_train_and_eval", or "continuous_train" without evaluation.
      from_run: the directory of another run. The agent begins with the weights of that run's agent, and
        with nothing else from that run. With "@400" after the directory, the weights are those at agent
        step 400, otherwise those of the newest checkpoint when this run begins.
      actors: the number of actors that step the environments, in groups, apart from the learner; None:
        all environments are stepped together, by the agent itself. The number changes no result, so a
        run may be resumed with another one.
      actor_backend: "processes" for actors in processes of this machine, "threads" for threads of this
        process, or "ray" for a Ray cluster. It changes no result.
      group_size: the number of environments in a group of actors. A group has seeds of its own.
      policy_lag: the blocks of steps by which actors lag behind the learner, 0 or 1. With 1,
        environments are stepped while the agent learns.
      info_metrics: the keys of numbers in the info of an episode's last step. They are logged like its
        return.
      callbacks: the callbacks, which are called while the run goes on.
      console: where progress is shown.
    """

    def __init__(
        self,
        base_dir: str | Path,
        *,
        agent: Callable[..., Agent],
        environment: Callable[..., Environment],
        seed: int = 0,
        num_iterations: int = 200,
        training_steps: int = 250_000,
        evaluation_steps: int | None = None,
        evaluation_episodes: int | None = None,
        max_steps_per_episode: int | None = None,
        clip_rewards: bool = False,
        num_envs: int = 1,
        checkpoint_every_steps: int | None = None,
        log_every_steps: int = 1_000,
        schedule: str = "continuous_train_and_eval",
        from_run: str | None = None,
        actors: int | None = None,
        actor_backend: str = "processes",
        group_size: int = 8,
        policy_lag: int = 0,
        info_metrics: Sequence[str] = (),
        callbacks: Sequence[Callable[[], Callback]] = (),
        console: Console | None = None,
    ):
        check_factory("agent", agent)
        check_factory("environment", environment)
        self.base_dir = Path(base_dir).absolute()  # should an environment's code change it
        self.settings = settings = RunSettings(
            seed=seed,
            num_iterations=num_iterations,
            training_steps=training_steps,
            evaluation_steps=evaluation_steps,
            evaluation_episodes=evaluation_episodes,
            max_steps_per_episode=max_steps_per_episode,
            clip_rewards=clip_rewards,
            num_envs=num_envs,
            checkpoint_every_steps=checkpoint_every_steps,
            log_every_steps=log_every_steps,
            schedule=schedule,
            from_run=from_run,
            actors=actors,
            actor_backend=actor_backend,
            group_size=group_size,
            policy_lag=policy_lag,
        )
        self._console = console or make_console()
        self._said: set[str] = set()  # topics of sentences that the user has seen
        # The console is not part of the experiment: it does not matter who is watching.
        given = {"console": None, "info_metrics": info_metrics}
        self._configuration = configuration.Record(
            (parent.__name__ for parent in type(self).__mro__), dataclasses.asdict(settings) | given
        )
        with self._configuration.in_force():
            devices = tensorflow_devices()
            threads = tensorflow_threads()
        self.stage = Stage(
            settings,
            self._configuration,
            agent,
            environment,
            info_metrics,
            self._say_once,
            devices,
        )
        with self._configuration.in_force():
            hooks = Hooks(callbacks)
        self.config = self._configuration.text()
        self.asked_imports = self._configuration.asked_imports()
        experiment = identity.identity(
            self.config,
            agent,
            getattr(self.agent, "settings", {}),
            environment,
            self.spec,
            hooks.of_experiment(callbacks),
        )
        self._restoring = Restoring(
            self.base_dir, self.stage, experiment, self.config, self._say_once
        )
        self.training = Training(
            self.base_dir,
            settings,
            self.stage,
            self._restoring,
            experiment,
            self._configuration,
            hooks,
            self._console,
            threads,
            self.describe,
            self._say_once,
        )

    @property
    def agent(self) -> Agent:
        return self.stage.agent

    @property
    def spec(self) -> EnvironmentSpec:
        return self.stage.spec

    @property
    def info_metrics(self) -> InfoMetrics:
        return self.stage.info_metrics

    @property
    def agent_steps(self) -> int:
        """The agent steps that the run has trained for, over all environments."""
        return self.training.agent_steps

    def create_environment(
        self, seed: int, num_envs: int, render: bool = False, evaluate: bool = False
    ) -> Environment:
        """A new environment, made as this run's config describes it and checked against its spec."""
        return self.stage.create_environment(seed, num_envs, render, evaluate)

    def _say_once(self, about: str, sentence: str) -> None:
        if about not in self._said:
            self._said.add(about)
            self._console.say(sentence)

    def describe(self) -> dict[str, Any]:
        """The agent's active parts and the environment's protocol, for people and provenance."""
        held = getattr(self.agent, "memory_bytes", 0)
        memory = {"memory_bytes": held} if held else {}
        return {
            "seed": self.settings.seed,
            "environment": self.spec.id,
            "num_envs": self.settings.num_envs,
            "agent": {"agent": type(self.agent).__name__} | self.agent.describe() | memory,
            "protocol": dict(self.spec.protocol),
            **self.training.origin,
        }

    def check(self) -> list[str]:
        """Raises the UserError that `run` would raise before it writes anything.

        Returns:
          Sentences on settings that did not exist when the run began.
        """
        self._configuration.check()
        directory.check_place_for_run(self.base_dir)
        if not directory.is_run(self.base_dir):
            self._require_limit()
        if self.settings.actors is not None:
            block_agent(self.agent).actor_parameters()
        new_settings = identity.check_same_config(self.base_dir / directory.CONFIG, self.config)
        self.check_memory()
        return new_settings

    def _require_limit(self) -> None:
        """Raises UserError if episodes would not end after `max_steps_per_episode` steps."""
        if sentence := limit_not_held(self.spec, self.stage.limit):
            own = self.spec.max_steps_per_episode
            raise UserError(
                f"{sentence} Bind {f'{own} or None' if own else 'None'}, or change the function "
                "that makes the environment so that it follows its argument max_steps_per_episode."
            )

    def check_memory(self) -> None:
        """Raises UserError if the agent's replay, once full, would not fit into memory.

        All other parts of an agent took their memory when the agent was built.
        """
        if hasattr(self.agent, "check_memory"):  # an agent need not inherit from `Agent`
            self.agent.check_memory()

    def load(self, checkpoint: int | str | None = None, trained: str | None = None) -> int:
        """Loads the agent, without its replay, from a checkpoint; returns the checkpoint's number.

        Checkpoint 0 is the agent before its first step, and needs no file.

        Args:
          checkpoint: the number, or a name under which a checkpoint is kept, such as "best"; None: the
            newest.
          trained: the configuration with which the run was trained, if this Runner's configuration
            differs on purpose, for example to evaluate in another environment; None: both are the same.

        Raises:
          UserError: there is no such checkpoint, it is damaged or belongs to another experiment, the
            agent does not fit it, or, with `trained`, nothing uses one of the bindings.
        """
        if trained is not None:
            self._configuration.check()
        if checkpoint == 0 and self.settings.from_run is not None:
            raise UserError(
                f"This run began with the weights of another run, {self.settings.from_run}, and does "
                "not keep them, so it has no checkpoint 0: name a later checkpoint, or open the other "
                "run."
            )
        return 0 if checkpoint == 0 else self._restoring.load(checkpoint, trained)

    def evaluate(
        self, episodes: int, seed: int, on_episode: Callable[[], None] = lambda: None
    ) -> list[EpisodeRecord]:
        """Plays whole episodes with the evaluation policy; learns and writes nothing.

        Each environment plays its share of the episodes, so that short episodes are not favored.
        `on_episode` is called after each episode.

        Raises:
          UserError: an episode does not end.
        """
        return self.stage.evaluate(episodes, seed, on_episode)

    def run(self) -> None:
        """Runs from the newest checkpoint to the last iteration, or until a callback stops the run.

        Raises:
          UserError: the run cannot be resumed, written or continued.
          Stopped: SIGINT or SIGTERM arrived.
        """
        with self.training.signals.caught():
            for _ in self.iterations():
                pass

    def iterations(self) -> Iterator[dict[str, Any]]:
        """Does what `run` does, but yields each iteration's record once its checkpoint is saved.

        Between two iterations, signals have their usual effect.
        """
        yield from self.training.iterations(self.check())
