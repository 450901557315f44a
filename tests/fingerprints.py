"""Fingerprints of short runs of every experiment, to hold a change of the code against.

python -m tests.fingerprints record FILE [CASE...]     runs each case and writes what came out
python -m tests.fingerprints compare BEFORE AFTER      says which differ, and in what; status 1 if any

A change that moves code and means to change nothing gives the same fingerprints on the same machine. To
record those of an earlier commit, run this file in a `git worktree` of it.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dopamine_lite.checkpointing import Checkpointer
from dopamine_lite.common.types import RingSlots
from dopamine_lite.configuration import all_configs, packaged_configs
from tests.equal_runs import OF_A_RUN
from tests.integration.shrink import shrunk
from tests.processes import start

_DOORS = "'tests.doors:Doors-v0'"  # its observations come with masks
_VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {  # what no packaged experiment does
    "munchausen": (
        "dqn/cartpole.gin",
        (
            "DQNAgent.munchausen = @Munchausen",
            "DQNAgent.double = False",
            "DQNAgent.update_horizon = 1",
        ),
    ),
    "munchausen iqn": (
        "iqn/cartpole.gin",
        (
            "IQNAgent.munchausen = @Munchausen",
            "IQNAgent.double = False",
            "IQNAgent.update_horizon = 1",
        ),
    ),
    "8 streams": (
        "dqn/cartpole.gin",
        ("Runner.num_envs = 8", "Runner.checkpoint_every_steps = 20"),
    ),
    "8 streams, prioritized": (
        "rainbow/cartpole.gin",
        ("Runner.num_envs = 8", "Runner.checkpoint_every_steps = 20"),
    ),
    "boltzmann": ("dqn/cartpole.gin", ("DQNAgent.exploration = @Boltzmann",)),
    "every step": ("dqn/cartpole.gin", ("DQNAgent.update_period = 1",)),
    "plain rainbow": (
        "rainbow/cartpole.gin",
        ("RainbowAgent.categorical = False", "RainbowAgent.noisy = False"),
    ),
    "uneven": (
        "dqn/cartpole.gin",
        (
            "DQNAgent.update_period = 3",
            "DQNAgent.target_update_period = 7",
            "DQNAgent.update_horizon = 3",
            "Runner.num_envs = 2",
            "Runner.checkpoint_every_steps = 37",
            "Runner.log_every_steps = 5",
        ),
    ),
    "uneven ppo": (
        "ppo/cartpole.gin",
        (
            "PPOAgent.rollout_length = 7",
            "PPOAgent.num_minibatches = 2",
            "Runner.num_envs = 2",
            "Runner.checkpoint_every_steps = 37",
            "Runner.log_every_steps = 5",
        ),
    ),
    "uneven pqn": (
        "pqn/cartpole.gin",
        (
            "PQNAgent.rollout_length = 7",
            "PQNAgent.num_minibatches = 2",
            "Runner.num_envs = 2",
            "Runner.checkpoint_every_steps = 37",
            "Runner.log_every_steps = 5",
        ),
    ),
    "4 streams, table": ("classics/q_learning_grid_world.gin", ("Runner.num_envs = 4",)),
    "one stream, reinforce": ("classics/reinforce_lunar_lander.gin", ("Runner.num_envs = 1",)),
    "kl": ("ppo/cartpole.gin", ("PPOAgent.surrogate = 'kl'",)),
    "normalized": (
        "ppo/cartpole.gin",
        ("PPOAgent.normalize_observations = True", "PPOAgent.normalize_rewards = True"),
    ),
}


def cases() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Config and bindings by name."""
    names = sorted(path.relative_to(packaged_configs()).as_posix() for path in all_configs())
    plain = {name: (name, ()) for name in names if not name.startswith(("atari/", "minatar/"))}
    masked = {
        f"masks, {agent}": (f"{agent}/cartpole.gin", (f"create_environment.id = {_DOORS}",))
        for agent in ("dqn", "c51", "qr_dqn", "iqn", "rainbow", "pqn", "ppo")
    }
    return plain | _VARIANTS | masked


def fingerprint(run: Path) -> dict[str, Any]:
    """What equal runs have in common, without the names that a checkpoint gives to its arrays."""
    lines = (run / "logs" / "iterations.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    state = dict(Checkpointer(run / "checkpoints").load(rings=True).state)
    for name in OF_A_RUN:
        del state[name]
    return {
        "iterations": [{key: record[key] for key in record if key != "time"} for record in records],
        "episodes": _digest((run / "logs" / "episodes.jsonl").read_bytes()),
        "arrays": sorted(
            _digest(array.tobytes(), str(array.dtype), str(array.shape)) for array in _arrays(state)
        ),
    }


def _arrays(tree: Any) -> Iterator[np.ndarray]:
    if isinstance(tree, np.ndarray):
        yield tree
    elif isinstance(tree, RingSlots):
        for block in tree.blocks(tree.first):
            yield from block.values()
    elif isinstance(tree, dict | list | tuple):
        for each in tree.values() if isinstance(tree, dict) else tree:
            yield from _arrays(each)


def _digest(*parts: bytes | str) -> str:
    texts = (part if isinstance(part, bytes) else part.encode() for part in parts)
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


def record(names: list[str]) -> dict[str, Any]:
    """The fingerprints of the cases of these names, or of all; each in a process of its own."""
    known = cases()
    found = {}
    for name in names or known:
        config, bindings = known[name]
        flags = [*shrunk(config), *(f"--gin_bindings={binding}" for binding in bindings)]
        with tempfile.TemporaryDirectory() as directory:
            run, output = Path(directory, "run"), Path(directory, "output")
            arguments = ["train", "--base_dir", str(run), "--gin_files", config, *flags]
            process = start(arguments, output)
            process.join()
            if process.exitcode:
                raise RuntimeError(f"{name}: {output.read_text()}")
            found[name] = fingerprint(run)
        print(name, flush=True)
    return found


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[str]]:
    """By case, in what it differs."""
    found = {}
    for name in {**before, **after}:
        if name not in before or name not in after:
            found[name] = ["only there " + ("before" if name in before else "after")]
            continue
        parts = [part for part in before[name] if before[name][part] != after[name][part]]
        if parts:
            found[name] = parts
    return found


def main(arguments: list[str]) -> int:
    command, *rest = arguments
    if command == "record":
        file, *names = rest
        Path(file).write_text(json.dumps(record(names), indent=1))
        return 0
    before, after = (json.loads(Path(file).read_text()) for file in rest)
    differing = differences(before, after)
    for name, parts in differing.items():
        print(f"{name}: {', '.join(parts)}")
    print(f"{len(differing)} of {len({**before, **after})} differ")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
