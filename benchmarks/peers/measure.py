"""Measures training loops beside those of other frameworks, and writes what it finds to speed.csv.

python benchmarks/peers/measure.py --peers sb3 dopamine --workloads pong_dqn --rounds 3

Each framework runs in a process, and each peer in a virtual environment of its own under .peers/. For a
workload, all processes are started and warmed up. Then each runs one window after the other while the
others stand still, round after round, so that whatever the machine does meets all of them. A framework
is first tried with one thread and with all cores, and with each way that it has of stepping
environments; its fastest is measured. What has been measured stays, unless it is asked for `--again`.

CleanRL's scripts are fetched from its repository, or from where CLEANRL_SOURCE says.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from rows import Row, machine, processor, read, write
from workloads import WORKLOADS, Workload

ROOT = HERE.parents[1]
PLACE = ROOT / ".peers"  # of virtual environments and logs
SPEED = HERE / "speed.csv"
OURS = "ours"
CLEANRL_COMMIT = "fe8d8a03c41a7ef5b523e2e354bd01c363e786bb"
CLEANRL_SOURCE = os.environ.get("CLEANRL_SOURCE", "https://github.com/vwxyzjn/cleanrl")
COLUMNS = (
    *("session", "workload", "peer", "framework", "version", "variant", "threads", "envs"),
    *("parameters", "round", "steps", "updates", "seconds", "steps_per_second"),
    *("first_step_seconds", "warm_seconds", "processor", "cores", "peak_gflops"),
    "failure",
)
TRIAL_SECONDS = 3.0
TRIAL = 0  # the round of windows that choose threads and variants
START_SECONDS = 400  # until a framework has warmed up


class Peer(NamedTuple):
    """How to run a framework."""

    script: str
    venv: str  # its directory, and the name of its requirements
    variants: tuple[str, ...] = ("",)
    in_processes: bool = False  # whether it can step environments in processes


PEERS = {
    "sb3": Peer("run_sb3.py", "sb3", in_processes=True),
    "sbx": Peer("run_sbx.py", "sbx", in_processes=True),
    "tianshou": Peer("run_tianshou.py", "tianshou", in_processes=True),
    "tianshou_checked": Peer("run_tianshou.py", "tianshou", ("checked",)),
    "cleanrl": Peer("run_cleanrl.py", "cleanrl"),
    "dopamine": Peer("run_dopamine.py", "dopamine"),
    "dopamine_same": Peer("run_dopamine.py", "dopamine", ("same",)),
}

_OURSELVES = Peer("run_ours.py", "")


class Failure(Exception):
    """Why a framework could not be measured, in one line."""


class Process:
    """A framework in a process of its own, whose answers are read line by line."""

    def __init__(self, name: str, key: str, threads: int, variant: str, *flags: str):
        self.peer, self.key, self.threads, self.variant = name, key, threads, variant
        self._directory = tempfile.TemporaryDirectory(prefix="peers-")
        log = Path(self._directory.name, "stderr")
        command = [*command_of(name), key, "--threads", str(threads), "--variant", variant, *flags]
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [*command, "--started", str(time.time())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=self._directory.name,
                env=environment_of(name),
                start_new_session=True,
            )
        self._log = log
        self.facts: Row = {}

    def __enter__(self) -> Self:
        try:
            self.facts = self.answer(START_SECONDS)  # once it has warmed up
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(
                    self._process.pid, signal.SIGKILL
                )  # with the processes of its environments
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._directory.cleanup()

    def window(self, seconds: float) -> Row:
        """Steps, updates and seconds of a window; raises Failure if the updates are not those due."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()
        done, workload = self.answer(20 * seconds + 300), WORKLOADS[self.key]
        due = done["steps"] * workload.updates_per_cycle / workload.cycle
        if done["updates"] != due:
            raise Failure(
                f"{done['updates']} updates in {done['steps']} steps, where {due} are due"
            )
        return done | {"steps_per_second": round(done["steps"] / done["seconds"], 1)}

    def answer(self, seconds: float) -> Row:
        """The next answer; raises Failure if none comes within so many seconds."""
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        if not ready:
            raise Failure(f"no answer within {seconds:.0f} seconds")
        written = [line.strip() for line in self._log.read_text(errors="replace").splitlines()]
        raise Failure(next((line for line in reversed(written) if line), "it ended without a word"))


