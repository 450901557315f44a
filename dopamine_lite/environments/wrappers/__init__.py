"""Wrappers: smaller pictures, stacks of frames, bins, flat rows, fewer actions."""

from dopamine_lite.environments.wrappers.discretise import Discretise
from dopamine_lite.environments.wrappers.frames import DifferenceFrame, StackFrames
from dopamine_lite.environments.wrappers.one_row import Flatten
from dopamine_lite.environments.wrappers.pictures import Binarise, Crop, Grey, Resize
from dopamine_lite.environments.wrappers.selected_actions import SelectActions
from dopamine_lite.environments.wrappers.wrapper import EnvironmentWrapper, wrapped_environment

__all__ = [
    "Binarise",
    "Crop",
    "DifferenceFrame",
    "Discretise",
    "EnvironmentWrapper",
    "Flatten",
    "Grey",
    "Resize",
    "SelectActions",
    "StackFrames",
    "wrapped_environment",
]
