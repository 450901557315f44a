"""Environments whose observations are changed: smaller pictures, stacks of frames, bins, flat rows."""

from dopamine_lite.environments.wrappers.discretize import Discretize
from dopamine_lite.environments.wrappers.frames import DifferenceFrame, StackFrames
from dopamine_lite.environments.wrappers.one_row import Flatten
from dopamine_lite.environments.wrappers.pictures import Binarize, Crop, Gray, Resize
from dopamine_lite.environments.wrappers.wrapper import EnvironmentWrapper, wrapped_environment

__all__ = [
    "Binarize",
    "Crop",
    "DifferenceFrame",
    "Discretize",
    "EnvironmentWrapper",
    "Flatten",
    "Gray",
    "Resize",
    "StackFrames",
    "wrapped_environment",
]
