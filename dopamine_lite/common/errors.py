"""Errors that a user can correct, in one clear sentence each; and the owner of an error's code."""

from __future__ import annotations

import sys
import traceback

# A mistake in a setting passes through these on its way to where it shows.
_LIBRARIES = {
    "absl",
    "ale_py",
    "box2d",
    "Box2D",
    "dopamine_lite",
    "gin",
    "gymnasium",
    "keras",
    "minatar",
    "numpy",
    "tensorflow",
    *sys.stdlib_module_names,
}


class UserError(Exception):
    """A mistake that the user can mend, or something that the machine lacks.

    `str(error)` is a sentence that says what is wrong, where, and what to do. The command line prints
    it and exits with status 2. Raise it before anything is written, so that a refused command leaves no
    half-made run directory behind.
    """

    ag_pass_through = True  # TensorFlow's AutoGraph adds no trace of converted code


def is_of_users_code(error: BaseException) -> bool:
    """Whether `error` comes from code that is neither this package's nor one of its libraries'.

    Such an error is a mistake in that code, and a traceback helps more than a sentence about settings.
    An error that a library raises belongs to the code that called it.
    """
    modules = [
        str(frame.f_globals.get("__name__", ""))
        for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    for module in reversed(modules):
        package = module.partition(".")[0]
        if package == "dopamine_lite":
            return False
        if package not in _LIBRARIES and module in sys.modules:  # not generated code
            return True
    return False
