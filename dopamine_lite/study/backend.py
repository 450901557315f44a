"""What carries trials out: the interface of every backend, and a trial as a process."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from dopamine_lite.common.plain_files import open_to_append
from dopamine_lite.study.study import Trial

_PR_SET_PDEATHSIG = 1  # of Linux's prctl


class Backend(Protocol):
    """A place where trials run, each as `dopamine-lite train` in a process of its own."""

    def describe(self) -> str:
        """What it is and how many trials it runs at once, in words."""

    def has_room(self) -> bool:
        """Whether `start` may be called now."""

    def start(self, trial: Trial) -> None:
        """Begins a trial, or goes on with it."""

    def ended(self, seconds: float) -> list[tuple[Trial, int]]:
        """The trials that have ended since the last call, each with its process's exit status as a
        shell reports it; waits for one, but no longer than `seconds`."""

    def stop(self) -> None:
        """Asks every trial to stop at its next safe point; `ended` tells when it has."""

    def kill(self) -> None:
        """Ends every trial at once; nothing more is heard of them."""

    def close(self) -> None:
        """Lets go of what the backend holds; no trial runs any more."""


def start_process(
    arguments: Sequence[str], output: Path, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts `dopamine-lite` with `arguments`, which stops at a safe point should this process end.

    Args:
      arguments: of the command line, without the program.
      output: the file that what it prints is added to.
      variables: the process's environment; None: as this one's.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl  # before the fork, after which nothing should be loaded

    def end_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it has ended meanwhile
            os._exit(128 + signal.SIGTERM)

    with open_to_append(output) as file:
        file.write(f"$ dopamine-lite {shlex.join(arguments)}\n".encode())
        file.flush()
        return subprocess.Popen(
            [sys.executable, "-m", "dopamine_lite", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=variables,
            process_group=0,  # a terminal's Ctrl-C is for the parent, which stops its trials itself
            preexec_fn=end_with_parent,
        )


def exit_status(process: subprocess.Popen[bytes]) -> int | None:
    """A process's exit status as a shell reports it; None while it runs."""
    status = process.poll()
    return status if status is None or status >= 0 else 128 - status
