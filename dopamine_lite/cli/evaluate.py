"""`dopamine-lite evaluate`: how good is the agent of a run? Whole episodes, raw returns."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.common.printable import printable
from dopamine_lite.files.paths import user_path
from dopamine_lite.files.plain_files import check_directory

SUMMARY = "Plays whole episodes with a run's agent and prints their returns with an interval."
EXAMPLE = "dopamine-lite evaluate --base_dir runs/cartpole --episodes 100"


def define_flags(flag_values: flags.FlagValues) -> None:
    run_directory.define_base_dir(flag_values)
    run_directory.define_checkpoint(flag_values)
    run_directory.define_device(flag_values, "a GPU if there is one, else the CPU")
    run_directory.define_import(flag_values)
    flags.DEFINE_multi_string(
        "gin_bindings",
        [],
        "A binding that changes a setting of the run for this evaluation, such as "
        "EpsilonGreedy.epsilon_eval=0.05 or another game. The result records it.",
        flag_values=flag_values,
    )
    run_directory.define_count(flag_values, "episodes", 100, "The number of episodes to play.")
    run_directory.define_seed(flag_values)
    flags.DEFINE_string(
        "output",
        None,
        "The JSON file for the returns of all episodes. Default: "
        "evaluations/checkpoint-N-episodes-E-seed-S.json in the run's directory.",
        flag_values=flag_values,
    )


def run(flag_values: flags.FlagValues) -> None:
    directory = run_directory.existing_run(flag_values)
    evaluations = directory / "evaluations"
    named = user_path(flag_values.output) if flag_values.output else None
    if named is None:
        check_directory(evaluations)
    run_directory.check_output(named or evaluations / "result.json")
    opened = run_directory.open_run(flag_values, directory, flag_values.gin_bindings)
    result = opened.evaluate(flag_values.episodes, flag_values.seed).as_json()
    output = named or evaluations / _name(result)
    run_directory.check_output(output)
    _write(output, result)
    _show(result, output)


def _name(result: dict[str, Any]) -> str:
    """A file name that is unique among the evaluations of the run."""
    name = (
        f"checkpoint-{result['checkpoint']}-episodes-{result['summary']['episodes']}"
        f"-seed-{result['seed']}"
    )
    if "changed" in result:
        settings = json.dumps(result["changed"], sort_keys=True).encode()
        name += f"-changed-{hashlib.sha256(settings).hexdigest()[:8]}"
    return f"{name}.json"


def _write(path: Path, result: dict[str, Any]) -> None:
    """Writes `result` so that `path` is never half written."""
    with run_directory.written_aside(path) as aside:
        aside.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _show(result: dict[str, Any], output: Path) -> None:
    statistics = result["summary"]
    count = statistics["episodes"]
    print(
        f"{result['environment']}, checkpoint {result['checkpoint']:,}, seed {result['seed']}, "
        f"{count} episode{'s' * (count > 1)}, raw returns"
    )
    interval = ""
    if statistics["interval_95"]:
        low, high = statistics["interval_95"]
        interval = (
            f", standard deviation {statistics['standard_deviation']:,.2f}, 95 % interval of the "
            f"mean {low:,.2f} to {high:,.2f} (over the episodes of this one agent, not over seeds)"
        )
    print(f"  mean {statistics['mean']:,.2f}{interval}")
    print("  " + ", ".join(f"{name} {statistics[name]:,.2f}" for name in ("min", "median", "max")))
    for name, values in result.get("infos", {}).items():
        told = [value for value in values if value is not None]
        mean = f"mean {sum(told) / len(told):,.4g}" if told else "no value"
        print(f"  info {printable(name)}: {mean} (in {len(told)} of {count} episodes)")
    for name, each in result.get("changed", {}).items():
        print(printable(f"  {name}: {each['evaluated']} here, {each['trained']} in training"))
    protocol = ", ".join(f"{name}={value}" for name, value in result["protocol"].items())
    print(f"  protocol: {printable(protocol) or 'the defaults of the environment'}")
    print(f"  written to {output}")
