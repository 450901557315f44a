"""Callbacks, called during a run: they watch, keep or stop it. Bound as `Runner.callbacks`."""

from dopamine_lite.callbacks.callback import Callback, RunContext
from dopamine_lite.callbacks.early_stopping import EarlyStopping
from dopamine_lite.callbacks.keep_best import KeepBest
from dopamine_lite.callbacks.mlflow_callback import MLflow
from dopamine_lite.callbacks.prune import Prune
from dopamine_lite.callbacks.wandb_callback import WandB

__all__ = ["Callback", "EarlyStopping", "KeepBest", "MLflow", "Prune", "RunContext", "WandB"]
