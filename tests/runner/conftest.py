"""What the tests of runs share with those of commands."""

from tests.cli.conftest import cli

__all__ = ["cli"]