def command_of(name: str) -> list[str]:
    if name == OURS:
        return [sys.executable, str(HERE / _OURSELVES.script)]
    peer = PEERS[name]
    return [str(PLACE / peer.venv / "bin" / "python"), str(HERE / peer.script)]


def environment_of(name: str) -> dict[str, str]:
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if name == OURS:
        return variables | {"PYTHONPATH": str(ROOT)}
    return variables | {"CLEANRL": str(PLACE / "CleanRL"), "CLEANRL_COMMIT": CLEANRL_COMMIT}


def install(name: str) -> None:
    """Makes the peer's virtual environment, unless it is there; raises Failure if it cannot be made."""
    peer = PEERS[name]
    requirements, place = HERE / "requirements" / f"{peer.venv}.txt", PLACE / peer.venv
    marker, digest = place / "installed", hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not marker.exists() or marker.read_text() != digest:
        print(f"installing {peer.venv} ...", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(place))
        pip = (str(place / "bin" / "python"), "-m", "pip", "install", "--quiet")
        _run(*pip, "--requirement", str(requirements))
        marker.write_text(digest)
    source = PLACE / "CleanRL"
    if peer.venv == "cleanrl" and not (source / "cleanrl").exists():
        _run("git", "init", "--quiet", str(source))
        _run(
            "git",
            "-C",
            str(source),
            "fetch",
            "--quiet",
            "--depth=1",
            CLEANRL_SOURCE,
            CLEANRL_COMMIT,
        )
        _run("git", "-C", str(source), "checkout", "--quiet", "FETCH_HEAD")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.strip()]
        raise Failure(f"{Path(command[0]).name}: {words[-1] if words else done.returncode}")


def candidates(name: str, workload: Workload) -> Iterator[tuple[int, str]]:
    """The threads and variants that a framework is tried with."""
    peer, cores = PEERS.get(name, _OURSELVES), len(os.sched_getaffinity(0))
    variants = list(peer.variants)
    if peer.in_processes and workload.environment != "CartPole-v1" and workload.num_envs > 1:
        variants.append("processes")
    for threads in sorted({1, cores} if workload.settings else {1}):
        for variant in variants:
            yield threads, variant


def best(
    name: str, key: str, seconds: float, stack: contextlib.ExitStack, rows: list[Row]
) -> Process:
    """A framework's fastest process, running; the others have ended. Each trial is a row of round 0."""
    fastest, fastest_speed, failure = None, 0.0, Failure("nothing to try")
    for threads, variant in candidates(name, WORKLOADS[key]):
        try:
            process = stack.enter_context(Process(name, key, threads, variant))
            trial = process.window(seconds)
        except Failure as caught:
            failure = Failure(f"threads {threads} {variant}: {caught}")
            continue
        rows.append(row_of(process, trial | {"round": TRIAL}))
        slower = process
        if trial["steps_per_second"] > fastest_speed:
            slower, fastest, fastest_speed = fastest, process, trial["steps_per_second"]
        if slower is not None:
            slower.__exit__()  # and again with the stack, which does nothing
    if fastest is None:
        raise failure
    return fastest


def row_of(process: Process, window: Row) -> Row:
    workload = WORKLOADS[process.key]
    known = {"workload": process.key, "peer": process.peer, "envs": workload.num_envs}
    known |= {"variant": process.variant} | process.facts
    return {name: value for name, value in (known | window).items() if name in COLUMNS}


