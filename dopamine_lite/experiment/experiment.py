"""An experiment that gin files and bindings describe, kept apart from all others in the process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dopamine_lite import configuration
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.printable import printable
from dopamine_lite.reporting import provenance
from dopamine_lite.runner.directory import CONFIG, is_run

if TYPE_CHECKING:
    from dopamine_lite.experiment.run import Run
    from dopamine_lite.reporting.console import Console
    from dopamine_lite.runner.runner import Runner


def to_stderr(sentence: str) -> None:
    print(printable(sentence), file=sys.stderr)


class Experiment:
    """An experiment that gin files and bindings describe, to be run in a directory.

        experiment = Experiment("dqn/cartpole.gin", ["DQNAgent.gamma = 0.95"], seed=1)
        run = experiment.run("runs/cartpole")  # trains, or resumes exactly
        print(run.evaluate(episodes=100).summary())

    Experiments in one process affect neither each other nor other uses of gin. TensorFlow's threads
    belong to the process: its first run sets their number, and a run that asks for another number says
    so. Gin is not made for several threads, so build and run all experiments in one thread.

    Args:
      gin_files: a path or a packaged name such as "dqn/cartpole.gin", or several, read in this order.
      gin_bindings: bindings, which replace bindings in the files.
      seed: the run's seed, the same as the binding Runner.seed; None: the seed in the files, else 0.
      rule: the modules that may be imported; None: the files are your own and may import anything.

    Raises:
      UserError: there is no such file, or `gin_bindings` is one string instead of a list.
    """

    def __init__(
        self,
        gin_files: str | Path | Iterable[str | Path],
        gin_bindings: Iterable[str] = (),
        *,
        seed: int | None = None,
        rule: configuration.ImportRule | None = None,
    ):
        files = [gin_files] if isinstance(gin_files, str | Path) else list(gin_files)
        bindings = [*_bindings(gin_bindings), *_seed_binding(seed)]
        for name in files:
            configuration.find_config(str(name))  # before an import that takes seconds
        _import_runner()
        self._loaded = configuration.Loaded(lambda: configuration.load(files, bindings, rule))

    @classmethod
    def of_run(
        cls,
        base_dir: str | Path,
        gin_bindings: Iterable[str] = (),
        *,
        seed: int | None = None,
        imports: Sequence[str] = (),
        report: Callable[[str], None] = to_stderr,
    ) -> Experiment:
        """The experiment of the run in a directory, which an earlier version may have written.

        Args:
          base_dir: the run's directory.
          gin_bindings: bindings, which replace bindings in the run's config.
          seed: the run's seed, the same as the binding Runner.seed; None: the seed of that run.
          imports: the modules that its config may import, in addition to this package's. Their code is
            executed.
          report: called with a sentence for each module that is imported, and for each setting whose
            name or meaning has changed since the run began.

        Raises:
          UserError: there is no run in the directory, its config cannot be read, or it imports a module
            that is not among `imports`.
        """
        directory = Path(base_dir)
        if not is_run(directory):
            raise UserError(
                f"There is no run in {directory} (no {CONFIG}): name a run's directory."
            )
        rule = _rule_of_run(directory, imports, report)
        bindings = [*_bindings(gin_bindings), *_seed_binding(seed)]

        def load() -> None:
            for sentence in configuration.load_run(directory / CONFIG, bindings, rule):
                report(sentence)

        _import_runner()
        experiment = cls.__new__(cls)
        experiment._loaded = configuration.Loaded(load)
        return experiment

    def runner(self, base_dir: str | Path, console: Console | None = None) -> Runner:
        """Builds the Runner with its agent and its environments. Writes nothing.

        Args:
          base_dir: the directory of the run that the Runner would make, or resume.
          console: where progress is shown; None: on standard error.

        Raises:
          UserError: a required parameter is not bound, or a part cannot be built.
        """
        with self._loaded.in_force():
            return configuration.construct(_import_runner(), base_dir, console=console)

    def run(self, base_dir: str | Path, console: Console | None = None) -> Run:
        """Trains to the last iteration, or resumes the run of this experiment in the directory.

        The result is the same as for a run that was never stopped, bit for bit.

        Args:
          base_dir: the run's directory.
          console: where progress is shown; None: on standard error.

        Returns:
          The run, with the agent of its newest checkpoint.

        Raises:
          UserError: something is wrong with the configuration, nothing uses one of the bindings, the
            directory holds another experiment, another process is training in it, or the run diverged.
          Stopped: SIGINT or SIGTERM arrived; the same call resumes the run.
        """
        from dopamine_lite.experiment.run import Run

        runner = self.runner(base_dir, console)
        runner.run()
        number = runner.agent_steps

        def build() -> Runner:
            again = self.runner(base_dir, console)
            again.load(number)
            return again

        return Run(runner.base_dir, number, build)

    def iterations(
        self, base_dir: str | Path, console: Console | None = None
    ) -> Iterator[dict[str, Any]]:
        """Does what `run` does, but yields the record of each iteration once its checkpoint is saved.

        You can leave the loop at any time, and the run can be resumed exactly.

        Args:
          base_dir: the run's directory.
          console: where progress is shown; None: on standard error.

        Yields:
          The iteration's line in `logs/iterations.jsonl`, as a dictionary.
        """
        yield from self.runner(base_dir, console).iterations()


def _import_runner() -> type[Runner]:
    """Imports the Runner, and with it TensorFlow; only then does gin know its name."""
    from dopamine_lite.runner.runner import Runner

    return Runner


def _bindings(given: Iterable[str]) -> list[str]:
    if isinstance(given, str):  # or its letters would count as bindings
        raise UserError(f"gin_bindings is the string {given!r}: give a list of strings.")
    return list(given)


def _seed_binding(seed: int | None) -> list[str]:
    return [] if seed is None else [f"Runner.seed = {seed}"]


def _rule_of_run(
    directory: Path, imports: Sequence[str], report: Callable[[str], None]
) -> configuration.ImportRule:
    """The rule for the config of a run in `directory`: allows `imports`, and reports each import."""

    def announce(name: str, file: Path | None) -> None:
        then, now = provenance.last_origin(directory, name), provenance.origin(name, file)
        changed = f"; its source was {then} when the run last started and is {now} now"
        report(
            f"dopamine-lite: Importing {name} from {file or 'nowhere on the disk'}"
            f"{changed if then not in (None, now) else ''}."
        )

    return configuration.ImportRule(frozenset(imports), directory, announce)
