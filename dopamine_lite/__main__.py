"""`python -m dopamine_lite` is `dopamine-lite`."""

import sys

from dopamine_lite.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
