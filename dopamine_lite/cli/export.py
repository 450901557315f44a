"""`dopamine-lite export`: a run's policy as a model that does not need this package."""

from __future__ import annotations

import os
from pathlib import Path

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.common.errors import UserError
from dopamine_lite.files.outputs import check_output, written_aside
from dopamine_lite.files.paths import user_path

SUMMARY = "Writes a run's policy as a SavedModel or a Keras model that runs without this package."
EXAMPLE = "dopamine-lite export --base_dir runs/cartpole --output runs/cartpole_policy"
_FORMATS = ("savedmodel", "keras")


def define_flags(flag_values: flags.FlagValues) -> None:
    run_directory.define_base_dir(flag_values)
    run_directory.define_checkpoint(flag_values)
    run_directory.define_import(flag_values)
    flags.DEFINE_enum(
        "format",
        "savedmodel",
        _FORMATS,
        "The kind of model. savedmodel maps observations to actions and values, for any agent with a "
        "network. keras maps them to the network's outputs, for networks made of Keras's own layers "
        "only.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "output",
        None,
        "Where to write the model: a new directory for savedmodel, a file that ends in .keras for "
        "keras. Required.",
        flag_values=flag_values,
    )


def run(flag_values: flags.FlagValues) -> None:
    directory = run_directory.existing_run(flag_values)
    if flag_values.format == "keras":
        output = run_directory.output_file(flag_values.output, (".keras",), "policy.keras")
    else:
        output = _new_directory(flag_values.output)
    opened = run_directory.open_run(flag_values, directory)
    with written_aside(output) as aside:
        opened.agent.export(aside, format=flag_values.format)
    print(f"{opened.spec.id}, checkpoint {opened.checkpoint:,}: written to {output}")
    if wrappers := opened.spec.protocol.get("wrappers"):
        print(
            f"The model does not contain the wrappers: do yourself what {', '.join(wrappers)} did."
        )


def _new_directory(output: str | None) -> Path:
    if not output:
        raise UserError("--output is missing: name a new directory, such as --output policy.")
    path = user_path(output)
    if os.path.lexists(path):
        raise UserError(f"{path} already exists: name a new directory with --output.")
    check_output(path)
    return path
