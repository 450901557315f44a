"""`dopamine-lite sweep`: carries out a study: experiments, grids of settings and seeds; or a search.

The exit status is 1 where a trial failed, so that scripts can tell.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.paths import user_path
from dopamine_lite.common.printable import printable

if TYPE_CHECKING:
    from dopamine_lite.study.backend import Backend
    from dopamine_lite.study.conduct import Conductor
    from dopamine_lite.study.examination import Examined
    from dopamine_lite.study.study import Trial

SUMMARY = "Runs experiments x settings x seeds, or goes on with them (status 1: a trial failed)."
_FAILED = 1  # the exit status
_BACKENDS = ("local", "ray")


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "base_dir", None, "the study's directory (required)", flag_values=flag_values
    )
    flags.DEFINE_multi_string(
        "gin_files",
        [],
        "an experiment: a path or a packaged name such as dqn/cartpole.gin (required; give it again "
        "for each further experiment to compare); files joined by commas are loaded one after "
        "another and make one experiment, as repeated --gin_files of `train` do",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "gin_bindings",
        [],
        "a binding of every trial, such as Runner.num_iterations=20",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "grid",
        [],
        "a parameter and its values, such as 'DQNAgent.learning_rate=[1e-3,1e-4]' (give it again to "
        "cross several)",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "seeds",
        "0:5",
        "of each configuration: a range, of which the end is not part, or a list such as 0,3,7",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "threads",
        None,
        "TensorFlow's threads in each trial; results depend on their number (default: what the "
        "configuration says, else 1)",
        lower_bound=1,
        upper_bound=1024,
        flag_values=flag_values,
    )
    flags.DEFINE_enum("backend", "local", _BACKENDS, "where trials run", flag_values=flag_values)
    flags.DEFINE_integer(
        "parallel",
        None,
        "trials at once on this machine (default: as many as its cores and memory allow)",
        lower_bound=1,
        flag_values=flag_values,
    )
    flags.DEFINE_boolean(
        "print_slurm",
        False,
        "run nothing: print a Slurm script, each array index of which is one trial",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "output", None, "with --print_slurm: the file for the script", flag_values=flag_values
    )


def run(flag_values: flags.FlagValues) -> int:
    from dopamine_lite.study import examination, grid, study

    directory = run_directory.base_dir(flag_values)
    study.check_place(directory)
    _check_flags(flag_values, directory)
    axes, seeds = grid.axes(flag_values.grid), grid.seeds(flag_values.seeds)
    values = [axis for axis in axes if isinstance(axis, grid.Values)]
    variants = study.variants(flag_values.gin_files, values, flag_values.gin_bindings)
    _say(f"Checking {_several(len(variants), 'configuration')} ...")
    examined = examination.examine(directory, variants, seeds, flag_values.threads)
    trials = examination.trials(examined, seeds)
    with study.in_one_process(directory):
        study.record(directory, _command(), trials)
        if flag_values.print_slurm:
            return _print_slurm(flag_values, directory, trials, examined)
        return _carry_out(flag_values, directory, trials, examined)


def _check_flags(flag_values: flags.FlagValues, directory: Path) -> None:
    """Raises UserError for flags that do not go together."""
    if not flag_values.gin_files:
        from dopamine_lite.study import study

        known = study.read(directory)
        again = (
            f"; the study in {directory} was begun by `{known['commands'][0]}`, which goes on with it"
            if known and known["commands"]
            else ""
        )
        raise UserError(
            "--gin_files is missing: name an experiment, such as --gin_files dqn/cartpole.gin, once "
            f"for each that is compared{again}."
        )
    for binding in flag_values.gin_bindings:
        if binding.partition("=")[0].strip() == "Runner.seed":
            raise UserError(
                "--gin_bindings Runner.seed: name seeds with --seeds, such as --seeds 0:5."
            )
    if flag_values.output and not flag_values.print_slurm:
        raise UserError("--output goes with --print_slurm only: a study's place is --base_dir.")
    if flag_values.parallel and flag_values.backend != "local":
        raise UserError("--parallel goes with --backend local only.")


def _print_slurm(
    flag_values: flags.FlagValues,
    directory: Path,
    trials: list[Trial],
    examined: list[Examined],
) -> int:
    from dopamine_lite.study import slurm

    text = slurm.script(directory, trials, [each.needs for each in examined])
    if not flag_values.output:
        print(text, end="")
        return 0
    output = user_path(flag_values.output)
    run_directory.check_output(output)
    with run_directory.written_aside(output) as aside:
        aside.write_text(text, encoding="utf-8")
    print(f"written to {output}; submit it by `sbatch {shlex.quote(str(output))}`")
    return 0


def _carry_out(
    flag_values: flags.FlagValues,
    directory: Path,
    trials: list[Trial],
    examined: list[Examined],
) -> int:
    from dopamine_lite.runner.directory import progress
    from dopamine_lite.study.conduct import Conductor, Listed, done
    from dopamine_lite.study.table import make_view

    left = [each for each in trials if not done(progress(each.directory(directory)), each)]
    backend = _backend(flag_values, directory, examined)
    before = f", {len(trials) - len(left)} finished before" if len(left) < len(trials) else ""
    _say(f"{_several(len(trials), 'trial')}{before}; {backend.describe()}.")
    conductor = Conductor(directory, Listed(left), backend, make_view())
    conductor.run()
    return _tell(directory, conductor, len(left))


def _backend(flag_values: flags.FlagValues, directory: Path, examined: list[Examined]) -> Backend:
    from dopamine_lite.study.local import LocalBackend

    return LocalBackend(directory, [each.needs for each in examined], flag_values.parallel)


def _tell(directory: Path, conductor: Conductor, expected: int) -> int:
    """Says how the study ended; returns the exit status."""
    failed = [result for result in conductor.results if result.failure is not None]
    if conductor.signal is not None:
        _say(
            "Stopped; the same command goes on, and every trial ends as if it had not been stopped."
        )
        return 128 + conductor.signal
    for result in failed:
        _say(f"{result.trial.name} failed: {result.failure}")
    if failed:
        _say(
            f"{len(failed)} of {_several(expected, 'trial')} failed; the same command tries them again."
        )
        return _FAILED
    print(f"The results are in {directory}. Next:")
    print(f"  dopamine-lite compare {shlex.quote(str(directory))}")
    print(f"  tensorboard --logdir {shlex.quote(str(directory))}")
    return 0


def _several(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _command() -> str:
    from dopamine_lite.common.provenance import command

    return command()


def _say(sentence: str) -> None:
    print(printable(sentence), file=sys.stderr, flush=True)
