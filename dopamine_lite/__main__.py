"""`python -m dopamine_lite` is `dopamine-lite`."""

import os
import sys

if __name__ == "__main__":
    # As for `dopamine-lite`, no library is to find its imports in the current directory, which
    # Python has put first; what gin files import may still lie there.
    if not sys.flags.safe_path and sys.path[0] == os.getcwd():
        del sys.path[0]

    from dopamine_lite.cli.main import main

    sys.exit(main())
