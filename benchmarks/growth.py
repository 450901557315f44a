"""Agent steps per second as work grows: with environments, actors, the replay, the network's width.

`python benchmarks/growth.py --agents dqn ppo --num_envs 1 8 64` measures each agent with each number of
environments, and likewise with every other flag that takes several values. Each case is a process of its
own that trains until it is warm, and then for as many seconds as are asked for. Beside the speed stands
where the time went, the memory of the process and, where `nvidia-smi` is found, the share of time in
which the GPU computed. With `--save`, the rows are kept in growth.csv, which page.py makes tables of.
Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import psutil
from rich.console import Console
from rich.table import Table
from rows import GROWTH, MACHINE, machine, replace

from dopamine_lite.common.machine import processor, usable_cores

CONFIGS = {"cartpole": "cartpole.gin", "pong": "atari.gin"}
AGENTS = {
    "dqn": "DQNAgent",
    "c51": "C51Agent",
    "qr_dqn": "QRDQNAgent",
    "iqn": "IQNAgent",
    "rainbow": "RainbowAgent",
    "ppo": "PPOAgent",
}
PRIORITIZED = (("qr_dqn", "pong"), ("rainbow", "pong"), ("rainbow", "cartpole"))  # their replays
FLAGS = {  # what may grow, and the parameter that says so
    "num_envs": "Runner.num_envs",
    "actors": "Runner.actors",
    "policy_lag": "Runner.policy_lag",
    "replay_capacity": "CircularReplay.replay_capacity",
    "hidden_units": "MLP.hidden_units",
}
CASE = ("agent", "game", "device", "fill", *FLAGS)
WARM_STEPS = 2_000  # before anything is measured; for PPO, one rollout at least


def bindings(case: dict[str, Any]) -> list[str]:
    """What is bound beside the config of the agent."""
    name = AGENTS[case["agent"]]
    bound: dict[str, Any] = {
        "Runner.schedule": '"continuous_train"',
        "Runner.evaluation_steps": None,
        "Runner.evaluation_episodes": None,
        "Runner.checkpoint_every_steps": None,
        "Runner.training_steps": 10**9,
        "tensorflow_devices.device": json.dumps(case["device"]) if case["device"] else None,
    }
    if case["agent"] != "ppo":
        bound[f"{name}.min_replay_history"] = max(case["fill"] or 0, WARM_STEPS // 2)
    for flag, parameter in FLAGS.items():
        if case[flag] is not None:
            bound[parameter] = case[flag]
    if case["replay_capacity"] and (case["agent"], case["game"]) in PRIORITIZED:
        bound["PrioritizedReplay.replay_capacity"] = bound.pop(FLAGS["replay_capacity"])
    if case["actors"] == 0:
        bound["Runner.actors"] = None
    if case["hidden_units"]:
        bound["MLP.hidden_units"] = (case["hidden_units"],) * 2
    return [f"{name} = {value}" for name, value in bound.items()] + case["gin_bindings"]


def measure(case: dict[str, Any]) -> None:
    """Trains until it has been measured, prints what was found as JSON and ends the process."""
    from dopamine_lite import Experiment

    config = f"{case['agent']}/{CONFIGS[case['game']]}"
    with tempfile.TemporaryDirectory() as directory:
        runner = Experiment(config, bindings(case)).runner(Path(directory) / "run")
        training, stage = runner.training, runner.stage
        stop_if_signaled, begun = stage.after_step, time.perf_counter()
        cycle = runner.agent._size if case["agent"] == "ppo" else 1  # agent steps of a rollout
        warm = max(WARM_STEPS, case["fill"] or 0, cycle)
        window: dict[str, Any] = {}

        def after_step() -> None:
            stop_if_signaled()
            now = time.perf_counter()
            if runner.agent_steps < warm or runner.agent_steps % cycle:
                return
            if not window:
                window.update(start=now, steps=runner.agent_steps, gpu=Utilization())
                training._stopwatch.take()
            elif now - window["start"] >= case["seconds"]:
                seconds, parts = now - window["start"], training._stopwatch.take()
                found = {
                    "steps_per_second": (runner.agent_steps - window["steps"]) / seconds,
                    "parts": {part: taken / seconds for part, taken in parts.items()},
                    "warm_seconds": window["start"] - begun,
                    "memory": psutil.Process().memory_info().rss,
                    "gpu_busy": window["gpu"].stop(),
                }
                print(json.dumps(found), flush=True)
                for child in psutil.Process().children(recursive=True):
                    child.kill()
                shutil.rmtree(directory, ignore_errors=True)
                os._exit(0)

        stage.after_step = after_step
        runner.run()


class Utilization:
    """How busy the first GPU is, by `nvidia-smi`, several times a second."""

    def __init__(self) -> None:
        program = shutil.which("nvidia-smi")
        command = [program, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms"]
        self._process = program and subprocess.Popen(
            [*map(str, command), "200", "-i", "0"], stdout=subprocess.PIPE, text=True
        )

    def stop(self) -> float | None:
        """The mean share of time since this was made, from 0 to 1; None if it is not known."""
        if not self._process:
            return None
        self._process.terminate()
        lines = (self._process.communicate()[0] or "").split()
        shares = [int(line) / 100 for line in lines if line.isdecimal()]
        return sum(shares) / len(shares) if shares else None


def grown(arguments: argparse.Namespace) -> None:
    """Measures every case, and prints a table; with `--save`, keeps the rows in growth.csv."""
    several = {name: getattr(arguments, name) or [None] for name in ("agents", *FLAGS)}
    names = ["agent", *FLAGS]
    shown = [name for name, values in zip(names, several.values(), strict=True) if values != [None]]
    table = Table(*shown, "steps/s", "memory", "GPU", "where the time went")
    for values in itertools.product(*several.values()):
        case = dict(zip(names, values, strict=True)) | {
            name: getattr(arguments, name)
            for name in ("game", "device", "seconds", "fill", "gin_bindings")
        }
        command = [sys.executable, __file__, "--case", json.dumps(case)]
        row = [str(case[name]) for name in shown]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=arguments.limit)
            done.check_returncode()
        except subprocess.SubprocessError as error:
            table.add_row(*row, "failed")
            print(error, str(error.stderr or "")[-2_000:], file=sys.stderr)  # type: ignore[attr-defined]
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        parts = sorted(found["parts"].items(), key=lambda part: -part[1])
        busy = found["gpu_busy"]
        row += [
            f"{found['steps_per_second']:,.0f}",
            f"{found['memory'] / 1e9:.2f} GB",
            "" if busy is None else f"{busy:.0%}",
            ", ".join(f"{name} {share:.0%}" for name, share in parts[:5] if share >= 0.02),
        ]
        table.add_row(*row)
        print("\t".join(row), flush=True)
        if arguments.save:
            kept = {name: "" if case[name] is None else case[name] for name in CASE}
            figures = {
                "steps_per_second": round(found["steps_per_second"], 1),
                "update": round(found["parts"].get("update", 0), 3),
                "memory": found["memory"],
                "gpu_busy": busy,
            }
            replace(GROWTH, (*MACHINE, *CASE, *figures), CASE, [machine() | kept | figures])
    where = arguments.device or "by default"
    print(f"{arguments.game}, {processor()}, {usable_cores()} cores, device {where}:")
    Console(width=150).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", nargs="+", choices=AGENTS, default=["dqn"])
    parser.add_argument("--game", choices=CONFIGS, default="pong")
    parser.add_argument("--device", help="as the flag of train")
    parser.add_argument("--seconds", type=float, default=10.0, help="that each case is measured")
    parser.add_argument("--fill", type=int, help="frames in the replay before it is measured")
    parser.add_argument("--limit", type=float, help="seconds that a case may take in all")
    parser.add_argument(
        "--gin_bindings", nargs="+", default=[], help="for all cases, without --save"
    )
    parser.add_argument("--save", action="store_true", help="keep the rows in growth.csv")
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--num_envs", nargs="+", type=int, default=[1])
    parser.add_argument("--actors", nargs="+", type=int, help="0: none apart from the learner")
    parser.add_argument("--policy_lag", nargs="+", type=int)
    parser.add_argument("--replay_capacity", nargs="+", type=int)
    parser.add_argument("--hidden_units", nargs="+", type=int, help="of two layers each")
    arguments = parser.parse_args()
    if arguments.save and arguments.gin_bindings:
        parser.error("the rows do not say what was bound: give --save or --gin_bindings")
    if arguments.case:
        measure(arguments.case)
    else:
        grown(arguments)
