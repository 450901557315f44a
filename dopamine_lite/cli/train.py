"""`dopamine-lite train`: runs an experiment, or resumes the run in its directory."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.cli.tables import print_table
from dopamine_lite.common.errors import UserError
from dopamine_lite.runner.directory import check_place_for_run, is_run

if TYPE_CHECKING:
    from dopamine_lite.runner.runner import Runner

_LEAST_SHARE = 0.005  # the share of the time from which a part is shown
SUMMARY = "Runs an experiment, or resumes it exactly if its directory already holds a run."
EXAMPLE = "dopamine-lite train --base_dir runs/cartpole --gin_files dqn/cartpole.gin --seed 1"


def define_flags(flag_values: flags.FlagValues) -> None:
    run_directory.define_base_dir(flag_values)
    flags.DEFINE_multi_string(
        "gin_files",
        [],
        "A gin file: a path or a packaged name such as dqn/cartpole.gin. To resume a run, leave it "
        "out: the run's directory holds its config.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "gin_bindings",
        [],
        "A binding, which overrides the gin files, such as DQNAgent.gamma=0.95.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "seed",
        None,
        "The run's seed. The same as the binding Runner.seed. Default: the seed in the config, else "
        "0.",
        lower_bound=0,
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "from_run",
        None,
        "The directory of another run. The new run begins with the newest weights of that run's "
        "agent, or, with D@400, with its weights at agent step 400. The same as the binding "
        "Runner.from_run.",
        flag_values=flag_values,
    )
    run_directory.define_device(
        flag_values,
        "the run's own device if the run is resumed, else a GPU if there is one, else the CPU",
    )
    run_directory.define_import(flag_values)


def run(flag_values: flags.FlagValues) -> int:
    directory = run_directory.base_dir(flag_values)
    check_place_for_run(directory)
    bindings = [*flag_values.gin_bindings, *run_directory.device_bindings(flag_values)]
    if flag_values.from_run is not None:
        bindings.append(f"Runner.from_run = {flag_values.from_run!r}")
    if not flag_values.gin_files and not is_run(directory):
        raise UserError(
            f"There is no run in {directory} to resume: name an experiment with --gin_files, such as "
            "--gin_files dqn/cartpole.gin (`dopamine-lite list` shows them)."
        )

    try:
        runner = _made(flag_values, directory, bindings)
    except KeyboardInterrupt:
        print("dopamine-lite: Interrupted before training began.", file=sys.stderr)
        return 128 + signal.SIGINT
    from dopamine_lite.runner.runner import Stopped

    try:
        runner.run()
    except Stopped as stopped:
        place, flags = shlex.quote(str(flag_values.base_dir)), _import_flags(runner)
        resume = f"`dopamine-lite train --base_dir {place}{flags}` resumes the run."
        print(f"dopamine-lite: {stopped} {resume}", file=sys.stderr)
        return 128 + stopped.signal_number
    _print_where_the_time_went(directory)
    _print_next_commands(directory, _import_flags(runner))
    return 0


def _made(flag_values: flags.FlagValues, directory: Path, bindings: list[str]) -> Runner:
    """The Runner of the experiment in --gin_files, or of the run in `directory`."""
    from dopamine_lite import configuration
    from dopamine_lite.experiment.experiment import Experiment

    if flag_values.gin_files:
        rule = configuration.ImportRule(run_directory=directory)
        experiment = Experiment(flag_values.gin_files, bindings, seed=flag_values.seed, rule=rule)
    else:
        imports = flag_values["import"].value
        experiment = Experiment.of_run(directory, bindings, seed=flag_values.seed, imports=imports)
    return experiment.runner(directory)


def _import_flags(runner: Runner) -> str:
    """The flags that allow the run's imports in other commands: " --import my_agent", or ""."""
    return "".join(f" --import {name}" for name in runner.asked_imports)


def _print_where_the_time_went(directory: Path) -> None:
    """Prints the time of all iterations, even before a resume, if any of them measured it."""
    from dopamine_lite.reporting import time_parts
    from dopamine_lite.reporting.console import duration
    from dopamine_lite.reporting.log_reader import read_iterations

    parts = time_parts.of_records(read_iterations(directory))
    if parts:
        title = f"Where the time went: {duration(sum(parts.values()))}"
        print_table(title, time_parts.rows(parts, least=_LEAST_SHARE))


def _print_next_commands(directory: Path, import_flags: str) -> None:
    place = shlex.quote(str(directory))
    print(f"The results are in {directory}. Next:")
    print(f"  dopamine-lite evaluate --base_dir {place}{import_flags}")
    print(f"  dopamine-lite inspect --base_dir {place}")
    print(f"  tensorboard --logdir {place}/logs")
