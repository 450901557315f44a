"""The training loop: iterations, each of a training phase and an evaluation phase.

A training phase is cut into segments. Each segment begins with environments made anew. It ends with no
episode in flight and with a checkpoint of the whole run, so a run that is killed at any instant and
started again repeats at most one segment, bit for bit. An evaluation plays every episode that it
counts to its end, so the number of streams does not favor short episodes.
"""

from __future__ import annotations

import contextlib
import shlex
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gin
import gymnasium
import numpy as np

from dopamine_lite import configuration
from dopamine_lite.agents.agent import Agent, State
from dopamine_lite.callbacks import Callback, RunContext
from dopamine_lite.checkpointing import Checkpointer, Restored
from dopamine_lite.checkpointing.storage import replace_file
from dopamine_lite.common.checks import check_flag, check_whole
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError, is_of_users_code
from dopamine_lite.common.memory import require_memory
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.tensorflow_setup import gpu_names, import_tensorflow, tensorflow_threads
from dopamine_lite.environments.contract import introduced, limit_not_held
from dopamine_lite.environments.declared import described
from dopamine_lite.environments.environment import Environment, EnvironmentSpec
from dopamine_lite.files.strict_json import expect, whole
from dopamine_lite.reporting import provenance
from dopamine_lite.reporting.console import Console, make_console
from dopamine_lite.reporting.info_metrics import PREFIX, InfoMetrics
from dopamine_lite.reporting.iteration_statistics import (
    EpisodeRecord,
    IterationStatistics,
    summarise,
)
from dopamine_lite.reporting.logbook import Logbook, read_episodes, read_iterations
from dopamine_lite.reporting.tags import (
    at_a_glance,
    evaluation_at_a_glance,
    hyperparameters,
)
from dopamine_lite.runner import directory, identity, warm_start
from dopamine_lite.runner.hooks import Hooks
from dopamine_lite.runner.play import Player, Tick, play, player_for

import_tensorflow()  # before an agent's module does, and with its banner

_SCHEDULES = ("continuous_train_and_eval", "continuous_train")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_MOST_ENVIRONMENTS = 65_536  # more would take minutes to make, and the memory of most machines
# Settings that are whole numbers, 1 or more.
_COUNTS = (
    "num_iterations",
    "training_steps",
    "num_envs",
    "checkpoint_every_steps",
    "log_every_steps",
)
_LIMITS = ("evaluation_steps", "evaluation_episodes", "max_steps_per_episode")  # or None
_ENDLESS = 1_000_000  # steps after which an episode in evaluation is held to have no end
# A segment in which a stream takes fewer steps than so many times the longest episode is a short one.
_SHORT = 1.5


class Stopped(Exception):
    """A signal ended the run at a safe point; `str` says where, and how to resume the run."""

    def __init__(self, signal_number: int, sentence: str):
        super().__init__(sentence)
        self.signal_number = signal_number


