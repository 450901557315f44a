"""The parts of a run's time in order, in sums, in shares and in a table."""

from __future__ import annotations

import pytest

from dopamine_lite.reporting import tags, time_parts

PARTS = {
    "other": 1.0,
    "log": 2.0,
    "evaluation/other": 1.0,
    "evaluation/act": 3.0,
    "own": 1.0,  # named by an agent of a user's own
    "update": 6.0,
    "environment": 4.0,
    "act": 2.0,
}


def test_parts_are_in_the_order_of_the_data():
    assert list(time_parts.tree(PARTS).items()) == [
        ("environment", 4),
        ("act", 2),
        ("update", 6),
        ("own", 1),
        ("log", 2),
        ("evaluation", 4),
        ("evaluation/act", 3),
        ("evaluation/other", 1),
        ("other", 1),
    ]


def test_shares_are_of_the_whole():
    shares = time_parts.shares(PARTS)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["evaluation"] == 0.2 and shares["update"] == 0.3
    assert not any("/" in part for part in shares)
    assert time_parts.shares({"act": 0.0}) == time_parts.shares({}) == {}


def test_records_are_added_up_and_earlier_versions_have_no_parts():
    measured = {"time": {"train_seconds": 1.0, "parts": {"act": 0.1, "log": 0.2}}}
    records = [{}, {"time": {"train_seconds": 1.0}}, measured, measured]
    assert time_parts.of_records(records) == {"act": 0.2, "log": 0.4}
    assert time_parts.of_records(records[:2]) == {}
    assert time_parts.shares_by_tag(records[0]) == {}
    shares = time_parts.shares_by_tag(measured)
    assert shares == {"time/act": pytest.approx(1 / 3), "time/log": pytest.approx(2 / 3)}


def test_a_table_has_seconds_and_shares():
    assert time_parts.rows(PARTS, {"act": 1234.5, "own": 0.0}, least=0.1) == [
        ["environment", "4.00 s", "20.0%", "    0.00 s", "  0.0%"],
        ["act", "2.00 s", "10.0%", "1,234.50 s", "100.0%"],
        ["update", "6.00 s", "30.0%", "    0.00 s", "  0.0%"],
        ["log", "2.00 s", "10.0%", "    0.00 s", "  0.0%"],
        ["evaluation", "4.00 s", "20.0%", "    0.00 s", "  0.0%"],
        ["  act", "3.00 s", "15.0%", "    0.00 s", "  0.0%"],
    ]


def test_every_part_has_a_description():
    for part in ("environment", "update", "other", "own"):
        assert tags.description(f"time/{part}").startswith(
            "Share of the iteration's time that went"
        )
    assert tags.description("time/own").endswith(" own.")
