"""MLflow: a run's curves, settings and summary, in a database in its directory or on a server."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import time
from typing import Any

import gin

from dopamine_lite import configuration
from dopamine_lite.callbacks.callback import RunContext
from dopamine_lite.callbacks.tracking import Row, Tracker, remember, remembered
from dopamine_lite.common.errors import UserError

_FILE = "mlflow.json"  # in the run's directory: the id of MLflow's run
_LENGTH = "Runner.num_iterations"  # it may change, but MLflow's parameters must not
_MOST = 100  # parameters, or metrics, that MLflow takes at once
_LONGEST = 6_000  # characters of a parameter's value
# The characters that MLflow allows in the name of a metric or a parameter.
_OTHER_LETTERS = re.compile(r"[^\w\-./ :]")
# By default, MLflow tries for four minutes to reach an absent server, at every call.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


@gin.configurable
class MLflow(Tracker):
    """Logs to MLflow. A resumed run continues as the same run there.

    Args:
      experiment: the name of the experiment in MLflow, which is created if it does not exist.
      tracking_uri: where MLflow keeps runs, such as "http://host:5000" or "sqlite:////path/mlflow.db";
        None: the environment variable MLFLOW_TRACKING_URI or, if that is not set, the database mlflow.db
        in the run's directory.
      name: the name of the run in MLflow; None: the name of its directory.
    """

    name = "MLflow"

    def __init__(
        self,
        experiment: str = "dopamine_lite",
        tracking_uri: str | None = None,
        name: str | None = None,
    ):
        super().__init__()
        self._experiment = experiment
        self._tracking_uri = tracking_uri
        self._called = name

    def check(self, run: RunContext) -> None:
        if importlib.util.find_spec("mlflow") is None:
            raise UserError(
                "MLflow needs its package: pip install 'dopamine-lite[mlflow]', or leave MLflow out of "
                "Runner.callbacks."
            )

    def _open(self, run: RunContext) -> None:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        import mlflow

        own = f"sqlite:///{run.base_dir / 'mlflow.db'}"
        uri = self._tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or own
        self._client: Any = mlflow.MlflowClient(tracking_uri=uri)
        self._id = self._goes_on(run, uri) or self._begins(run, uri)
        kept = self._client.get_run(self._id).data.metrics
        histories = {name: self._client.get_metric_history(self._id, name) for name in kept}
        self._last_steps = {
            name: max(point.step for point in history) for name, history in histories.items()
        }
        self._client.set_tag(self._id, _LENGTH, str(run.num_iterations))
        run.say(f"MLflow has this run as {self._id}: {uri}.")

    def _goes_on(self, run: RunContext, uri: str) -> str | None:
        """The id of MLflow's run from an earlier start, which is resumed."""
        known = remembered(run.base_dir / _FILE)
        if known.get("tracking_uri") != uri:
            return None
        self._client.update_run(known["id"], status="RUNNING")
        return known["id"]

    def _begins(self, run: RunContext, uri: str) -> str:
        from mlflow.entities import Param

        found = self._client.get_experiment_by_name(self._experiment)
        place = found.experiment_id if found else self._client.create_experiment(self._experiment)
        name = self._called or run.base_dir.name
        run_id: str = self._client.create_run(place, run_name=name).info.run_id
        remember(run.base_dir / _FILE, {"id": run_id, "tracking_uri": uri})
        settings = configuration.statements(run.config)
        parameters = [
            Param(_OTHER_LETTERS.sub("_", key), value[:_LONGEST])
            for key, value in settings.items()
            if value and not configuration.may_change(key)
        ]
        for first in range(0, len(parameters), _MOST):
            self._client.log_batch(run_id, params=parameters[first : first + _MOST])
        return run_id

    def _log(self, agent_steps: int, row: Row) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now, agent_steps)
            for key, value in row.items()
            if math.isfinite(value)
            and agent_steps > self._last_steps.get(name := _OTHER_LETTERS.sub("_", key), -1)
        ]
        for first in range(0, len(metrics), _MOST):
            self._client.log_batch(self._id, metrics=metrics[first : first + _MOST])
        self._last_steps |= {metric.key: agent_steps for metric in metrics}

    def _note_stop(self, sentence: str) -> None:
        self._client.set_tag(self._id, "stopped", sentence)

    def _close(self, finished: bool) -> None:
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")
