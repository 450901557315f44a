"""`dopamine-lite train`: runs an experiment, or resumes the run that its directory holds."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.common.errors import UserError

SUMMARY = "Runs an experiment; resumes it, exactly, where its directory holds a run."
_SHOWN_DIFFERENCES = 5


def define_flags(flag_values: flags.FlagValues) -> None:
    run_directory.define_base_dir(flag_values)
    flags.DEFINE_multi_string(
        "gin_files",
        [],
        "a gin file: a path or a packaged name such as dqn/cartpole.gin (not needed to resume a "
        "run: its directory holds its config)",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "gin_bindings",
        [],
        "a binding that replaces the gin file's, such as DQNAgent.gamma=0.95",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "seed", None, "the same as the binding Runner.seed", lower_bound=0, flag_values=flag_values
    )


def run(flag_values: flags.FlagValues) -> int:
    directory = run_directory.base_dir(flag_values)
    run_directory.check_place_for_run(directory)
    gin_files = flag_values.gin_files or _own_config(directory)
    bindings = list(flag_values.gin_bindings)
    if flag_values.seed is not None:
        bindings.append(f"Runner.seed = {flag_values.seed}")

    from dopamine_lite import configuration

    for name in gin_files:
        configuration.find_config(str(name))  # before the seconds that an import takes
    from dopamine_lite.runner.runner import Runner, Stopped

    configuration.load(gin_files, bindings)
    runner = configuration.construct(Runner, directory)
    configuration.reject_unused_bindings()
    configuration.reject_lost_bindings()
    _check_same_experiment(directory)
    try:
        runner.run()
    except Stopped as stopped:
        print(f"dopamine-lite: {stopped}", file=sys.stderr)
        return 128 + stopped.signal_number
    _print_next_commands(directory)
    return 0


def _own_config(directory: Path) -> list[Path]:
    if run_directory.is_run(directory):
        return [directory / run_directory.CONFIG]
    raise UserError(
        f"There is no run in {directory} to resume: name an experiment with --gin_files, such as "
        "--gin_files dqn/cartpole.gin (`dopamine-lite list` shows them)."
    )


def _check_same_experiment(directory: Path) -> None:
    """Raises UserError where `directory` holds a run of another configuration."""
    if not run_directory.is_run(directory):
        return
    from dopamine_lite import configuration

    own = run_directory.config_text(directory)
    different = configuration.differences(own, configuration.operative())
    if different:
        shown = "; ".join(different[:_SHOWN_DIFFERENCES])
        more = len(different) - _SHOWN_DIFFERENCES
        raise UserError(
            f"{directory} holds another experiment ({shown}{f'; and {more} more' * (more > 0)}): "
            "give another --base_dir, or the same configuration to resume it."
        )


def _print_next_commands(directory: Path) -> None:
    place = shlex.quote(str(directory))
    print(f"The results are in {directory}. Next:")
    print(f"  dopamine-lite evaluate --base_dir {place}")
    print(f"  dopamine-lite inspect --base_dir {place}")
    print(f"  tensorboard --logdir {place}/logs")
