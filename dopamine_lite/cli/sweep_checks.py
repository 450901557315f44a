"""Which flags of `dopamine-lite sweep` go together, and messages about those that do not."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dopamine_lite.common.errors import UserError

if TYPE_CHECKING:
    from dopamine_lite.study.grid import Space, Values
_EXTRAS = {"optuna": ("--optuna", "Optuna"), "ray": ("--backend ray", "Ray")}  # the key: a module
OF_BACKENDS = {  # the flags of each backend
    "local": ("parallel",),
    "ray": ("ray_address", "cpus_per_trial", "gpus_per_trial"),
}


def of_every_experiment(
    flag_values: flags.FlagValues, axes: Sequence[Values | Space], refusal: str
) -> str:
    """What to add to a refusal if --grid binds a parameter that one of several experiments lacks."""
    of_grid = [axis.parameter for axis in axes if axis.parameter in refusal]
    if not of_grid or len(flag_values.gin_files) == 1:
        return ""
    return (
        f" --grid binds {of_grid[0]} in every experiment: run the experiments that have it with a "
        "command of their own, which may name the same --base_dir."
    )


def check_kinds(
    flag_values: flags.FlagValues, values: Sequence[Values], spaces: Sequence[Space]
) -> None:
    """Raises UserError unless --grid names spaces with --optuna, and only then."""
    if not flag_values.optuna:
        if spaces:
            raise UserError(
                f"--grid '{spaces[0]}' is a space to search: add --optuna and --trials, or write a list "
                "of values in brackets."
            )
        return
    if values:
        listed = ", ".join(values[0].values)
        raise UserError(
            f"--grid {values[0].parameter} names a list, but --optuna searches spaces: write "
            f"'{values[0].parameter}=choice({listed})'."
        )
    if not spaces:
        raise UserError(
            "--optuna needs a space to search, such as "
            "--grid 'Adam.learning_rate=loguniform(1e-5,1e-2)'."
        )
    for space in spaces:
        if space.parameter in ("Runner.num_iterations", "Runner.training_steps"):
            raise UserError(
                f"--grid names {space.parameter}, but a search compares runs of equal length: set "
                "it with --gin_bindings."
            )
    if len(flag_values.gin_files) > 1:
        raise UserError(
            "--optuna searches one experiment: give --gin_files once, and search each of the "
            "others with a command of its own."
        )
    if flag_values.trials is None:
        raise UserError("--trials is missing: say how many suggestions --optuna may make.")
    if flag_values.print_slurm:
        raise UserError(
            "--print_slurm goes with a grid, not with --optuna: the trials of a search are not "
            "known beforehand. Run the search itself as a job, or run it on Ray."
        )


def check_installed(flag_values: flags.FlagValues) -> None:
    """Raises UserError if an optional package is needed and missing."""
    asked = {"optuna": flag_values.optuna, "ray": flag_values.backend == "ray"}
    for module, (flag, name) in _EXTRAS.items():
        if asked[module] and importlib.util.find_spec(module) is None:
            raise UserError(f"{flag} needs {name}: pip install 'dopamine-lite[{module}]'.")


def check_flags(flag_values: flags.FlagValues, directory: Path) -> None:
    """Raises UserError if flags do not go together."""
    if not flag_values.gin_files:
        from dopamine_lite.study import study

        known = study.read(directory)
        again = (
            f"; the study in {directory} was begun by `{known['commands'][0]}`, which also resumes "
            "it"
            if known and known["commands"]
            else ""
        )
        raise UserError(
            "--gin_files is missing: name an experiment, such as --gin_files dqn/cartpole.gin, and "
            f"repeat the flag for each further experiment{again}."
        )
    for binding in flag_values.gin_bindings:
        if binding.partition("=")[0].strip() == "Runner.seed":
            raise UserError(
                "--gin_bindings cannot bind Runner.seed: name seeds with --seeds, such as --seeds "
                "0:5."
            )
    if flag_values.output and not flag_values.print_slurm:
        raise UserError(
            "--output goes with --print_slurm only: a study's directory is named with --base_dir."
        )
    if flag_values.print_slurm and (flag_values.parallel or flag_values.backend != "local"):
        raise UserError(
            "With --print_slurm, Slurm decides where trials run and how many at once: leave out "
            "--backend and --parallel."
        )
    for name in ("trials", "optuna_seed"):
        if flag_values[name].value is not None and not flag_values.optuna:
            raise UserError(f"--{name} goes with --optuna only.")
    for backend, names in OF_BACKENDS.items():
        for name in names:
            if flag_values[name].value is not None and flag_values.backend != backend:
                raise UserError(f"--{name} goes with --backend {backend} only.")
