"""Measures what a replay of Pong takes in each framework, and what it takes to save it and to go on.

python benchmarks/peers/measure_replays.py --frames 200000

Each framework plays at random until its replay is full, saves everything that training can be resumed
from, plays 10,000 frames more and saves again. Another process then goes on from what was saved. The
results are the rows of replays.csv.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measure import OURS, Failure, Process, Row, install, machine, read, write

REPLAYS = Path(__file__).parent / "replays.csv"
COLUMNS = (
    *("session", "peer", "framework", "version", "frames", "first_step_seconds"),
    *("resident_at_first", "resident", "first_save_seconds", "first_saved"),
    *("second_save_seconds", "second_saved", "resume_seconds", "processor", "cores", "failure"),
)
WORKLOAD = {  # by peer; those that cannot step several environments have one
    OURS: "pong_dqn_8",
    "sb3": "pong_dqn_8",
    "tianshou": "pong_dqn_8",
    "cleanrl": "pong_dqn",
    "dopamine": "pong_dqn",
}
MOST_SECONDS = 1_800  # for filling and saving


def measure(name: str, frames: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="replay-") as place:
        flags = ("--frames", str(frames), "--directory", place)
        process = Process(name, WORKLOAD[name], 0, "", *flags)
        try:
            row = process.answer(MOST_SECONDS)
        finally:
            process.__exit__()
        if "first_saved" in row:
            process = Process(name, WORKLOAD[name], 0, "", *flags, "--resume")
            try:
                row["resume_seconds"] = process.answer(MOST_SECONDS)["first_step_seconds"]
            finally:
                process.__exit__()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="+", choices=WORKLOAD, default=list(WORKLOAD))
    parser.add_argument("--frames", type=int, default=200_000)
    arguments = parser.parse_args()
    for name in arguments.peers:
        try:
            if name != OURS:
                install(name)
            row = measure(name, arguments.frames)
        except Failure as failure:
            row = {"failure": str(failure)}
        print(name, row, flush=True)
        kept = [each for each in read(REPLAYS) if each["peer"] != name]
        write(REPLAYS, COLUMNS, [*kept, machine() | {"peer": name} | row])


if __name__ == "__main__":
    main()
