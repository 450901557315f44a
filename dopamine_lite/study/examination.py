"""Finds out what the trials of a study need, in a separate process before the first trial starts.

The only way to know that a configuration is valid is to build the experiment, which needs TensorFlow.
Every name must exist, something must use every binding, and the environment and the agent must fit
together. The examination builds each variant of a study once, and writes nothing.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dopamine_lite.common.errors import UserError
from dopamine_lite.study.study import Trial, Variant

_THREADS = "tensorflow_threads.intra_op"
_PROCESS = (
    900_000_000  # bytes of a training process without its replay: TensorFlow, what it compiles
)
# A module's main. The current directory is removed from the first places to look for modules.
_CODE = (
    "import dopamine_lite, sys; sys.path[:] = filter(None, sys.path); "
    "from dopamine_lite.study.examination import main; main()"
)


@dataclass(frozen=True)
class Needs:
    """A trial's needs of a machine.

    Attributes:
      cores: the number of cores that its threads and processes can keep busy.
      memory: the greatest number of bytes that it will need, as far as this is known beforehand.
    """

    cores: int
    memory: int


@dataclass(frozen=True)
class Examined:
    """The result of a variant's examination."""

    variant: Variant  # with its number of threads bound
    iterations: int
    agent_steps: int
    needs: Needs
    callbacks: tuple[str, ...]  # its callbacks, as gin text
    evaluates: bool


def examine(
    study: Path, variants: Sequence[Variant], seeds: Sequence[int], threads: int | None
) -> list[Examined]:
    """Builds each variant once.

    Args:
      study: the study's directory. Runs that are already in it must belong to the same experiments.
      variants: the configurations to examine.
      seeds: the seeds of each variant.
      threads: the number of TensorFlow's threads in each trial; None: the number in the configuration,
        else 1. Results depend on it, so it is never taken from the machine.

    Raises:
      UserError: a configuration is not valid, or a run in the directory belongs to another experiment.
    """
    questions = {
        "study": str(study),
        "variants": [asdict(variant) for variant in variants],
        "seeds": list(seeds),
        "threads": threads,
    }
    with tempfile.TemporaryDirectory() as directory:
        asked, answered = Path(directory, "questions.json"), Path(directory, "answers.json")
        asked.write_text(json.dumps(questions))
        command = [sys.executable, "-c", _CODE, str(asked), str(answered)]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, process_group=0).returncode
        if not answered.exists():
            raise UserError(
                f"The configurations could not be checked (exit status {status}): the reason is "
                "printed above."
            )
        answers = json.loads(answered.read_text())
    if "refused" in answers:
        several = len({variant.name for variant in variants}) > 1
        of = f"{answers['variant']}: " if several else ""
        raise UserError(of + answers["refused"])
    return [
        Examined(
            Variant(
                variant.name, variant.gin_files, (*variant.bindings, *answer["further_bindings"])
            ),
            answer["iterations"],
            answer["agent_steps"],
            Needs(answer["cores"], answer["memory"]),
            tuple(answer["callbacks"]),
            answer["evaluates"],
        )
        for variant, answer in zip(variants, answers["variants"], strict=True)
    ]


def trials(examined: Sequence[Examined], seeds: Sequence[int]) -> list[Trial]:
    """Every variant with every seed. All first seeds come first, for early comparisons."""
    return [
        Trial(each.variant, seed, each.iterations, each.agent_steps)
        for seed in seeds
        for each in examined
    ]


def main() -> None:
    """Answers questions in the process that `examine` starts."""
    asked, answered = map(Path, sys.argv[1:])
    questions = json.loads(asked.read_text())
    answered.write_text(json.dumps(_answers(questions)))


def _answers(questions: Mapping[str, Any]) -> dict[str, Any]:
    """The answers on all variants, or the error of the first invalid one."""
    found = []
    for variant in questions["variants"]:
        try:
            found.append(_answer(questions, variant))
        except UserError as error:
            return {"refused": str(error), "variant": variant["name"]}
        gc.collect()  # an agent is full of cycles, and hundreds of agents take gigabytes
        gc.freeze()  # what is left stays: later collections, in milliseconds, leave it out
    return {"variants": found}


def _answer(questions: Mapping[str, Any], variant: Mapping[str, Any]) -> dict[str, Any]:
    """Builds a variant in this process."""
    from dopamine_lite import configuration
    from dopamine_lite.runner.identity import check_same_config
    from dopamine_lite.runner.runner import Runner

    study, seeds = Path(questions["study"]), questions["seeds"]
    place = study / variant["name"]
    rule = configuration.ImportRule(run_directory=study)
    further = [f"Runner.seed = {seeds[0]}"]
    configuration.load(variant["gin_files"], [*variant["bindings"], *further], rule)
    threads = _thread_bindings(questions["threads"])
    configuration.load(variant["gin_files"], [*variant["bindings"], *threads, *further], rule)
    with contextlib.redirect_stderr(io.StringIO()):  # the trials themselves will print it
        runner = configuration.construct(Runner, place / f"seed={seeds[0]}")
    runner.check()
    processes = 1 + runner.settings.actor_processes
    for seed in seeds:
        config = runner.config.replace(f"\nRunner.seed = {seeds[0]}\n", f"\nRunner.seed = {seed}\n")
        check_same_config(place / f"seed={seed}" / "config.gin", config)
    return {
        "further_bindings": threads,
        "iterations": runner.settings.num_iterations,
        "agent_steps": runner.settings.planned_steps,
        "cores": processes * _bound_threads(configuration.statements(runner.config)),
        "memory": processes * _PROCESS + getattr(runner.agent, "memory_bytes", 0),
        "callbacks": list(map(repr, _bound("Runner.callbacks") or ())),
        "evaluates": runner.settings.evaluates,
    }


def _thread_bindings(threads: int | None) -> list[str]:
    """The binding that fixes TensorFlow's threads, unless the loaded configuration does."""
    if threads is not None:
        return [f"{_THREADS} = {threads}"]
    return [] if _bound(_THREADS) is not None else [f"{_THREADS} = 1"]


def _bound(parameter: str) -> Any:
    """The value that the loaded configuration binds to a parameter; None if there is none."""
    import gin

    try:
        return gin.query_parameter(parameter)
    except ValueError:
        return None


def _bound_threads(statements: Mapping[str, str]) -> int:
    """The bound number of TensorFlow's threads, with macros resolved."""
    value = statements[_THREADS]
    while value.startswith("%"):
        value = statements[value[1:]]
    return int(value)
