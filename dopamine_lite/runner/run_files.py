"""The first checks and files of a run in its directory."""

from __future__ import annotations

from pathlib import Path

from dopamine_lite import configuration
from dopamine_lite.checkpointing.storage import replace_file
from dopamine_lite.common.errors import UserError
from dopamine_lite.reporting.log_reader import read_episodes, read_iterations
from dopamine_lite.runner.directory import CONFIG


def miss_checkpoints(base_dir: Path, first_segment: int) -> None:
    """Raises UserError if the logs show that there were checkpoints, but none is left.

    Args:
      base_dir: the run's directory.
      first_segment: agent steps before the first checkpoint.
    """
    if any((base_dir / "checkpoints").glob("*checkpoint-*")):  # damaged ones count
        return
    reached = max((line["agent_steps"] for line in read_episodes(base_dir)), default=0)
    if reached > first_segment or len(read_iterations(base_dir)) > 1:
        raise UserError(
            f"{base_dir} has logs of a run but none of its checkpoints: put its directory "
            "checkpoints back to resume it, or give another `base_dir` to begin anew."
        )


def write_config(base_dir: Path, config: str) -> None:
    """Writes the config in force.

    A resumed run's config may differ in the settings that `configuration.changes` leaves out.
    """
    replace_file(base_dir / CONFIG, configuration.with_header(config).encode())
