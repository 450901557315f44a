"""Matplotlib for commands that may be called in somebody else's directory."""

from __future__ import annotations

from pathlib import Path


def guarded_matplotlib() -> None:
    """Imports matplotlib without the settings that a stranger's directory may hold.

    Matplotlib takes a file matplotlibrc of the current directory before the user's own, and it can
    have programs executed, such as LaTeX.
    """
    import matplotlib

    if Path("matplotlibrc").exists():
        matplotlib.rcdefaults()