def measure(key: str, names: Sequence[str], rounds: int, seconds: float) -> list[Row]:
    """The rows of a workload: `rounds` windows of ours and of each peer, in alternation."""
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        processes = [best(OURS, key, min(seconds, TRIAL_SECONDS), stack, rows)]
        for name in names:
            tried: list[Row] = []
            try:
                install(name)
                process = best(name, key, min(seconds, TRIAL_SECONDS), stack, tried)
                mine = processes[0].facts["parameters"], process.facts["parameters"]
                if mine[0] != mine[1] and name != "dopamine_same":
                    raise Failure(f"{mine[1]} parameters, where ours has {mine[0]}")
                processes.append(process)
            except Failure as failure:
                tried.append({"workload": key, "peer": name, "failure": str(failure)})
            rows += tried
        for number in range(1, rounds + 1 if len(processes) > 1 else 1):
            in_turn = processes if number % 2 else processes[::-1]
            for process in list(in_turn):
                try:
                    rows.append(row_of(process, process.window(seconds) | {"round": number}))
                except Failure as failure:
                    rows.append(row_of(process, {"failure": str(failure)}))
                    processes.remove(process)
                print(f"  {key:24} {process.peer:14} {_shown(rows[-1])}", flush=True)
    here = machine()
    peaks = {row["threads"]: peak(row["threads"]) for row in rows if "threads" in row}
    return [here | row | {"peak_gflops": peaks.get(row.get("threads"), "")} for row in rows]


def _shown(row: Row) -> str:
    if "failure" in row:
        return str(row["failure"])
    return f"{row['steps_per_second']:10,.1f} steps/s, threads {row['threads']} {row['variant']}"


def peak(threads: int) -> float:
    """Billions of floating-point operations a second in a large product of matrices, by NumPy."""
    variables = os.environ | {"OPENBLAS_NUM_THREADS": str(threads)}
    command = [sys.executable, "-c", _PRODUCTS]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return round(float(done.stdout), 1)


_PRODUCTS = """
import statistics, time
import numpy as np
matrix = np.random.default_rng(0).random((1024, 1024), np.float32)
product, times = np.empty_like(matrix), []
for _ in range(30):
    start = time.perf_counter()
    np.dot(matrix, matrix, out=product)
    times.append(time.perf_counter() - start)
print(2 * 1024**3 / statistics.median(times) / 1e9)
"""


def done(rows: Sequence[dict[str, str]], key: str, name: str, rounds: int) -> bool:
    """Whether the peer has been measured with the workload in so many rounds, on this processor."""
    here = [row for row in rows if (row["workload"], row["peer"]) == (key, name)]
    numbers = [int(row["round"] or 0) for row in here if row["processor"] == processor()]
    return max(numbers, default=0) >= rounds


def without(rows: Sequence[dict[str, str]], key: str, names: Sequence[str]) -> list[Row]:
    """The rows but for those of these peers with the workload, and of ours that nobody is beside."""
    kept = [row for row in rows if row["workload"] != key or row["peer"] not in names]
    beside = {(row["workload"], row["session"]) for row in kept if row["peer"] != OURS}
    return [row for row in kept if (row["workload"], row["session"]) in beside]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="the least length of a window")
    parser.add_argument("--again", action="store_true", help="measure anew what has been measured")
    arguments = parser.parse_args()
    for key in arguments.workloads:
        names = [
            name
            for name in WORKLOADS[key].peers
            if name in arguments.peers
            and (arguments.again or not done(read(SPEED), key, name, arguments.rounds))
        ]
        if names:
            try:
                new = measure(key, names, arguments.rounds, arguments.seconds)
            except Failure as failure:  # a peer's is a row
                raise SystemExit(f"{key}: dopamine_lite: {failure}") from None
            write(SPEED, COLUMNS, without(read(SPEED), key, names) + new)


if __name__ == "__main__":
    main()
