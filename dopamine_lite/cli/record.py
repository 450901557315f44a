"""`dopamine-lite record`: films a run's agent at play, with step and score above the picture.

With `--explain`, it draws the agent's values, return distributions or policy beside the picture.
"""

from __future__ import annotations

import itertools
import math

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.common.errors import UserError
from dopamine_lite.experiment import film

SUMMARY = "Films a run's agent at play, as an .mp4 or .gif with step and score above the picture."
EXAMPLE = "dopamine-lite record --base_dir runs/cartpole --output runs/cartpole.mp4"


def define_flags(flag_values: flags.FlagValues) -> None:
    run_directory.define_base_dir(flag_values)
    run_directory.define_checkpoint(flag_values)
    run_directory.define_device(flag_values, "a GPU if there is one, else the CPU")
    run_directory.define_import(flag_values)
    run_directory.define_count(flag_values, "episodes", 1, "The number of episodes to film.")
    run_directory.define_seed(flag_values)
    flags.DEFINE_string(
        "output",
        None,
        "The file for the film, which ends in .mp4 or .gif. Required.",
        flag_values=flag_values,
    )
    flags.DEFINE_float(
        "fps",
        None,
        "The number of pictures per second. Each agent step is one picture. Default: the "
        "environment's own speed.",
        lower_bound=film.FEWEST_PICTURES_A_SECOND,
        upper_bound=film.MOST_PICTURES_A_SECOND,
        flag_values=flag_values,
    )
    flags.DEFINE_bool(
        "explain",
        False,
        "Show beside the game what the agent predicts: action values, distributions of the return, or "
        "its policy.",
        flag_values=flag_values,
    )


def run(flag_values: flags.FlagValues) -> None:
    directory = run_directory.existing_run(flag_values)
    output = run_directory.output_file(flag_values.output, film.SUFFIXES, "film.mp4")
    if flag_values.fps is not None and math.isnan(flag_values.fps):
        raise UserError("--fps=nan is not a number: give the pictures per second.")
    opened = run_directory.open_run(flag_values, directory)
    numbers = itertools.count(1)

    def on_episode(score: float, steps: int) -> None:
        print(f"episode {next(numbers)}: score {film.readable(score)} in {steps:,} steps")

    filmed = opened.record(
        output,
        flag_values.episodes,
        flag_values.seed,
        fps=flag_values.fps,
        explain=flag_values.explain,
        on_episode=on_episode,
    )
    print(f"{opened.spec.id}, checkpoint {opened.checkpoint:,}: written to {output}")
    for note in filmed.notes:
        print(f"  {note}")
