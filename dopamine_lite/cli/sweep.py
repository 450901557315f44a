"""`dopamine-lite sweep`: runs a study of experiments, settings and seeds, or a search.

The exit status is 1 if a trial failed, so that scripts notice it.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.cli.sweep_checks import (
    OF_BACKENDS,
    check_flags,
    check_installed,
    check_kinds,
    of_every_experiment,
)
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.printable import printable
from dopamine_lite.files.paths import user_path

if TYPE_CHECKING:
    from dopamine_lite.study.backend import Backend
    from dopamine_lite.study.conduct import Conductor
    from dopamine_lite.study.examination import Examined
    from dopamine_lite.study.grid import Space
    from dopamine_lite.study.study import Trial

SUMMARY = (
    "Runs every combination of experiments, settings and seeds, or resumes them. The exit status is "
    "1 if a trial failed."
)
EXAMPLE = "dopamine-lite sweep --base_dir runs/study --gin_files dqn/cartpole.gin --seeds 0:5"
_FAILED = 1  # the exit status


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "base_dir", None, "The study's directory. Required.", flag_values=flag_values
    )
    flags.DEFINE_multi_string(
        "gin_files",
        [],
        "An experiment: a path or a packaged name such as dqn/cartpole.gin. Give one for each "
        "experiment to compare. Files joined by commas are loaded one after another and make one "
        "experiment, as repeated --gin_files of `train` do. Required.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "gin_bindings",
        [],
        "A binding for every trial, such as Runner.num_iterations=20.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "grid",
        [],
        "A parameter and its values, such as 'Adam.learning_rate=[1e-3,1e-4]'. With several "
        "parameters, every combination of their values is tried.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "seeds",
        "0:5",
        "The seeds of each configuration: a range, whose end is not included, or a list such as "
        "0,3,7.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "threads",
        None,
        "The number of TensorFlow threads in each trial. Results depend on it. Default: the number "
        "in the config, else 1.",
        lower_bound=1,
        upper_bound=1024,
        flag_values=flag_values,
    )
    run_directory.define_device(flag_values, "in each trial a GPU if there is one, else the CPU")
    flags.DEFINE_boolean(
        "optuna",
        False,
        "Search with Optuna in the spaces that --grid names, such as "
        "'Adam.learning_rate=loguniform(1e-5,1e-2)', uniform(a,b), int(a,b) or choice(a,b,c). Each "
        "suggestion is run with every seed, unless it does badly and is pruned early.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "trials",
        None,
        "With --optuna: the number of suggestions, which you must give.",
        lower_bound=1,
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "optuna_seed",
        None,
        "With --optuna: the seed of the suggestions. Default: 0.",
        lower_bound=0,
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "backend", "local", list(OF_BACKENDS), "Where trials run.", flag_values=flag_values
    )
    flags.DEFINE_integer(
        "parallel",
        None,
        "The number of trials at once on this machine. Default: as many as its cores and memory "
        "allow.",
        lower_bound=1,
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "ray_address",
        None,
        "With --backend ray: the address of the cluster, or auto on one of its nodes. Default: Ray is "
        "started on this machine.",
        flag_values=flag_values,
    )
    flags.DEFINE_float(
        "cpus_per_trial",
        None,
        "With --backend ray: the number of CPUs that a trial reserves. Default: as many as its "
        "threads and processes can keep busy.",
        lower_bound=0.0,
        flag_values=flag_values,
    )
    flags.DEFINE_float(
        "gpus_per_trial",
        None,
        "With --backend ray: the number of GPUs that a trial reserves. 0.5 puts two trials on one "
        "GPU. Default: none.",
        lower_bound=0.0,
        flag_values=flag_values,
    )
    flags.DEFINE_boolean(
        "print_slurm",
        False,
        "Run nothing, but print a Slurm script for an array job in which each index is one trial.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "output",
        None,
        "With --print_slurm: the file for the script. Default: standard output.",
        flag_values=flag_values,
    )


def run(flag_values: flags.FlagValues) -> int:
    from dopamine_lite.reporting.provenance import command
    from dopamine_lite.study import examination, grid, study

    directory = run_directory.base_dir(flag_values)
    study.check_place(directory)
    check_flags(flag_values, directory)
    axes, seeds = grid.axes(flag_values.grid), grid.seeds(flag_values.seeds)
    values = [axis for axis in axes if isinstance(axis, grid.Values)]
    spaces = [axis for axis in axes if isinstance(axis, grid.Space)]
    check_kinds(flag_values, values, spaces)
    check_installed(flag_values)
    bindings = [*flag_values.gin_bindings, *run_directory.device_bindings(flag_values)]
    variants = study.variants(flag_values.gin_files, values, bindings)
    if flag_values.optuna:
        from dopamine_lite.study.suggestions import corners

        variants = corners(variants[0], spaces)
    _say(f"Checking {_several(len(variants), 'configuration')} ...")
    try:
        examined = examination.examine(directory, variants, seeds, flag_values.threads)
    except UserError as error:
        raise UserError(f"{error}{of_every_experiment(flag_values, axes, str(error))}") from error
    with study.in_one_process(directory):
        if flag_values.optuna:
            return _search(flag_values, directory, examined, spaces, seeds)
        trials = examination.trials(examined, seeds)
        study.record(directory, command(), trials)
        if flag_values.print_slurm:
            return _print_slurm(flag_values, directory, trials, examined)
        return _carry_out(flag_values, directory, trials, examined)


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
    print(f"written to {output}; submit it with `sbatch {shlex.quote(str(output))}`")
    return 0


def _carry_out(
    flag_values: flags.FlagValues,
    directory: Path,
    trials: list[Trial],
    examined: list[Examined],
) -> int:
    from dopamine_lite.study.conduct import Conductor, Listed, done, look
    from dopamine_lite.study.table import make_view

    left = [each for each in trials if not done(look(each.directory(directory)), each)]
    backend = _backend(flag_values, directory, examined)
    before = f", {len(trials) - len(left)} finished before" if len(left) < len(trials) else ""
    _say(f"{_several(len(trials), 'trial')}{before}; {backend.describe()}.")
    conductor = Conductor(directory, Listed(left), backend, make_view())
    conductor.run()
    return _tell(flag_values, directory, conductor)


def _search(
    flag_values: flags.FlagValues,
    directory: Path,
    examined: list[Examined],
    spaces: list[Space],
    seeds: list[int],
) -> int:
    from dopamine_lite.reporting.provenance import command
    from dopamine_lite.study import study
    from dopamine_lite.study.conduct import Conductor
    from dopamine_lite.study.search import BEST, Search
    from dopamine_lite.study.suggestions import common
    from dopamine_lite.study.table import make_view

    line, view = command(), make_view()
    search = Search(
        directory,
        common(examined[0], spaces, seeds),
        flag_values.trials,
        flag_values.optuna_seed or 0,
        lambda trials: study.record(directory, line, trials),
        view.say,
    )
    backend = _backend(flag_values, directory, examined)
    suggestions = _several(flag_values.trials, "suggestion")
    _say(f"A search of {suggestions}; trials run {backend.describe()}.")
    if search.begun():
        _say(f"The search goes on after {search.summary()}")
    conductor = Conductor(directory, search, backend, view)
    conductor.run()
    _say(search.summary())
    if conductor.signal is None and (directory / BEST).is_file():
        fresh = max(seeds) + 1
        print(
            f"The best suggestion is in {directory / BEST}. Next, train it with seeds that did not "
            "help to choose it:"
        )
        print(
            "  dopamine-lite sweep --base_dir runs/best --gin_files "
            f"{shlex.quote(str(directory / BEST))} --seeds {fresh}:{fresh + 5}"
        )
    return _tell(flag_values, directory, conductor)


def _backend(flag_values: flags.FlagValues, directory: Path, examined: list[Examined]) -> Backend:
    needs = [each.needs for each in examined]
    if flag_values.backend == "ray":
        from dopamine_lite.study.ray_backend import RayBackend

        return RayBackend(
            directory,
            needs,
            flag_values.ray_address,
            flag_values.cpus_per_trial,
            flag_values.gpus_per_trial or 0.0,
        )
    from dopamine_lite.study.local import LocalBackend

    return LocalBackend(directory, needs, flag_values.parallel)


def _tell(flag_values: flags.FlagValues, directory: Path, conductor: Conductor) -> int:
    """Prints how the study ended; returns the exit status."""
    failed = [result for result in conductor.results if result.failure is not None]
    if conductor.signal is not None:
        _say(
            "Stopped. The same command resumes it, and every trial then ends as if it had not been "
            "stopped."
        )
        return 128 + conductor.signal
    for result in failed:
        _say(f"{result.trial.name} failed: {result.failure}")
    if failed:
        again = "" if flag_values.optuna else "; the same command tries them again"
        _say(f"{len(failed)} of {_several(len(conductor.results), 'trial')} failed{again}.")
        return _FAILED
    print(f"The results are in {directory}. Next:")
    print(f"  dopamine-lite compare {shlex.quote(str(directory))}")
    print(f"  dopamine-lite report {shlex.quote(str(directory))} --output site")
    print(f"  tensorboard --logdir {shlex.quote(str(directory))}")
    return 0


def _several(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _say(sentence: str) -> None:
    print(printable(sentence), file=sys.stderr, flush=True)
