"""Asks each framework whether a seed repeats, and whether a resumed run is the run that went on.

python benchmarks/peers/measure_resume.py

Each trains DQN on CartPole for 2,000 steps: twice in one process, and once with everything saved after
1,000 steps, by what its documentation offers, and loaded in another process. A digest of the network's
parameters is the answer. The results are the rows of resume.csv.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measure import OURS, PLACE, ROOT, Failure, Row, environment_of, install, write

HERE = Path(__file__).parent
RESUMES = HERE / "resume.csv"
COLUMNS = ("peer", "version", "repeats", "resumes", "failure")
PACKAGES = {OURS: "dopamine-lite", "sb3": "stable-baselines3", "dopamine": "dopamine-rl"}


def trained(name: str, directory: Path, *parts: str) -> str:
    """The digest after these parts, each of which is a process."""
    python = sys.executable if name == OURS else str(PLACE / name / "bin" / "python")
    directory.mkdir()
    for part in parts:
        command = [python, str(HERE / "resume" / f"run_{name}.py"), part, str(directory)]
        done = subprocess.run(command, env=environment_of(name), capture_output=True, text=True)
        if done.returncode:
            raise Failure(done.stderr.strip().splitlines()[-1])
    [digest] = [line for line in done.stdout.splitlines() if line.startswith("digest ")]
    return digest


def version(name: str) -> str:
    python = sys.executable if name == OURS else str(PLACE / name / "bin" / "python")
    code = f"from importlib.metadata import version; print(version({PACKAGES[name]!r}))"
    if name == OURS:
        code = "import dopamine_lite; print(dopamine_lite.__version__)"
    environment = environment_of(name) | ({"PYTHONPATH": str(ROOT)} if name == OURS else {})
    return subprocess.run(
        [python, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def measure(name: str) -> Row:
    with tempfile.TemporaryDirectory(prefix="resume-") as place:
        whole, again, resumed = (
            trained(name, Path(place, directory), *parts)
            for directory, parts in (
                ("whole", ["whole"]),
                ("again", ["whole"]),
                ("resumed", ["first", "second"]),
            )
        )
    return {"repeats": again == whole, "resumes": resumed == whole}


def main() -> None:
    rows: list[Row] = []
    for name in PACKAGES:
        try:
            if name != OURS:
                install(name)
            row = {"version": version(name)} | measure(name)
        except Failure as failure:
            row = {"failure": str(failure)}
        rows.append({"peer": name} | row)
        print(rows[-1], flush=True)
    write(RESUMES, COLUMNS, rows)


if __name__ == "__main__":
    main()