@gin.configurable
class Runner:
    """Trains an agent in environments, and evaluates, logs and saves it on the way.

    Args:
      base_dir: the run's directory; only `run` and `iterations` write to it.
      agent: called with (spec, seeds).
      environment: called with (num_envs=, seed=, max_steps_per_episode=, render=, evaluate=).
      seed: the run's seed, from which all its random numbers come.
      num_iterations: training phases, each followed by an evaluation phase.
      training_steps: agent steps in a training phase, over all streams.
      evaluation_steps: agent steps in an evaluation phase, over all streams; the episodes that have
        begun by then are played to their ends, as in Dopamine. Set either this or evaluation_episodes.
      evaluation_episodes: whole episodes in an evaluation phase. Set either this or evaluation_steps.
      max_steps_per_episode: agent steps after which an episode is truncated, in place of the limit that
        the environment is registered with; None: that limit.
      clip_rewards: whether the agent gets rewards clipped to [-1, 1]; statistics are of raw rewards.
      num_envs: N, the number of streams that are stepped together.
      checkpoint_every_steps: agent steps that each stream takes in a segment, or up to twice as many in
        the last segment of a training phase; None: a segment is a whole training phase.
      log_every_steps: agent steps between points in TensorBoard.
      schedule: "continuous_train_and_eval", or "continuous_train" without evaluation.
      from_run: the directory of another run. The agent begins with the weights of that run's agent, and
        with nothing else from that run. With "@400" behind the directory, the weights are those of
        agent step 400, otherwise those of the newest checkpoint when this run begins.
      info_metrics: keys of numbers in the info of an episode's last step, which are logged like its
        return.
      callbacks: references to what makes the callbacks, which are called while the run goes on.
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
        info_metrics: Sequence[str] = (),
        callbacks: Sequence[Callable[[], Callback]] = (),
        console: Console | None = None,
    ):
        for name, value in (("agent", agent), ("environment", environment)):
            if isinstance(value, type) and issubclass(value, gymnasium.Env):
                raise UserError(
                    f"Runner.{name} is {value.__name__}, the class of a Gymnasium environment: register "
                    "it with gymnasium.register, and let @create_environment make it by its id "
                    "(docs/your_own_environment.md)."
                )
            if not callable(value):
                raise UserError(
                    f"Runner.{name} is {value!r}: give a reference to what makes it, such as "
                    "@DQNAgent or @create_environment."
                )
        self._make_environment = environment
        self.seed = seed
        self.num_iterations = num_iterations
        self.training_steps = training_steps
        self.evaluation_steps = evaluation_steps
        self.evaluation_episodes = evaluation_episodes
        self.max_steps_per_episode = self._limit = max_steps_per_episode
        self.num_envs = num_envs
        self.checkpoint_every_steps = (
            training_steps if checkpoint_every_steps is None else checkpoint_every_steps
        )
        self.log_every_steps = log_every_steps
        self.schedule = schedule
        self._from_run = from_run
        self._check_settings()
        check_flag("Runner", clip_rewards=clip_rewards)
        self._clip_rewards = clip_rewards
        self.base_dir = Path(base_dir).absolute()  # wherever an environment's code may go
        self._base_dir_as_given = Path(base_dir)
        self._console = console or make_console()
        self._said: set[str] = set()  # what the user has been told about the environment
        self._seeds = Seeds(seed)
        self._configuration = configuration.Record(
            (parent.__name__ for parent in type(self).__mro__),
            {
                "seed": seed,
                "num_iterations": num_iterations,
                "training_steps": training_steps,
                "evaluation_steps": evaluation_steps,
                "evaluation_episodes": evaluation_episodes,
                "max_steps_per_episode": max_steps_per_episode,
                "clip_rewards": clip_rewards,
                "num_envs": num_envs,
                "checkpoint_every_steps": checkpoint_every_steps,
                "log_every_steps": log_every_steps,
                "schedule": schedule,
                "from_run": from_run,
                "console": None,  # whoever is watching, it is the same experiment
                "info_metrics": info_metrics,
            },
        )
        with self._configuration.in_force():
            self._threads = tensorflow_threads()
        with contextlib.closing(self.create_environment(seed=0, num_envs=num_envs)) as first:
            first.reset()  # what it returns is held against its spec before anything is written
            self.spec: EnvironmentSpec = first.spec
        with self._configuration.in_force():
            made = agent(self.spec, self._seeds.child("agent"))
            self._hooks = Hooks(callbacks)
        self.agent = checked_part("Runner", "agent", made, Agent)
        self.config = self._configuration.text()
        self.import_flags = self._configuration.import_flags()  # of the commands on this run
        self._experiment = identity.identity(
            self.config,
            agent,
            getattr(self.agent, "settings", {}),
            environment,
            self.spec,
            self._hooks.of_experiment(callbacks),
        )
        self.info_metrics = InfoMetrics(info_metrics, self.spec.id, self._say_once)
        self._statistics = IterationStatistics(self.info_metrics)
        self._iteration = 0
        self._segment = 0  # of this iteration's training phase
        self._agent_steps = 0
        self._train_seconds = 0.0
        self._stopped: str | None = None  # which callbacks ended the run, and why
        # What the next checkpoint is to be kept as, and whether in the place of others.
        self._kept_names: dict[str, bool] = {}
        self._signal: int | None = None
        self._origin: dict[str, Any] = {}  # of the weights that it began with, for provenance

    def create_environment(
        self, seed: int, num_envs: int, render: bool = False, evaluate: bool = False
    ) -> Environment:
        """A new environment, made as this run's config describes it and checked against its spec."""
        with self._configuration.in_force():
            environment = self._make_environment(
                num_envs=num_envs,
                seed=seed,
                max_steps_per_episode=self._limit,
                render=render,
                evaluate=evaluate,
            )
        return introduced(environment, num_envs, self._say_once)

    def _say_once(self, about: str, sentence: str) -> None:
        if about not in self._said:
            self._said.add(about)
            self._console.say(sentence)

    def describe(self) -> dict[str, Any]:
        """The agent's active parts and the environment's protocol, for people and provenance."""
        return {
            "seed": self.seed,
            "environment": self.spec.id,
            "num_envs": self.num_envs,
            "agent": {"agent": type(self.agent).__name__} | self.agent.describe(),
            "protocol": dict(self.spec.protocol),
            **self._origin,
        }

    def planned_steps(self) -> int:
        """Agent steps of the whole run."""
        return self.num_iterations * self._whole_steps(self.training_steps)

    def check(self) -> None:
        """Raises the UserError that `run` would raise before it writes anything."""
        self._configuration.check()
        directory.check_place_for_run(self.base_dir)
        if not directory.is_run(self.base_dir):
            self._require_limit()
        self._new_settings = identity.check_same_config(
            self.base_dir / directory.CONFIG, self.config
        )
        self.check_memory()

    def check_memory(self) -> None:
        """Raises UserError if the agent's replay, once full, would not fit into memory.

        Whatever else an agent holds took its memory when the agent was built.
        """
        parts = self.agent.describe()
        if "replay" in parts:
            remedy = f"lower {parts['replay']}.replay_capacity"
            require_memory(
                int(parts.get("memory_bytes", 0)), parts.get("agent", "The agent"), remedy
            )

    @property
    def agent_steps(self) -> int:
        """The agent steps that the run has trained for, over all streams."""
        return self._agent_steps

    def load(self, checkpoint: int | str | None = None, trained: str | None = None) -> int:
        """Loads the agent, without its replay, from a checkpoint; returns the checkpoint's number.

        Checkpoint 0 is the agent before its first step, and needs no file.

        Args:
          checkpoint: the number, or a name that a checkpoint is kept under, such as "best"; None: the
            newest.
          trained: the configuration that the run was trained with, if this Runner has another one on
            purpose, for example to evaluate in another environment; None: they are the same.

        Raises:
          UserError: there is no such checkpoint, it is damaged or belongs to another experiment, the
            agent does not fit it, or, with `trained`, nothing uses one of the bindings.
        """
        if trained is not None:
            self._configuration.check()
        if checkpoint == 0 and self._from_run is not None:
            raise UserError(
                f"This run began with the weights of another run, {self._from_run}, and does not keep "
                "them, so it has no checkpoint 0: name a later checkpoint, or open the other run."
            )
        if checkpoint == 0:
            return 0
        loaded = Checkpointer(self.base_dir / "checkpoints").load(checkpoint)
        if trained is None:
            self._take_agent(loaded)
            return loaded.number
        limit, statements = "Runner.max_steps_per_episode", configuration.statements
        if statements(trained).get(limit) == statements(self.config).get(limit):
            self._keep_limit(loaded)
        identity.check_trained_by(loaded.path, loaded.state.get("experiment"), trained)
        remedy = f"leave out the bindings that change the agent or its environment, {self.spec.id}"
        with self._refusing_other_experiments(loaded, remedy=remedy):
            self.agent.set_state(loaded.state["agent"])
        return loaded.number

    def evaluate(
        self, episodes: int, seed: int, on_episode: Callable[[], None] = lambda: None
    ) -> list[EpisodeRecord]:
        """Plays whole episodes with the evaluation policy; learns and writes nothing.

        Each stream plays its share of the episodes, so that short episodes are not favored.
        `on_episode` is called after each episode.

        Raises:
          UserError: an episode does not end.
        """
        check_whole("Runner.evaluate", episodes=episodes)
        num_envs = min(self.num_envs, episodes)
        left = np.full(num_envs, episodes // num_envs)
        left[: episodes % num_envs] += 1

        def counts(_: int, stream: int) -> bool:
            left[stream] -= 1
            return bool(left[stream] >= 0)

        return self._evaluate(
            num_envs,
            Seeds(seed).integer("evaluation"),
            counts,
            lambda: not (left > 0).any(),
            on_episode,
        )

    def run(self) -> None:
        """Runs from the newest checkpoint to the last iteration, or until a callback stops the run.

        Raises:
          UserError: the run cannot be resumed, written or continued.
          Stopped: SIGINT or SIGTERM arrived.
        """
        with self._caught_signals():
            for _ in self.iterations():
                pass

    def iterations(self) -> Iterator[dict[str, Any]]:
        """Does what `run` does, but yields each iteration's record once its checkpoint is saved.

        Between two iterations, signals do what they do elsewhere.
        """
        self.check()
        self._beginning = self._begin_with_weights()
        self._checkpointer = Checkpointer(self.base_dir / "checkpoints", report=self._console.say)
        self._logbook = Logbook(self.base_dir / "logs", report=self._console.say)
        self._logbook.hyperparameters(hyperparameters(configuration.statements(self.config)))
        with (
            contextlib.closing(self._checkpointer),
            contextlib.closing(self._logbook),
            self._console,
            self._hooks,
        ):
            with self._caught_signals():
                self._start()
            while not self._is_over():
                with self._caught_signals():
                    record = self._run_iteration()
                yield record

    def _require_limit(self) -> None:
        """Raises UserError where episodes would not end after `max_steps_per_episode` steps."""
        if sentence := limit_not_held(self.spec, self._limit):
            own = self.spec.max_steps_per_episode
            raise UserError(
                f"{sentence} Bind {f'{own} or None' if own else 'None'}, or change what makes the "
                "environment, so that it follows its argument max_steps_per_episode."
            )

    def _keep_limit(self, checkpoint: Restored) -> None:
        """Holds a run to the limit that its episodes had when it was begun."""
        saved, asked = checkpoint.state.get("experiment"), self._limit
        own = identity.lower_limit(saved, self.base_dir, asked)
        if own is None or self.spec.max_steps_per_episode != asked:
            return
        self._limit = own
        with contextlib.closing(self.create_environment(seed=0, num_envs=self.num_envs)) as first:
            self.spec = first.spec
        environment = identity.environment_identity(self._make_environment, self.spec)
        self._experiment["environment"] = environment
        self._say_once(
            "an earlier limit",
            f"Runner.max_steps_per_episode is {asked:,}, but this run was begun by an earlier version, "
            f"in which the setting could not raise the limit of {self.spec.id}: its episodes still end "
            f"after {own:,} steps.",
        )

    def _get_state(self) -> State:
        """The whole run as one value, between two segments."""
        state = self.agent.get_state()
        if not isinstance(state, dict):
            raise UserError(
                f"{type(self.agent).__name__}.get_state returned {described(state)}: return a "
                "dictionary of everything that decides what the agent does next "
                "(docs/your_own_agent.md)."
            )
        hooks = self._hooks.get_state()
        return {
            "iteration": self._iteration,
            "segment": self._segment,
            "agent_steps": self._agent_steps,
            "train_seconds": self._train_seconds,
            "seed": self.seed,
            "experiment": self._experiment,
            "statistics": self._statistics.get_state(),
            "agent": state,
            "logs": self._logbook.get_state(),
            **({"callbacks": hooks} if hooks else {}),
            **({"stopped": self._stopped} if self._stopped else {}),
        }

    def _take_agent(self, checkpoint: Restored) -> None:
        """Gives the agent its state; raises UserError where that is of another experiment."""
        self._keep_limit(checkpoint)
        identity.check_same_experiment(
            checkpoint.path, checkpoint.state.get("experiment"), self._experiment
        )
        with self._refusing_other_experiments(checkpoint):
            self.agent.set_state(checkpoint.state["agent"])

    @contextlib.contextmanager
    def _refusing_other_experiments(
        self,
        checkpoint: Restored,
        taker: str | None = None,
        remedy: str = "give the run its own --base_dir",
    ) -> Iterator[None]:
        """Turns what a state that is not this run's leads to into a sentence.

        An error of the user's own code keeps its traceback, with a note on where the state is from.

        Args:
          checkpoint: that is taken.
          taker: of its state; None: the agent.
        """
        taker = taker or type(self.agent).__name__
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if is_of_users_code(error):
                error.add_note(f"(while {taker} took its state from {checkpoint.path})")
                raise
            *_, last = traceback.extract_tb(error.__traceback__)
            raise UserError(
                f"The checkpoint {checkpoint.path} does not fit this {taker} "
                f"({type(error).__name__}: {error}, raised in {last.filename}, line {last.lineno}): "
                f"{remedy}."
            ) from error

    def _set_state(self, state: State) -> None:
        """Becomes the run that was saved as `state`, but for the agent; cuts the logs back."""
        self._iteration = whole(state["iteration"])
        self._segment = whole(state["segment"])
        self._agent_steps = whole(state["agent_steps"])
        self._train_seconds = state["train_seconds"]
        self._statistics.set_state(state["statistics"])
        self._stopped = expect(str, state["stopped"]) if "stopped" in state else None
        self._logbook.set_state(state["logs"])

    def _start(self) -> None:
        self._miss_checkpoints()
        restored = self._checkpointer.restore()
        if restored is not None:
            self._take_agent(restored)
            with self._refusing_other_experiments(restored):
                self._set_state(restored.state)
            with self._refusing_other_experiments(restored, "Runner.callbacks"):
                self._hooks.set_state(restored.state.get("callbacks", {}))
        else:
            if read_episodes(self.base_dir):
                self._console.say(
                    "There is no checkpoint yet, so the run begins anew, and so do its logs."
                )
            self._logbook.set_state({})  # what a run killed before its first checkpoint had written
        context = self._context()
        self._hooks.check(context)
        self._write_config()
        with self._configuration.in_force():
            start = provenance.collect(self._threads, gpu_names(), self.base_dir)
        start["agent_steps"] = self._agent_steps  # that it goes on from
        changes = provenance.record_start(self.base_dir, start, self.describe())
        for sentence in (*changes, *self._new_settings, *self._warnings(), *self._beginning):
            self._console.say(sentence)
        self._console.say(_in_one_line(self.describe()["agent"]))
        done = f"{self._iteration} of {self.num_iterations} iterations"
        if self._stopped is not None:
            self._console.say(
                f"The run was stopped after {done} and does not go on, not even with a larger "
                f"Runner.num_iterations ({self._stopped.rstrip('.')})."
            )
        elif self._iteration >= self.num_iterations:
            self._console.say(
                f"The run is finished: {done}. A larger Runner.num_iterations extends it."
            )
        elif restored is not None:
            self._console.say(f"Resuming at agent step {self._agent_steps:,}, after {done}.")
        self._hooks.start(context)
        self._console.start(self.planned_steps(), self._agent_steps)

    def _begin_with_weights(self) -> list[str]:
        """Of another run, where this one is to begin, and from such; returns a sentence on it."""
        if self._from_run is None or Checkpointer(self.base_dir / "checkpoints").numbers():
            return []
        self._origin, sentence = warm_start.begin(
            self.agent, self._from_run, self.base_dir, self.config
        )
        return [sentence]

    def _context(self) -> RunContext:
        """What the callbacks are told."""
        return RunContext(
            base_dir=self.base_dir,
            config=self.config,
            description=self.describe(),
            num_iterations=self.num_iterations,
            evaluates=self.schedule == "continuous_train_and_eval",
            agent_steps=self._agent_steps,
            iterations=read_iterations(self.base_dir, self._console.say),
            say=self._console.say,
            keep_checkpoint=self._kept_names.__setitem__,
            is_interrupted=lambda: self._signal is not None,
        )

    def _miss_checkpoints(self) -> None:
        """Raises UserError where the logs tell of checkpoints and none is there any more."""
        if any((self.base_dir / "checkpoints").glob("*checkpoint-*")):  # damaged ones count
            return
        reached = max((line["agent_steps"] for line in read_episodes(self.base_dir)), default=0)
        if reached > self._segment_steps() or len(read_iterations(self.base_dir)) > 1:
            raise UserError(
                f"{self.base_dir} has logs of a run but none of its checkpoints: put its directory "
                "checkpoints back to resume it, or give another --base_dir to begin anew."
            )

    def _write_config(self) -> None:
        """Keeps the config in force; a later one differs in the number of iterations only."""
        text = configuration.with_header(self.config)
        replace_file(self.base_dir / directory.CONFIG, text.encode())

    def _warnings(self) -> list[str]:
        """Sentences on what is allowed and seldom meant."""
        not_held = limit_not_held(self.spec, self._limit)  # in a run of an earlier version
        return [
            *([not_held] if not_held else []),
            *self._other_threads(),
            *self._nothing_learned(),
            *self._short_segments(),
        ]

    def _other_threads(self) -> list[str]:
        asked = configuration.statements(self.config).get("tensorflow_threads.intra_op", "None")
        present = self._threads["intra_op"]
        if asked in ("None", str(present)):
            return []
        return [
            f"tensorflow_threads.intra_op is {asked}, but TensorFlow began with {present} in this "
            f"process and cannot change it: to get the results of {asked}, start "
            "another process, or bind the same number in all experiments of this one."
        ]

    def _nothing_learned(self) -> list[str]:
        steps = self.planned_steps()
        first = getattr(self.agent, "first_update", None)
        if first is None or steps >= first:
            return []
        return [
            f"Nothing will be learned: the run has {steps:,} agent steps, and the first update comes "
            f"at step {first:,}."
        ]

    def _short_segments(self) -> list[str]:
        limit, training = self.spec.max_steps_per_episode, -(-self.training_steps // self.num_envs)
        steps = min(training, self.checkpoint_every_steps)  # of each stream in a segment
        if limit is None or steps >= _SHORT * limit:
            return []
        whole = steps == training
        remedy = f"Raise Runner.{'training_steps' if whole else 'checkpoint_every_steps'}"
        if whole and self.num_envs > 1:
            remedy += " or lower Runner.num_envs"
        return [
            f"Training is cut into segments in which each stream takes {steps:,} steps, and an episode "
            f"may last {limit:,}: episodes in flight at a segment's end, more often long ones, are cut "
            f"and do not count in training returns. {remedy} to cut fewer."
        ]

    def _whole_steps(self, steps: int) -> int:
        """Agent steps in which every stream takes its share of `steps`, and takes it whole."""
        return -(-steps // self.num_envs) * self.num_envs

    def _segment_steps(self) -> int:
        """Agent steps of the next segment; 0 where the training phase is over.

        What is left at a phase's end and would be a short segment belongs to the one before.
        """
        left = self._whole_steps(self.training_steps) - self._statistics.steps
        whole = self.checkpoint_every_steps * self.num_envs
        return whole if left >= 2 * whole else max(left, 0)

    def _run_iteration(self) -> dict[str, Any]:
        while steps := self._segment_steps():
            self._train_segment(steps)
            self._segment += 1
            if self._segment_steps():
                self._save()
        record: dict[str, Any] = {
            "iteration": self._iteration,
            "agent_steps": self._agent_steps,
            "train": self._statistics.summary(),
        }
        train_seconds, eval_seconds = self._train_seconds, 0.0
        if self.schedule == "continuous_train_and_eval":
            start = time.perf_counter()
            self._show_evaluation()
            record["eval"] = self._evaluation_phase()
            eval_seconds = time.perf_counter() - start
        record["time"] = {
            "train_seconds": round(train_seconds, 3),
            "eval_seconds": round(eval_seconds, 3),
            "train_steps_per_second": round(record["train"]["steps"] / max(train_seconds, 1e-9), 1),
        }
        self._stopped = self._hooks.iteration(record)
        if self._stopped is not None:
            record["stopped"] = self._stopped
        self._logbook.iteration(record)
        self._log_summary(record)
        self._console.iteration(record)
        if self._stopped is not None:
            self._console.say(f"The run stops here ({self._stopped.rstrip('.')}).")
        self._iteration += 1
        self._segment = 0
        self._train_seconds = 0.0
        self._statistics = IterationStatistics(self.info_metrics)
        if self._is_over():
            self._logbook.end_session()
        self._save()
        return record

    def _is_over(self) -> bool:
        return self._stopped is not None or self._iteration >= self.num_iterations

    def _train_segment(self, steps: int) -> None:
        start = time.perf_counter()
        self._logged_at = start, self._agent_steps
        seed = self._seeds.integer("environment", "train", self._iteration, self._segment)
        next_log = self._agent_steps + self.log_every_steps
        end = self._agent_steps + steps
        with contextlib.closing(self.create_environment(seed, self.num_envs)) as environment:
            player = player_for(self.agent)
            for tick in self.play(
                environment, player, self._statistics, lambda tick, _: tick * self.num_envs >= steps
            ):
                self._agent_steps += self.num_envs
                if tick.finished:
                    self._log_episodes("train", tick.finished)
                if next_log <= self._agent_steps < end:
                    player.flush()
                    self._log_metrics()
                    next_log += self.log_every_steps
        self._log_metrics(histograms=True)
        self._train_seconds += time.perf_counter() - start

    def _evaluation_phase(self) -> dict[str, Any]:
        seed = self._seeds.integer("evaluation", self._iteration)
        if self.evaluation_episodes is not None:
            records = self.evaluate(self.evaluation_episodes, seed, self._show_evaluation)
        else:
            assert self.evaluation_steps is not None
            records = self._evaluate_steps(self.evaluation_steps, seed)
        self._log_episodes("eval", records)
        return summarise(records, self.info_metrics.names)

    def _evaluate_steps(self, steps: int, seed: int) -> list[EpisodeRecord]:
        """Plays the episodes that begin within so many steps over all streams.

        To stop at a step instead would leave out what is still being played, which is long more
        often than not, and the more streams there are, the more of it.
        """
        ticks = -(-steps // self.num_envs)
        done = np.zeros(self.num_envs, bool)  # streams whose last episode that counts has ended

        def counts(tick: int, stream: int) -> bool:
            begun_in_time = not done[stream]
            done[stream] |= tick >= ticks
            return bool(begun_in_time)

        return self._evaluate(
            self.num_envs, seed, counts, lambda: bool(done.all()), self._show_evaluation
        )

    def _evaluate(
        self,
        num_envs: int,
        seed: int,
        counts: Callable[[int, int], bool],
        is_enough: Callable[[], bool],
        on_episode: Callable[[], None],
    ) -> list[EpisodeRecord]:
        """Plays until `is_enough`.

        Returns:
          Of the episodes that have ended those that count: `counts` is called for each, with the step
          it ended with and its stream.
        """
        statistics = IterationStatistics(self.info_metrics)
        records: list[EpisodeRecord] = []

        def is_last(tick: int, finished: list[EpisodeRecord]) -> bool:
            for record in finished:
                on_episode()
                if counts(tick, record.stream):
                    records.append(record)
            if tick % _ENDLESS == 0 and statistics.longest_in_flight() >= _ENDLESS:
                raise UserError(
                    f"An episode of {self.spec.id} has not ended in evaluation after {_ENDLESS:,} "
                    "steps, and nothing limits its length: set Runner.max_steps_per_episode."
                )
            return is_enough()

        environment = self.create_environment(seed, num_envs, evaluate=True)
        with contextlib.closing(environment):
            for _ in self.play(environment, player_for(self.agent, True), statistics, is_last):
                pass
        return records

    def play(
        self,
        environment: Environment,
        player: Player,
        statistics: IterationStatistics,
        is_last: Callable[[int, list[EpisodeRecord]], bool],
    ) -> Iterator[Tick]:
        """`play` with this run's agent; stops where a signal has come."""
        name = type(self.agent).__name__
        ticks = play(
            environment, player, statistics, is_last, agent=name, clip_rewards=self._clip_rewards
        )
        for tick in ticks:
            if self._signal is not None:
                self._stop()
            yield tick

    def _log_episodes(self, phase: str, records: list[EpisodeRecord]) -> None:
        self._logbook.episodes(self._iteration, phase, self._agent_steps, records)
        self._hooks.episodes(phase, self._agent_steps, records)

    def _show_evaluation(self) -> None:
        self._console.progress("eval", self._iteration, self._agent_steps, {})

    def _log_metrics(self, histograms: bool = False) -> None:
        values = self.agent.metrics()
        if not isinstance(values, dict):
            raise UserError(
                f"{type(self.agent).__name__}.metrics returned {described(values)}: return a "
                "dictionary of numbers by name."
            )
        scalars = {name: float(value) for name, value in values.items() if np.ndim(value) == 0}
        for name, value in scalars.items():
            if not np.isfinite(value):
                raise UserError(
                    f"{name} became {value} before agent step {self._agent_steps:,}: the run has "
                    f"diverged. {self._newest_checkpoint()} Begin anew in another --base_dir, with a "
                    "lower learning rate or clipped rewards."
                )
        self._statistics.log(scalars)
        self._logbook.scalars(
            self._agent_steps, {f"train/{name}": value for name, value in scalars.items()}
        )
        if histograms:
            self._logbook.histograms(
                self._agent_steps,
                {
                    f"train/{name}": np.asarray(value)
                    for name, value in values.items()
                    if np.ndim(value)
                },
            )
        recent = self._statistics.recent_return()
        measured = scalars if recent is None else scalars | {"recent_return": recent}
        self._hooks.metrics(self._agent_steps, measured)
        self._logbook.scalars(
            self._agent_steps, at_a_glance(scalars, recent, self._steps_per_second())
        )
        if recent is not None:
            scalars["return"] = recent
            self._logbook.scalars(self._agent_steps, {"train/recent_return": recent})
        self._console.progress("train", self._iteration, self._agent_steps, scalars)

    def _steps_per_second(self) -> float:
        """Of training, since it was asked last or the segment began."""
        (then, before), now = self._logged_at, time.perf_counter()
        self._logged_at = now, self._agent_steps
        return (self._agent_steps - before) / max(now - then, 1e-9)

    def _log_summary(self, record: dict[str, Any]) -> None:
        scalars = {
            f"{phase}/{name}": record[phase][name]
            for phase in ("train", "eval")
            for name in (
                "average_return",
                "median_return",
                "average_length",
                "episodes",
                "cut_episodes",
                *(f"{PREFIX}{name}" for name in self.info_metrics.names),
            )
            if record.get(phase, {}).get(name) is not None
        }
        if "eval/average_return" in scalars:
            scalars |= evaluation_at_a_glance(scalars["eval/average_return"])
        self._logbook.scalars(self._agent_steps, scalars)

    def _save(self) -> None:
        state = self._get_state()
        for name, replaces in self._kept_names.items():
            self._checkpointer.keep(name, self._agent_steps, state, replaces)
        self._kept_names.clear()
        self._checkpointer.save(self._agent_steps, state)

    @contextlib.contextmanager
    def _caught_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM stop the run between two steps instead of anywhere."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def remember(number: int, _frame: object) -> None:
            self._signal = number
            signal.signal(number, signal.SIG_DFL)  # a second one ends a step that hangs

        before = {number: signal.signal(number, remember) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self) -> None:
        assert self._signal is not None
        place = shlex.quote(str(self._base_dir_as_given))
        raise Stopped(
            self._signal,
            f"Stopped by {signal.Signals(self._signal).name} at agent step {self._agent_steps:,}. "
            f"{self._newest_checkpoint()} `dopamine-lite train --base_dir {place}"
            f"{self.import_flags}` resumes the run; the steps that no checkpoint holds are run "
            "again, identically.",
        )

    def _newest_checkpoint(self) -> str:
        numbers = self._checkpointer.numbers()
        if not numbers:
            return "There is no checkpoint yet."
        return f"The newest checkpoint is at agent step {max(numbers):,}."

    def _check_settings(self) -> None:
        """Raises UserError for settings that describe no run."""
        check_whole("Runner", least=0, seed=self.seed)
        check_whole("Runner", **{name: getattr(self, name) for name in _COUNTS})
        check_whole("Runner", most=_MOST_ENVIRONMENTS, num_envs=self.num_envs)
        check_whole("Runner", optional=True, **{name: getattr(self, name) for name in _LIMITS})
        if self.schedule not in _SCHEDULES:
            raise UserError(
                f"Runner.schedule is {self.schedule!r}: choose one of {', '.join(_SCHEDULES)}."
            )
        if self.schedule == "continuous_train":
            return
        if (self.evaluation_steps is None) == (self.evaluation_episodes is None):
            both = self.evaluation_steps is not None
            raise UserError(
                f"{'Both' if both else 'Neither'} of Runner.evaluation_steps and "
                f"Runner.evaluation_episodes {'are' if both else 'is'} set: set exactly one of "
                'them, or Runner.schedule = "continuous_train".'
            )


def _in_one_line(parts: dict[str, Any]) -> str:
    """ "DQNAgent: torso MLP, double True ..."."""
    rest = ", ".join(f"{name} {value}" for name, value in parts.items() if name != "agent")
    return f"{parts.get('agent', 'agent')}: {rest}"
