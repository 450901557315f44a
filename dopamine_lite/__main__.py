"""`python -m dopamine_lite` is `dopamine-lite`."""

import os
import sys


def _forget_the_current_directory() -> None:
    """Removes it from the first places to look for modules, so that nothing there is found first.

    `dopamine-lite` does not look there either. Modules that gin files import may still be there.
    """
    try:
        here = os.getcwd()
    except FileNotFoundError:
        return
    if not sys.flags.safe_path and sys.path[0] == here:
        del sys.path[0]


if __name__ == "__main__":
    _forget_the_current_directory()
    from dopamine_lite.cli.main import main

    sys.exit(main())
