"""What memory is left: the machine's, or less where a control group allows less."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from dopamine_lite.common import memory
from dopamine_lite.common.errors import UserError

GROUPS = {  # the layout of each version of the kernel's interface
    "0::{}": ("", "memory.max", "memory.current", "inactive_file"),
    "4:cpu,memory:{}": (
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
}


@pytest.fixture(params=GROUPS, ids=["version 2", "version 1"])
def group(request, tmp_path, monkeypatch):
    """Puts the process into /batch/job and returns what sets a group's numbers."""
    root, limit_file, used_file, cache_name = GROUPS[request.param]
    membership = tmp_path / "cgroup"
    membership.write_text(f"7:freezer:/elsewhere\n{request.param.format('/batch/job')}\n")
    monkeypatch.setattr(memory, "_PROCESS", membership)
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "groups")

    def write(path: str, limit: int | str, used: int, cache: int = 0) -> None:
        directory = tmp_path / "groups" / root / path
        directory.mkdir(parents=True, exist_ok=True)
        (directory / limit_file).write_text(f"{limit}\n")
        (directory / used_file).write_text(f"{used}\n")
        (directory / "memory.stat").write_text(f"anon 17\n{cache_name} {cache}\n")

    return write


def test_without_limits_it_is_the_machines(group):
    group("batch/job", "max", 10**9)
    assert memory.available_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_the_groups_limit_counts(group):
    group("batch/job", 5_000_000, 2_000_000)
    assert memory.available_memory() == 3_000_000


def test_file_cache_is_given_up_when_memory_is_asked_for(group):
    group("batch/job", 5_000_000, 4_900_000, cache=4_000_000)
    assert memory.available_memory() == 4_100_000


def test_the_narrowest_group_above_the_process_counts(group):
    group("batch/job", "max", 1_000_000)
    group("batch", 5_000_000, 3_000_000)
    group("", 8_000_000, 4_000_000)
    assert memory.available_memory() == 2_000_000


def test_in_a_container_whose_own_path_is_the_hosts(group):
    group("", 5_000_000, 1_000_000)  # there is no /batch/job inside
    assert memory.available_memory() == 4_000_000


def test_a_group_over_its_limit_leaves_nothing(group):
    group("batch/job", 5_000_000, 6_000_000)
    assert memory.available_memory() == 0
    with pytest.raises(UserError, match=r"A buffer needs 0\.01 GB of memory, but 0\.00 GB are"):
        memory.require_memory(10_000_000, "A buffer", "take a smaller one")


def test_little_is_not_asked_about(monkeypatch):
    """The answer takes a millisecond, and a checkpoint has thousands of small arrays."""

    def ask() -> int:
        raise AssertionError("asked")

    monkeypatch.setattr(memory, "available_memory", ask)
    memory.require_memory(1 << 20, "An array", "take a smaller one")
    with pytest.raises(AssertionError, match="asked"):
        memory.require_memory((1 << 20) + 1, "An array", "take a smaller one")


def test_where_there_are_no_control_groups_it_is_the_machines(monkeypatch):
    monkeypatch.setattr(memory, "_PROCESS", Path("/nowhere"))
    assert memory.available_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.2)
