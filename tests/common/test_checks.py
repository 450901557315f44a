"""Settings of constructors: what is one of the kind, and the sentence for what is not."""

from __future__ import annotations

import math

import pytest

from dopamine_lite.common import checks
from dopamine_lite.common.errors import UserError

HUGE = 10**400  # more than a float can hold


@pytest.mark.parametrize(
    ("check", "good", "bad", "remedy"),
    [
        (checks.check_flag, [True, False], [0, 1, "no", "", None, 1.0, []], "give True or False."),
        (checks.check_whole, [1, HUGE], [0, -1, True, 1.0, "1", None, math.inf],
         "give a whole number, 1 or more."),
        (checks.check_fraction, [0, 1, 0.5], [True, -0.1, 1.1, math.nan, math.inf, "0", None],
         "give a number from 0 to 1."),
        (checks.check_not_negative, [0, 0.0, 3], [False, -1, math.nan, math.inf, HUGE, "0", None],
         "give a number, 0 or more."),
        (checks.check_positive, [1e-320, 3], [True, 0, -1, math.nan, math.inf, HUGE, "1", None],
         "give a number above 0."),
        (checks.check_number, [-1, 0, 1e308], [True, math.nan, -math.inf, -HUGE, "1", None, 1j],
         "give a number."),
    ],
)  # fmt: skip
def test_check(check, good, bad, remedy):
    for value in good:
        check("Painter", strokes=value)
    for value in bad:
        with pytest.raises(UserError) as error:
            check("Painter", strokes=value)
        assert str(error.value) == f"Painter.strokes is {value!r}: {remedy}"


def test_bounds_of_whole_numbers():
    checks.check_whole("Painter", least=0, most=1_000, strokes=0, colors=1_000)
    with pytest.raises(UserError, match=r"strokes is 1001: give a whole number, from 0 to 1,000\."):
        checks.check_whole("Painter", least=0, most=1_000, strokes=1_001)


def test_none_where_it_is_optional():
    checks.check_whole("Painter", optional=True, strokes=None)
    checks.check_positive("Painter", optional=True, width=None)
    with pytest.raises(UserError, match="width is 0"):
        checks.check_positive("Painter", optional=True, width=0)
