"""What equal runs have in common, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dopamine_lite.checkpointing import Checkpointer, digest
from dopamine_lite.reporting.log_reader import read_episodes, read_iterations

# In a checkpoint: event files and times, which differ between equal runs.
OF_A_RUN = ("logs", "train_seconds", "time_parts")


def in_common(run: Path, *without: str) -> dict[str, Any]:
    """The log lines of a run and the digest of its newest checkpoint, without parts of these names."""
    state = Checkpointer(run / "checkpoints").load(rings=True).state
    kept = {name: part for name, part in state.items() if name not in (*OF_A_RUN, *without)}
    iterations = [{**line, "time": None} for line in read_iterations(run)]
    return {"iterations": iterations, "episodes": read_episodes(run), "state": digest(kept)}
