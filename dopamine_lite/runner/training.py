"""A run in its directory: iterations, each with a training phase and an evaluation phase.

A training phase is cut into segments. Each segment begins with new environments. It ends with no episode
in flight and with a checkpoint of the whole run, so a run that is killed at any instant and started
again repeats at most one segment, bit for bit. An evaluation plays every episode that it counts to the
end, so the number of environments does not favor short episodes.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dopamine_lite import configuration
from dopamine_lite.agents.agent import State
from dopamine_lite.callbacks import RunContext
from dopamine_lite.checkpointing import Checkpointer
from dopamine_lite.collecting.shares import EpisodeShares, Shares, StepShares
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.stopwatch import OTHER, Stopwatch, lap
from dopamine_lite.configuration.tensorflow_setup import gpu_names
from dopamine_lite.environments.declared import described
from dopamine_lite.files.strict_json import expect, seconds_by_name, whole
from dopamine_lite.reporting import provenance
from dopamine_lite.reporting.console import Console
from dopamine_lite.reporting.iteration_statistics import (
    EpisodeRecord,
    IterationStatistics,
    summarize,
)
from dopamine_lite.reporting.log_reader import read_episodes, read_iterations
from dopamine_lite.reporting.logbook import Logbook
from dopamine_lite.reporting.tags import hyperparameters
from dopamine_lite.reporting.time_parts import in_order
from dopamine_lite.runner import run_files, warm_start
from dopamine_lite.runner.alone import Alone
from dopamine_lite.runner.cautions import cautions, nothing_gained
from dopamine_lite.runner.hooks import Hooks
from dopamine_lite.runner.journal import Diverged, Journal
from dopamine_lite.runner.lockstep import Lockstep
from dopamine_lite.runner.restoring import Restoring
from dopamine_lite.runner.settings import RunSettings
from dopamine_lite.runner.signals import Signals, Stopped
from dopamine_lite.runner.stage import Stage


class Training:
    """Trains from the newest checkpoint to the last iteration, or until a callback stops the run.

    Args:
      base_dir: the run's directory, as an absolute path.
      settings: the run's settings.
      stage: the agent and its environments.
      restoring: gives the agent its state.
      experiment: the experiment's identity that checkpoints keep, from `identity.identity`.
      config: the record of the configuration.
      hooks: the callbacks.
      console: where progress is shown.
      threads: TensorFlow's threads, for provenance.
      describe: returns a description of the run, for people and provenance.
      say_once: called with the topic of a sentence for the user, and the sentence.

    Attributes:
      agent_steps: the agent steps that the run has trained for, over all environments.
      origin: the run whose weights this run began with, for provenance.
    """

    def __init__(
        self,
        base_dir: Path,
        settings: RunSettings,
        stage: Stage,
        restoring: Restoring,
        experiment: State,
        config: configuration.Record,
        hooks: Hooks,
        console: Console,
        threads: dict[str, int],
        describe: Callable[[], dict[str, Any]],
        say_once: Callable[[str, str], None],
    ):
        self.base_dir = base_dir
        self.agent_steps = 0
        self.origin: dict[str, Any] = {}
        self.signals = Signals()
        self._settings = settings
        self._stage = stage
        self._restoring = restoring
        self._experiment = experiment
        self._configuration = config
        self._config = config.text()
        self._hooks = hooks
        self._console = console
        self._threads = threads
        self._describe = describe
        self._seeds = Seeds(settings.seed)
        self._statistics = IterationStatistics(stage.info_metrics)
        self._iteration = 0
        self._segment = 0  # in this iteration's training phase
        self._train_seconds = 0.0
        self._stopwatch = Stopwatch()  # since the last iteration's record was made
        self._stopped: str | None = None  # the callbacks that ended the run, and their reasons
        # The names under which to keep the next checkpoint, and whether it replaces earlier ones.
        self._kept_names: dict[str, bool] = {}
        self._has_saved = False  # since this start
        stage.after_step = self._stop_if_signaled
        self.players: Alone | Lockstep = Alone(stage, settings.num_envs)
        if settings.actors is not None:
            self.players = Lockstep(stage, settings, config, threads, console.say, say_once)

    def iterations(self, new_settings: list[str]) -> Iterator[dict[str, Any]]:
        """Yields each iteration's record once its checkpoint is saved.

        Args:
          new_settings: sentences about settings that did not exist when the run began.
        """
        beginning = self.begin_with_weights()
        say = self._console.say
        self._checkpointer = Checkpointer(self.base_dir / "checkpoints", report=say)
        logbook = Logbook(self.base_dir / "logs", report=say)
        self._journal = Journal(logbook, self._console, self._hooks)
        logbook.hyperparameters(hyperparameters(configuration.statements(self._config)))
        with (
            contextlib.closing(self._checkpointer),
            contextlib.closing(logbook),
            contextlib.closing(self.players),
            self._console,
            self._hooks,
        ):
            with self.signals.caught(), self._stopwatch.running():
                self._start(new_settings, beginning)
            while not self._is_over():
                with self.signals.caught(), self._stopwatch.running():
                    record = self._run_iteration()
                yield record

    def begin_with_weights(self) -> list[str]:
        """Gives the agent the weights of `Runner.from_run`, if the run has no checkpoint yet.

        Returns:
          A sentence about that; empty if no weights were given.
        """
        source = self._settings.from_run
        if source is None or Checkpointer(self.base_dir / "checkpoints").numbers():
            return []
        self.origin, sentence = warm_start.begin(
            self._stage.agent, source, self.base_dir, self._config
        )
        return [sentence]

    def _start(self, new_settings: list[str], beginning: list[str]) -> None:
        """Starts the run at its newest checkpoint, and shows these sentences, among others."""
        first = self._settings.segment_steps(self._statistics.steps)
        run_files.miss_checkpoints(self.base_dir, first)
        restored = self._checkpointer.restore()
        if restored is not None:
            self._restoring.take_agent(restored)
            with self._restoring.refusing_other_experiments(restored):
                self._set_state(restored.state)
            with self._restoring.refusing_other_experiments(restored, "Runner.callbacks"):
                self._hooks.set_state(restored.state.get("callbacks", {}))
            lap("checkpoint")
        else:
            if read_episodes(self.base_dir):
                self._console.say("There is no checkpoint yet, so the run and its logs start over.")
            # This removes the logs of a run that was killed before its first checkpoint.
            self._journal.logbook.set_state({})
        context = self._context()
        self._hooks.check(context)
        run_files.write_config(self.base_dir, self._config)
        with self._configuration.in_force():
            start = provenance.collect(self._threads, gpu_names(), self.base_dir)
            warnings = cautions(
                self._settings, self._stage, self._config, self._threads["intra_op"]
            )
        if self._settings.actors is not None:
            start["actors"] = {
                "number": self._settings.actors,
                "backend": self._settings.actor_backend,
            }
        start["machine"]["device"] = self._stage.devices.name
        start["agent_steps"] = self.agent_steps  # where the run goes on
        changes = provenance.record_start(self.base_dir, start, self._describe())
        for sentence in (*changes, *new_settings, *warnings, *beginning):
            self._console.say(sentence)
        device = {"device": self._stage.devices.name}
        self._console.say(_in_one_line(self._describe()["agent"] | device))
        self._say_where_it_is(restored is not None)
        self._hooks.start(context)
        self._console.start(self._settings.planned_steps, self.agent_steps)

    def _say_where_it_is(self, resumed: bool) -> None:
        done = f"{self._iteration} of {self._settings.num_iterations} iterations"
        if self._stopped is not None:
            self._console.say(
                f"The run was stopped after {done} and does not go on, even with a larger "
                f"Runner.num_iterations ({self._stopped.rstrip('.')})."
            )
        elif self._iteration >= self._settings.num_iterations:
            self._console.say(
                f"The run is finished: {done}. A larger Runner.num_iterations extends it."
            )
        elif resumed:
            self._console.say(f"Resuming at agent step {self.agent_steps:,}, after {done}.")

    def _context(self) -> RunContext:
        """The context for the callbacks."""
        return RunContext(
            base_dir=self.base_dir,
            config=self._config,
            description=self._describe(),
            num_iterations=self._settings.num_iterations,
            evaluates=self._settings.evaluates,
            agent_steps=self.agent_steps,
            iterations=read_iterations(self.base_dir, self._console.say),
            say=self._console.say,
            keep_checkpoint=self._kept_names.__setitem__,
            is_interrupted=lambda: self.signals.arrived is not None,
        )

    def _get_state(self) -> State:
        """The whole run as one value, between two segments."""
        agent = self._stage.agent
        state = agent.get_state()
        if not isinstance(state, dict):
            raise UserError(
                f"{type(agent).__name__}.get_state returned {described(state)}: return a "
                "dictionary of everything that determines what the agent does next "
                "(docs/how_to/your_own_agent.md)."
            )
        hooks = self._hooks.get_state()
        return {
            "iteration": self._iteration,
            "segment": self._segment,
            "agent_steps": self.agent_steps,
            "train_seconds": self._train_seconds,
            "time_parts": self._stopwatch.seconds(),
            "seed": self._settings.seed,
            "experiment": self._experiment,
            "statistics": self._statistics.get_state(),
            "agent": state,
            "logs": self._journal.logbook.get_state(),
            **self.players.get_state(),
            **({"callbacks": hooks} if hooks else {}),
            **({"stopped": self._stopped} if self._stopped else {}),
        }

    def _set_state(self, state: State) -> None:
        """Restores the run from `state`, except for the agent, and cuts the logs back."""
        self._iteration = whole(state["iteration"])
        self._segment = whole(state["segment"])
        self.agent_steps = whole(state["agent_steps"])
        self._train_seconds = state["train_seconds"]
        parts = state.get("time_parts", {OTHER: self._train_seconds})  # earlier versions had none
        self._stopwatch.go_on_from(seconds_by_name(parts))
        self._statistics.set_state(state["statistics"])
        self.players.set_state(state)
        self._stopped = expect(str, state["stopped"]) if "stopped" in state else None
        self._journal.logbook.set_state(state["logs"])

    def _save(self) -> None:
        state = self._get_state()
        for name, replaces in self._kept_names.items():
            self._checkpointer.keep(name, self.agent_steps, state, replaces)
        self._kept_names.clear()
        self._checkpointer.save(self.agent_steps, state)
        self._has_saved = True
        lap("checkpoint")

    def _is_over(self) -> bool:
        return self._stopped is not None or self._iteration >= self._settings.num_iterations

    def _run_iteration(self) -> dict[str, Any]:
        while steps := self._settings.segment_steps(self._statistics.steps):
            self._train_segment(steps)
            self._segment += 1
            if self._settings.segment_steps(self._statistics.steps):
                self._save()
        record: dict[str, Any] = {
            "iteration": self._iteration,
            "agent_steps": self.agent_steps,
            "train": self._statistics.summary(),
        }
        train_seconds, eval_seconds = self._train_seconds, 0.0
        if self._settings.evaluates:
            start = time.perf_counter()
            with self._stopwatch.branch("evaluation"):
                self._show_evaluation()
                record["eval"] = self._evaluate()
            eval_seconds = time.perf_counter() - start
        parts = in_order(self._stopwatch.take())
        record["time"] = {
            "train_seconds": round(train_seconds, 3),
            "eval_seconds": round(eval_seconds, 3),
            "train_steps_per_second": round(record["train"]["steps"] / max(train_seconds, 1e-9), 1),
            "parts": {part: round(seconds, 3) for part, seconds in parts.items()},
        }
        with self._stopwatch.undivided("log"):
            self._stopped = self._journal.iteration(record, self._stage.info_metrics.names)
        self._iteration += 1
        self._segment = 0
        self._train_seconds = 0.0
        self._statistics = IterationStatistics(self._stage.info_metrics)
        if self._is_over():
            self._journal.logbook.end_session()
        self._save()
        return record

    def _train_segment(self, steps: int) -> None:
        start, num_envs = time.perf_counter(), self._settings.num_envs
        self._journal.begin_segment(self.agent_steps)
        end = self.agent_steps + steps
        seeds = self._seeds.child("environment", "train", self._iteration, self._segment)
        every = self._settings.log_every_steps
        next_log = self.agent_steps + every
        playing = self.players.play(seeds, self._statistics, steps, every)
        with contextlib.closing(playing) as ticks:
            for tick in ticks:
                self.agent_steps += num_envs
                if tick.finished:
                    self._log_episodes("train", tick.finished)
                if next_log <= self.agent_steps < end:
                    self.players.flush()
                    self._log_metrics()
                    next_log += every
        lap("environment")  # closing it
        self._log_metrics(histograms=True)
        self._train_seconds += time.perf_counter() - start

    def _log_episodes(self, phase: str, records: list[EpisodeRecord]) -> None:
        with self._stopwatch.undivided("log"):
            self._journal.episodes(self._iteration, phase, self.agent_steps, records)

    def _log_metrics(self, histograms: bool = False) -> None:
        agent, statistics = self._stage.agent, self._statistics
        try:
            with self._stopwatch.undivided("log"):
                self._journal.metrics(
                    agent,
                    statistics,
                    self._iteration,
                    self.agent_steps,
                    histograms,
                    self.players.metrics(),
                )
        except Diverged as error:
            raise UserError(
                f"{error} before agent step {self.agent_steps:,}: the run has diverged. "
                f"{self._newest_checkpoint()} Begin anew in another `base_dir`, with a lower learning "
                "rate or clipped rewards."
            ) from None

    def _evaluate(self) -> dict[str, Any]:
        seed = self._seeds.integer("evaluation", self._iteration)
        episodes, steps = self._settings.evaluation_episodes, self._settings.evaluation_steps
        num_envs = self._settings.num_envs
        if episodes is not None:
            shares: Shares = EpisodeShares.of(episodes, num_envs)
            seed = Seeds(seed).integer("evaluation")
        else:
            assert steps is not None
            shares = StepShares(-(-steps // num_envs), num_envs)
        records = self.players.evaluate(shares, seed, self._show_evaluation)
        self._log_episodes("eval", records)
        return summarize(records, self._stage.info_metrics.names)

    def _show_evaluation(self) -> None:
        self._console.progress("eval", self._iteration, self.agent_steps, {})

    def _stop_if_signaled(self) -> None:
        arrived = self.signals.arrived
        if arrived is None:
            return
        raise Stopped(
            arrived,
            f"Stopped by {signal.Signals(arrived).name} at agent step {self.agent_steps:,}. "
            f"{self._newest_checkpoint()} When resumed, the run repeats the steps that no "
            f"checkpoint holds, identically.{nothing_gained(self._has_saved, arrived)}",
        )

    def _newest_checkpoint(self) -> str:
        numbers = self._checkpointer.numbers()
        if not numbers:
            return "There is no checkpoint yet."
        return f"The newest checkpoint is at agent step {max(numbers):,}."


def _in_one_line(parts: dict[str, Any]) -> str:
    """ "DQNAgent: torso MLP, double True ..."."""
    rest = ", ".join(f"{name} {value}" for name, value in parts.items() if name != "agent")
    return f"{parts.get('agent', 'agent')}: {rest}"
