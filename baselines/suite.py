"""Runs a suite of baselines: a sweep, whose runs are evaluated and shown as they are there.

python baselines/suite.py classic [--base_dir runs/baselines/classic] [--collect] [flags of `sweep`]

Given again it goes on where it was stopped: the sweep resumes its runs, and a run that has been
evaluated is not evaluated again. The table of the finished runs is printed, also where a trial failed.
Nothing outside --base_dir is written, except with --collect: then these runs go into the CSV files
beside this file, where they replace the rows of the same config, environment, bindings and seed, and
into the documents' tables and figures. Further flags go to `dopamine-lite sweep`, such as --seeds 0:3,
--parallel 1, --backend ray or --print_slurm.
"""

from __future__ import annotations

import contextlib
import csv
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import collect
import tables

from dopamine_lite.common.errors import UserError
from dopamine_lite.runner.directory import find_runs, progress

_MINATAR = ("asterix", "breakout", "freeway", "seaquest", "space_invaders")
_VALUE_AGENTS = ("dqn", "c51", "qr_dqn", "iqn", "rainbow")
_AGENTS = (*_VALUE_AGENTS, "ppo")


def _files(*names: str) -> list[str]:
    return [f"--gin_files={name}.gin" for name in names]


def _games(parameter: str, games: tuple[str, ...]) -> str:
    return f"--grid={parameter}=[{','.join(repr(game) for game in games)}]"


_CARRIED_OUT = (0, 1)  # exit statuses of `sweep`; 1: a trial failed

SUITES: dict[str, list[str]] = {  # by name: the flags of `sweep`
    "classic": [
        *_files(*(f"{agent}/cartpole" for agent in (*_AGENTS, "pqn"))),
        *_files(*(f"{agent}/acrobot" for agent in (*_AGENTS, "pqn"))),
        *_files("dqn/mountain_car", "ppo/pendulum", "sac/pendulum", "sac/mountain_car_continuous"),
        "--seeds=0:10",
    ],
    "box2d": [
        *_files(*(f"{agent}/lunar_lander" for agent in _AGENTS), "ppo/lunar_lander_continuous"),
        *_files("sac/lunar_lander_continuous", "sac/bipedal_walker"),
        "--seeds=0:10",
    ],
    "minatar": [
        *_files(*(f"{agent}/minatar" for agent in (*_AGENTS, "pqn"))),
        _games("MinAtarEnvironment.game", _MINATAR),
        "--seeds=0:5",
    ],
    "classics": [
        *_files(
            *(
                "classics/q_learning_grid_world",
                "classics/q_learning_cliff",
                "classics/sarsa_cliff",
            ),
            *("classics/q_learning_cartpole", "classics/sarsa_cartpole"),
            *("classics/double_q_cartpole", "classics/q_learning_maximisation_bias"),
            *("classics/double_q_maximisation_bias", "classics/dqn_boltzmann_cartpole"),
        ),
        "--seeds=0:5",
    ],
    "policy_lag": [  # beside the same without the lag
        *_files("dqn/cartpole", "dqn/lunar_lander", "dqn/minatar"),
        *("--gin_bindings=Runner.actors=1", "--gin_bindings=Runner.actor_backend='threads'"),
        *("--grid=Runner.policy_lag=[0,1]", "--seeds=0:10"),
    ],
    "precision": [
        *_files("dqn/minatar"),
        *("--gin_bindings=DQNAgent.torso=@SmallCNN",),
        *("--grid=SmallCNN.precision=['float32','bfloat16']", "--seeds=0:5"),
    ],
    "pong": [
        *_files("dqn/atari", "rainbow/atari"),
        "--gin_bindings=Runner.num_envs = 8",
        "--gin_bindings=Runner.checkpoint_every_steps = 31250",
        "--seeds=0:5",
    ],
}


def main(arguments: list[str]) -> int:
    """Runs a suite; returns the exit status of the sweep."""
    if not arguments or arguments[0] not in (*SUITES, "atari60"):
        raise UserError(f"Name a suite: one of {', '.join([*SUITES, 'atari60'])}.")
    name, *further = arguments
    collects = "--collect" in further
    further = [flag for flag in further if flag != "--collect"]
    base_dir = Path("runs", "baselines", name)
    if "--base_dir" in further:
        place = further.index("--base_dir")
        base_dir = Path(further[place + 1])
        del further[place : place + 2]
    given = {flag.partition("=")[0] for flag in further}
    usual = [
        flag for flag in _flags(name) if not (flag.startswith("--seeds") and "--seeds" in given)
    ]
    status = _command("sweep", "--base_dir", str(base_dir), *usual, *further)
    if "--print_slurm" in given or not base_dir.is_dir() or status not in _CARRIED_OUT:
        return status
    finished = [run for run in find_runs(base_dir) if progress(run).finished]
    for run in finished:
        if not collect.is_evaluated(run):
            ended = _command("evaluate", "--base_dir", str(run), f"--episodes={collect.EPISODES}")
            if ended:
                return ended
    evaluated = [run for run in finished if collect.is_evaluated(run)]
    if not collects:
        collect.show(evaluated)
        return status
    collect.main(evaluated)
    tables.main()
    for figures in ("curves", "results"):
        script = HERE.parent / "tools" / "figures" / f"{figures}.py"
        subprocess.run([sys.executable, script], check=True)
    return status


def _flags(name: str) -> list[str]:
    if name != "atari60":
        return SUITES[name]
    with (HERE / "published" / "dopamine.csv").open(newline="") as file:
        games = tuple(sorted({row["environment"] for row in csv.DictReader(file)}))
    return [
        *_files("dqn/atari", "c51/atari", "iqn/atari", "rainbow/atari"),
        _games("AtariEnvironment.game", games),
        "--seeds=0:5",
    ]


def _command(*arguments: str) -> int:
    print(f"$ dopamine-lite {shlex.join(arguments)}", file=sys.stderr, flush=True)
    with subprocess.Popen([sys.executable, "-m", "dopamine_lite", *arguments]) as process:
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # the command has it, too, and says so
                return process.wait()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"suite.py: {error}", file=sys.stderr)
        sys.exit(2)
