"""Which cases of a parametrized test `make test` runs; `make test-all` runs the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def core(cases: Iterable[Any], *names: Any) -> list[Any]:
    """All `cases`; those that are not among `names` are marked as exhaustive.

    A tuple holds the values of several parameters.
    """
    cases = list(cases)
    assert set(names) <= set(cases), "a name that no case has"
    return [
        case if case in names else _exhaustive(*(case if isinstance(case, tuple) else (case,)))
        for case in cases
    ]


def _exhaustive(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.exhaustive)
