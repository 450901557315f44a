"""`dopamine-lite evaluate`: how good is the agent of a run? Whole episodes, raw returns."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.paths import user_path
from dopamine_lite.common.plain_files import check_directory
from dopamine_lite.common.printable import printable

SUMMARY = "Plays whole episodes with a run's agent and prints their returns with an interval."
_RESAMPLES = 10_000


def define_flags(flag_values: flags.FlagValues) -> None:
    run_directory.define_base_dir(flag_values)
    run_directory.define_checkpoint(flag_values)
    run_directory.define_import(flag_values)
    run_directory.define_count(flag_values, "episodes", 100, "how many to play")
    run_directory.define_seed(flag_values)
    flags.DEFINE_string(
        "output",
        None,
        "where every episode's return is written, as JSON "
        "(default: evaluations/checkpoint-N-episodes-E-seed-S.json in the run's directory)",
        flag_values=flag_values,
    )


def run(flag_values: flags.FlagValues) -> None:
    from dopamine_lite.common import provenance

    directory = run_directory.existing_run(flag_values)
    evaluations = directory / "evaluations"
    named = user_path(flag_values.output) if flag_values.output else None
    if named is None:
        check_directory(evaluations)
    run_directory.check_output(named or evaluations / "result.json")
    runner, checkpoint = run_directory.load_run(
        directory, flag_values.checkpoint, flag_values["import"].value
    )
    seed = flag_values.seed
    episodes = runner.evaluate(flag_values.episodes, seed)
    returns = [episode.episode_return for episode in episodes]
    if not math.isfinite(sum(each * each for each in returns)):
        raise UserError(
            f"The returns of {runner.spec.id}, up to {max(map(abs, returns))}, are too great for a mean "
            "and a deviation: give it smaller rewards."
        )
    result: dict[str, Any] = {
        "environment": runner.spec.id,
        "protocol": dict(runner.spec.protocol),
        "checkpoint": checkpoint,
        "seed": seed,
        "versions": provenance.versions(),
        "summary": summary(returns),
        "returns": returns,
        "lengths": [episode.length for episode in episodes],
    }
    if names := runner.info_metrics.names:
        result["infos"] = {name: [episode.infos[name] for episode in episodes] for name in names}
    name = f"checkpoint-{checkpoint}-episodes-{len(episodes)}-seed-{seed}.json"
    output = named or evaluations / name
    run_directory.check_output(output)
    _write(output, result)
    _show(result, output)


def summary(returns: list[float]) -> dict[str, Any]:
    """Statistics of the `returns` of one agent's episodes.

    The 95 % interval of the mean is the percentile bootstrap (Efron 1979) over episodes; it and
    the standard deviation are None for a single episode.
    """
    import numpy as np

    values = np.array(returns)
    generator = np.random.default_rng(0)
    means = [generator.choice(values, len(values)).mean() for _ in range(_RESAMPLES)]
    several = len(values) > 1
    return {
        "episodes": len(values),
        "mean": float(values.mean()),
        "standard_deviation": float(values.std(ddof=1)) if several else None,
        "interval_95": np.percentile(means, [2.5, 97.5]).tolist() if several else None,
        "min": float(values.min()),
        "median": float(np.median(values)),
        "max": float(values.max()),
    }


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
    protocol = ", ".join(f"{name}={value}" for name, value in result["protocol"].items())
    print(f"  protocol: {printable(protocol) or 'as the environment comes'}")
    print(f"  written to {output}")
