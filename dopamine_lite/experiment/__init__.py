"""Experiments from Python: load gin files, train, resume, evaluate. The command line is built on it."""

from dopamine_lite.experiment.evaluation import Evaluation
from dopamine_lite.experiment.experiment import Experiment
from dopamine_lite.experiment.run import Run

__all__ = ["Evaluation", "Experiment", "Run"]
