"""One of TensorBoard's event files, written in this thread and without TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.hparams import api_pb2, summary_v2
from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.scalar.metadata import PLUGIN_NAME
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_ndarray

from dopamine_lite.reporting.tags import description


def read_scalars(path: Path) -> Iterator[tuple[int, str, float]]:
    """Agent steps, tag and value of every point in the EventFile at `path`, oldest first."""
    for data in RawEventFileLoader(str(path)).Load():
        event = Event.FromString(data)
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == PLUGIN_NAME:
                yield event.step, value.tag, make_ndarray(value.tensor).item()


class EventFile:
    """Writes points of curves and slices of histograms to a new file at `path`.

    tensorboard's own EventFileWriter imports TensorFlow, puts the machine's name into the file's name,
    and notices a full disk only in its own thread. Its RecordWriter does none of that.
    """

    def __init__(self, path: Path):
        self._file = open(path, "xb")  # noqa: SIM115 (open until `close`)
        self._records = RecordWriter(self._file)
        self._described: set[str] = set()  # tags with a description in their first point
        source = SourceMetadata(writer="dopamine_lite")
        self._write(Event(file_version="brain.Event:2", source_metadata=source))

    def scalars(self, agent_steps: int, values: Mapping[str, float]) -> None:
        """Adds a point to the curve of each tag; TensorBoard keeps it as float32."""
        points = [
            scalar_pb(tag, value, self._description(tag)).value[0] for tag, value in values.items()
        ]
        self._add(agent_steps, Summary(value=points))  # one record is three times as fast

    def histogram(self, agent_steps: int, tag: str, values: np.ndarray) -> None:
        """Adds the distribution of the finite numbers in `values`, if there are any."""
        finite = values[np.isfinite(values)]
        if finite.size:
            self._add(agent_steps, histogram_pb(tag, finite, description=self._description(tag)))

    def hyperparameters(self, values: Mapping[str, bool | float | str]) -> None:
        """Writes the run's row in TensorBoard's table of hyperparameters, which groups equal runs."""
        self._add(0, summary_v2.hparams_pb(dict(values)))

    def end_session(self) -> None:
        """Marks the run in that table as successfully ended."""
        end = SessionEndInfo(status=api_pb2.STATUS_SUCCESS, end_time_secs=time.time())
        data = HParamsPluginData(session_end_info=end)
        self._add(0, summary_v2._summary_pb(SESSION_END_INFO_TAG, data))

    def _description(self, tag: str) -> str | None:
        if tag in self._described:
            return None
        self._described.add(tag)
        return description(tag) or None

    def flush(self) -> None:
        """Hands everything written to the operating system. The file then ends with a whole record."""
        self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()

    def _add(self, agent_steps: int, summary: Summary) -> None:
        self._write(Event(step=agent_steps, summary=summary))

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
