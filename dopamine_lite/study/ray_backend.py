"""Trials as tasks of a Ray cluster, whose nodes share the study's directory."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dopamine_lite.collecting.ray_cluster import connected
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.variables import VARIABLES
from dopamine_lite.files.plain_files import open_to_append
from dopamine_lite.runner.directory import is_in_use
from dopamine_lite.study.backend import exit_status, start_process
from dopamine_lite.study.examination import Needs
from dopamine_lite.study.study import Trial

_RETRIES = 20  # for a trial whose worker or node is lost
_SECONDS_BETWEEN_LOOKS = 0.2
_LOST = 128 + signal.SIGKILL


class RayBackend:
    """Runs as many trials at once as the cluster's resources allow.

    A task is one process of `train`. If its worker or node is lost, Ray starts it again elsewhere, and
    the run goes on from its newest checkpoint.

    Args:
      study: the study's directory, by a path that means the same on every node.
      needs: the trials' needs. Every trial reserves the greatest needs.
      address: the address of the cluster; None: Ray is started on this machine.
      cpus: the number of CPUs that a trial reserves; None: as many as it can keep busy.
      gpus: the number of GPUs that a trial reserves; it may be a fraction, such as 0.5.

    Raises:
      UserError: the cluster cannot be reached, or none of its nodes is large enough for a trial.
    """

    def __init__(
        self,
        study: Path,
        needs: Iterable[Needs],
        address: str | None = None,
        cpus: float | None = None,
        gpus: float = 0.0,
    ):
        needs = list(needs)
        self._study = study
        self._resources = {
            "CPU": float(cpus if cpus is not None else max(each.cores for each in needs)),
            "GPU": float(gpus),
            "memory": float(max(each.memory for each in needs)),
        }
        self._address = address
        self._ray, _ = connected(address, "`ray_address`")
        self._stop_sign = study.absolute() / f".stop-{os.getpid()}-{time.time_ns()}"
        self._tasks: dict[Any, Trial] = {}
        if not self._slots():
            self._ray.shutdown()
            raise UserError(
                "No node of the Ray cluster has the resources that a trial needs "
                f"({self._in_words()}): lower `cpus_per_trial` or `gpus_per_trial`, or start "
                "larger nodes."
            )
        self._task = self._ray.remote(_train).options(
            num_cpus=self._resources["CPU"],
            num_gpus=gpus,
            memory=int(self._resources["memory"]),
            max_retries=_RETRIES,
        )

    def describe(self) -> str:
        where = (
            f"the Ray cluster {self._address}" if self._address else "Ray, started on this machine"
        )
        return f"{self._slots()} at once on {where} ({self._in_words()} each)"

    def _in_words(self) -> str:
        gpus = f", {self._resources['GPU']:g} GPU" if self._resources["GPU"] else ""
        memory = f"{self._resources['memory'] / 1e9:.1f} GB"
        return f"{self._resources['CPU']:g} CPU{gpus}, {memory}"

    def _slots(self) -> int:
        """The number of trials for which the present nodes have room if nothing else runs."""
        nodes = (node["Resources"] for node in self._ray.nodes() if node["Alive"])
        return sum(
            min(int(node.get(name, 0) // need) for name, need in self._resources.items() if need)
            for node in nodes
        )

    def has_room(self) -> bool:
        return len(self._tasks) < max(1, self._slots())

    def start(self, trial: Trial) -> None:
        reference = self._task.remote(
            trial.arguments(self._study),
            str(trial.directory(self._study)),
            str(trial.output(self._study)),
            str(self._stop_sign),
            os.getcwd(),
            {name: os.environ.get(name) for name in VARIABLES if name != "CUDA_VISIBLE_DEVICES"},
        )
        self._tasks[reference] = trial

    def ended(self, seconds: float) -> list[tuple[Trial, int]]:
        if not self._tasks:
            time.sleep(seconds)
            return []
        references, _ = self._ray.wait(list(self._tasks), timeout=seconds)
        return [(self._tasks.pop(each), self._status(each)) for each in references]

    def _status(self, reference: Any) -> int:
        try:
            return int(self._ray.get(reference))
        except self._ray.exceptions.RayError:  # its worker was lost too often
            return _LOST

    def stop(self) -> None:
        self._stop_sign.touch()

    def kill(self) -> None:
        for reference in self._tasks:
            self._ray.cancel(reference, force=True)
        self._tasks.clear()

    def close(self) -> None:
        self._stop_sign.unlink(missing_ok=True)
        self._ray.shutdown()


def _train(
    arguments: list[str],
    directory: str,
    output: str,
    stop_sign: str,
    here: str,
    variables: Mapping[str, str | None],
) -> int:
    """Runs a trial in a worker; returns the exit status of its process.

    Args:
      arguments: the command line, without the program's name.
      directory: the run's directory.
      output: the file for its output.
      stop_sign: the path of a file that is created when all trials should stop.
      here: the directory to work in.
      variables: environment variables of the process that runs the study; None: not set.
    """
    environment = {name: value for name, value in os.environ.items() if name not in variables}
    environment |= {name: value for name, value in variables.items() if value is not None}
    try:
        os.chdir(here)
        while is_in_use(Path(directory)):  # a lost worker's process still uses it, but stops
            if os.path.exists(stop_sign):
                return 128 + signal.SIGTERM
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        process = start_process(arguments, Path(output), environment)
    except OSError:
        with contextlib.suppress(OSError), open_to_append(Path(output)) as file:
            file.write(traceback.format_exc().encode())
        return 1
    asked = False
    while (status := exit_status(process)) is None:
        if not asked and os.path.exists(stop_sign):
            asked = True
            process.send_signal(signal.SIGTERM)
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return status
