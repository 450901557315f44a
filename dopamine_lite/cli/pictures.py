"""Matplotlib for commands that may be called in somebody else's directory."""

from __future__ import annotations

from pathlib import Path


def guarded_matplotlib() -> None:
    """Imports matplotlib without the settings that a stranger's directory may hold.

    Matplotlib prefers a file matplotlibrc in the current directory to the user's own, and this file can
    make it execute programs, such as LaTeX.
    """
    import matplotlib

    if Path("matplotlibrc").exists():
        matplotlib.rcdefaults()
