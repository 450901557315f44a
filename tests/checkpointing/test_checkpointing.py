"""The Checkpointer: saving, pruning, falling back, refusing, and reading beside a training run."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dopamine_lite.checkpointing import Checkpointer, digest, manifest, segments, storage
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import RingSlots
from dopamine_lite.files import strict_json


def slots_at(number: int) -> RingSlots:
    """Ten slots more for every number, of which the newest forty are held."""
    first, stop = np.array([max(10 * number - 40, 0)]), np.array([10 * number])

    def blocks(after: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        start = np.maximum(after, first)
        if (start < stop).any():
            noise = np.random.default_rng(0).integers(0, 256, (200, 50), np.uint8)
            yield {"start": start, "stop": stop, "frames": noise[start[0] : stop[0]]}

    return RingSlots(first, stop, blocks)


def state_at(number: int) -> dict:
    return {
        "weights": np.random.default_rng(number).standard_normal(300),
        "step": number,
        "replay": slots_at(number),
    }


def snapshot(directory: Path) -> dict[str, bytes | None]:
    """Everything under `directory`: names, contents, times of change; the lock file excepted."""
    return {
        str(path.relative_to(directory)): (
            path.read_bytes() if path.is_file() else None,
            path.stat().st_mtime_ns if path != directory else None,
        )
        for path in directory.rglob("*")
        if path.name != ".lock"
    }


class Run:
    """A Checkpointer with what it reported."""

    def __init__(self, directory: Path, keep: int = 2):
        self.reports: list[str] = []
        self.checkpointer = Checkpointer(directory, keep, self.reports.append)


@pytest.fixture
def saved(tmp_path):
    """A directory with the checkpoints 2 and 3."""
    checkpointer = Checkpointer(tmp_path)
    for number in (1, 2, 3):
        checkpointer.save(number, state_at(number))
    checkpointer.close()
    return tmp_path


def own_segment(directory: Path, number: int) -> Path:
    (path,) = (directory / "replay").glob(f"segment-{number:012d}-*.zst")
    return path


def own_segments(directory: Path, number: int) -> list[Path]:
    """The segment and its copy."""
    path = own_segment(directory, number)
    return [path, path.with_name(f"{path.name}.copy")]


# What a run sees --------------------------------------------------------------------------------


def test_a_fresh_directory_has_nothing_to_restore(tmp_path):
    checkpointer = Checkpointer(tmp_path / "runs" / "new" / "checkpoints")
    assert checkpointer.numbers() == []
    assert not (tmp_path / "runs").exists()  # looking creates nothing
    assert checkpointer.restore() is None


def test_the_newest_is_restored(saved):
    restored = Checkpointer(saved).restore()
    assert restored.number == 3
    assert restored.path == saved / "checkpoint-000000000003"
    assert digest(restored.state) == digest(state_at(3))


def test_save_returns_the_path(tmp_path):
    path = Checkpointer(tmp_path).save(250_000, {})
    assert path == tmp_path / "checkpoint-000000250000" and path.is_dir()


def test_numbers_of_any_length(tmp_path):
    checkpointer = Checkpointer(tmp_path, keep=3)
    for number in (0, 9, 10**12, 10**13):
        checkpointer.save(number, {"n": number})
    assert checkpointer.numbers() == [9, 10**12, 10**13]
    assert checkpointer.restore().state == {"n": 10**13}


@pytest.mark.parametrize("number", [-1, 2, 3])
def test_numbers_only_rise(saved, number):
    with pytest.raises(ValueError, match="cannot follow checkpoint 3"):
        Checkpointer(saved).save(number, {})


def test_a_negative_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="-1"):
        Checkpointer(tmp_path).save(-1, {})


def test_keep_at_least_one(tmp_path):
    with pytest.raises(ValueError, match="keep=0"):
        Checkpointer(tmp_path, keep=0)


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_the_newest_are_kept_and_nothing_else(tmp_path, keep):
    checkpointer = Checkpointer(tmp_path, keep)
    for number in range(1, 8):
        checkpointer.save(number, state_at(number))
        assert checkpointer.numbers() == list(range(1, number + 1))[-keep:]
    names = {f"checkpoint-{number:012d}" for number in checkpointer.numbers()}
    assert {path.name for path in tmp_path.iterdir()} == names | {"replay", ".lock"}
    oldest = checkpointer.numbers()[0]  # holds ten slots a segment, forty in all
    held = {int(path.name.split("-")[1]) for path in (tmp_path / "replay").iterdir()}
    assert held == set(range(max(oldest - 3, 1), 8))
    for number in checkpointer.numbers():
        assert digest(checkpointer.load(number, rings=True).state) == digest(state_at(number))


def test_leftovers_are_cleared_away(saved):
    for name in (".checkpoint-000000000004", ".pruned-checkpoint-000000000001"):
        (saved / name).mkdir()
        (saved / name / "state.npz").write_bytes(b"half")
    (saved / "replay" / "segment-000000000004-000000.zst").write_bytes(b"half")
    own_files = {"notes.txt", "replay/readme"}  # the user's
    for name in own_files:
        (saved / name).write_text("mine")
    assert Checkpointer(saved).restore().number == 3
    names = {path.name for path in saved.iterdir()}
    assert names == {
        *(".lock", "replay", "notes.txt"),
        *("checkpoint-000000000002", "checkpoint-000000000003"),
    }
    assert {path.name[:20] for path in (saved / "replay").iterdir()} == {
        "readme",
        *(f"segment-{number:012d}" for number in (1, 2, 3)),
    }


def test_a_leftover_under_the_same_number_is_no_obstacle(saved):
    (saved / ".checkpoint-000000000004").mkdir()
    (saved / ".checkpoint-000000000004" / "state.npz").write_bytes(b"half")
    Checkpointer(saved).save(4, state_at(4))  # without a restore before
    restored = Checkpointer(saved).load(rings=True)
    assert restored.number == 4 and digest(restored.state) == digest(state_at(4))


# Damage -----------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


HARMS = {
    "flipped": flip,
    "shortened": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "emptied": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\n{}"),
    "removed": lambda path: path.unlink(),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
@pytest.mark.parametrize("name", ["state.json", "state.npz", "manifest.json", "segment"])
def test_a_damaged_newest_checkpoint_is_set_aside_for_the_one_before(saved, name, harm):
    newest = saved / "checkpoint-000000000003"
    victims = own_segments(saved, 3) if name == "segment" else [newest / name]
    for victim in victims:
        harm(victim)
    run = Run(saved)
    restored = run.checkpointer.restore()
    assert restored.number == 2
    assert digest(restored.state) == digest(state_at(2))
    (sentence,) = run.reports
    named = [victim.name for victim in victims]
    for part in ("Checkpoint 3 ", str(saved), *named, "damaged-checkpoint-000000000003"):
        assert part in sentence
    assert sentence.endswith("goes on from checkpoint 2.")
    assert not newest.exists() and (saved / "damaged-checkpoint-000000000003").is_dir()

    # The run writes the same slots again, under the same number.
    run.checkpointer.save(3, state_at(3))
    run.checkpointer.close()
    again = Run(saved)
    restored = again.checkpointer.restore()
    assert restored.number == 3 and not again.reports
    assert digest(restored.state) == digest(state_at(3))


def test_the_same_number_can_be_damaged_again(saved):
    for name in ("", "-2", "-3"):
        flip(saved / "checkpoint-000000000003" / "state.npz")
        run = Run(saved)
        assert run.checkpointer.restore().number == 2
        run.checkpointer.save(3, state_at(3))
        run.checkpointer.close()
        assert (saved / f"damaged-checkpoint-000000000003{name}").is_dir()


def test_several_damaged_ones_are_reported_one_by_one(tmp_path):
    checkpointer = Checkpointer(tmp_path, keep=3)
    for number in (1, 2, 3):
        checkpointer.save(number, state_at(number))
    checkpointer.close()
    flip(tmp_path / "checkpoint-000000000003" / "state.npz")
    for path in own_segments(tmp_path, 2):
        path.unlink()
    run = Run(tmp_path)
    assert run.checkpointer.restore().number == 1
    assert [re.match(r"Checkpoint (\d) .*checkpoint 1\.$", s)[1] for s in run.reports] == ["3", "2"]


def test_a_checkpoint_under_another_number_is_damaged(saved):
    (saved / "checkpoint-000000000003").rename(saved / "checkpoint-000000000009")
    run = Run(saved)
    assert run.checkpointer.restore().number == 2
    assert "belongs to checkpoint 3" in run.reports[0]


def harm_shared_segment(directory: Path) -> None:
    for path in own_segments(directory, 1):
        flip(path)


def harm_both(directory: Path) -> None:
    for number in (2, 3):
        flip(directory / f"checkpoint-{number:012d}" / "state.json")


@pytest.mark.parametrize("harm", [harm_shared_segment, harm_both])
def test_without_an_intact_one_nothing_restarts_at_zero(saved, harm):
    harm(saved)
    before = snapshot(saved)
    for _ in range(2):  # and it stays so
        run = Run(saved)
        with pytest.raises(UserError, match="No checkpoint in .* is intact") as caught:
            run.checkpointer.restore()
        run.checkpointer.close()
        assert "checkpoint 3: " in str(caught.value) and "checkpoint 2: " in str(caught.value)
    assert snapshot(saved) == before
    # What evaluation needs is still there.
    works = "Commands that need no replay memory (evaluate, record, export) still work."
    if harm is harm_shared_segment:
        assert str(caught.value).endswith(works)
        assert Checkpointer(saved).load().state["step"] == 3
    else:
        assert works not in str(caught.value)


def test_no_flipped_bit_costs_more_than_it_must(saved, tmp_path_factory):
    """Of any file: in a segment nothing is lost, in a checkpoint the steps since the one before."""
    before = contents(snapshot(saved))
    for name in sorted(name for name, content in before.items() if content):
        directory = shutil.copytree(saved, tmp_path_factory.mktemp("run") / "checkpoints")
        flip(directory / name)
        run = Run(directory)
        restored = run.checkpointer.restore()
        lost = name.startswith("checkpoint-000000000003")
        assert restored.number == (2 if lost else 3), name
        assert digest(restored.state) == digest(state_at(restored.number))
        if name.startswith("replay"):
            (sentence,) = run.reports
            assert f"In {directory}/replay, {Path(name).name} does not have the content" in sentence
            assert sentence.endswith("the run goes on as if nothing had happened.")
            assert contents(snapshot(directory)) == before
        else:
            assert len(run.reports) == lost


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_damaged_segment_is_read_from_its_copy(saved, harm):
    before = contents(snapshot(saved))
    paths = own_segments(saved, 1)
    harm(paths[0])
    damaged = snapshot(saved)
    reader = Run(saved)
    assert digest(reader.checkpointer.load(rings=True).state) == digest(state_at(3))
    (problem,) = reader.checkpointer.verify(3)
    assert problem.startswith(paths[0].name)
    assert snapshot(saved) == damaged and not reader.reports  # reading mends nothing
    run = Run(saved)
    assert digest(run.checkpointer.restore().state) == digest(state_at(3))
    assert contents(snapshot(saved)) == before
    assert len(run.reports) == 1 and run.checkpointer.verify(3) == []


def test_a_run_without_copies_is_one_of_an_earlier_version(saved):
    before = contents(snapshot(saved))
    for path in saved.glob("replay/*.copy"):
        path.unlink()
    run = Run(saved)
    assert run.checkpointer.verify(3) == []
    assert digest(run.checkpointer.load(rings=True).state) == digest(state_at(3))
    assert digest(run.checkpointer.restore().state) == digest(state_at(3))
    assert run.reports == [] and contents(snapshot(saved)) == before


def test_copies_that_cannot_be_made_are_told_and_no_obstacle(saved, monkeypatch):
    def refuse(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    own_segment(saved, 1).unlink()
    monkeypatch.setattr(segments, "replace_file", refuse)
    run = Run(saved)
    assert digest(run.checkpointer.restore().state) == digest(state_at(3))
    (sentence,) = run.reports
    assert f"{own_segments_name(1)} exists once instead of twice" in sentence
    assert "No space left on device" in sentence


def own_segments_name(number: int) -> str:
    return f"segment-{number:012d}-000000.zst"


def test_set_aside_ones_alone_are_not_an_empty_directory(saved):
    for number in (2, 3):
        (saved / f"checkpoint-{number:012d}").rename(saved / f"damaged-checkpoint-{number:012d}")
    with pytest.raises(UserError, match="set aside"):
        Checkpointer(saved).restore()


def test_no_byte_of_a_manifest_may_change(saved):
    directory = saved / "checkpoint-000000000003"
    path = directory / "manifest.json"
    content = path.read_bytes()
    for position in range(0, len(content), 3):
        changed = bytearray(content)
        changed[position] ^= 1 << (position % 7)
        path.write_bytes(changed)
        with pytest.raises(storage.Damaged):
            manifest.Manifest.read(directory)


def test_a_damaged_older_one_keeps_its_segments_until_it_is_pruned(tmp_path):
    checkpointer = Checkpointer(tmp_path)
    for number in range(1, 7):
        checkpointer.save(number, state_at(number))
    flip(tmp_path / "checkpoint-000000000005" / "manifest.json")
    assert checkpointer.restore().number == 6
    assert own_segment(tmp_path, 2).exists()  # its slots are held at 5, and overwritten at 6
    checkpointer.save(7, state_at(7))
    assert not list((tmp_path / "replay").glob("segment-000000000002-*"))


def test_reports_go_to_stderr_unless_told_otherwise(saved, capsys):
    flip(saved / "checkpoint-000000000003" / "state.npz")
    Checkpointer(saved).restore()
    assert capsys.readouterr().err.startswith("Checkpoint 3 ")


@pytest.mark.parametrize("verb", ["restore", "load"])
def test_another_schema_names_the_version_that_wrote_it(saved, monkeypatch, verb):
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "SCHEMA", 2)
        patch.setattr(manifest, "_program", lambda: "dopamine_lite 9.9")
        Checkpointer(saved).save(4, state_at(4))
    before = snapshot(saved)
    with pytest.raises(UserError, match=r"written by dopamine_lite 9\.9 \(checkpoint schema 2\)"):
        getattr(Checkpointer(saved), verb)()
    assert snapshot(saved) == before


def test_files_that_may_not_be_read_are_not_damaged(saved, monkeypatch):
    before = snapshot(saved)

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(strict_json, "open_to_read", refuse)
    for verb in ("restore", "load"):
        with pytest.raises(UserError, match=r"cannot be read: Permission denied \(.*manifest"):
            getattr(Checkpointer(saved), verb)()
    monkeypatch.undo()
    assert snapshot(saved) == before


def test_a_file_the_disk_cannot_read_is_damaged(saved, monkeypatch):
    def fail(file, name):
        if "000003/state.npz" in file.name:
            raise OSError(errno.EIO, "Input/output error")
        return file_digest(file, name)

    file_digest = storage.hashlib.file_digest
    monkeypatch.setattr(storage.hashlib, "file_digest", fail)
    run = Run(saved)
    assert run.checkpointer.restore().number == 2
    assert "state.npz cannot be read from the disk" in run.reports[0]


# Links ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["checkpoints", "checkpoints/replay"])
@pytest.mark.parametrize("verb", ["lock", "restore", "save"])
def test_a_directory_that_is_a_link_is_not_written_to(tmp_path, name, verb):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "elsewhere").mkdir()
    if name == "checkpoints":
        (tmp_path / name).rmdir()
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    checkpointer = Checkpointer(tmp_path / "checkpoints")
    take = {"save": lambda: checkpointer.save(1, state_at(1))}
    with pytest.raises(UserError, match=f"{name} is a link, .* put the directory itself here"):
        take.get(verb, getattr(checkpointer, verb))()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_run_as_a_whole_may_be_elsewhere(saved, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    run.symlink_to(saved)
    for directory in (run / "checkpoints", run / "more" / "checkpoints"):
        checkpointer = Checkpointer(directory)
        checkpointer.save(4, state_at(4))
        assert digest(checkpointer.restore().state) == digest(state_at(4))


@pytest.mark.parametrize("kind", ["lock", "leftover", "segment", "copy", "checkpoint"])
def test_no_link_is_followed_to_write_or_remove(saved, tmp_path_factory, kind):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "file").write_text("mine")
    links = {
        "lock": saved / ".lock",
        "leftover": saved / ".checkpoint-000000000004",
        "segment": saved / "replay" / "segment-000000000004-000000.zst",
        "copy": saved / "replay" / "segment-000000000004-000000.zst.copy",
        "checkpoint": saved / "checkpoint-000000000001",  # which the next save prunes
    }
    link = links[kind]
    link.unlink(missing_ok=True)
    link.symlink_to(outside if kind in ("leftover", "checkpoint") else outside / "file")
    if kind == "lock":
        with pytest.raises(UserError, match=r"\.lock is a link, but has to be a regular file"):
            Checkpointer(saved).save(4, state_at(4))
    else:
        checkpointer = Checkpointer(saved)
        checkpointer.save(4, state_at(4))
        assert digest(checkpointer.restore().state) == digest(state_at(4))
        assert not link.is_symlink()
    assert contents(snapshot(outside)) == {"file": b"mine"}


def test_backups_by_hard_links_keep_what_they_have(saved, tmp_path_factory):
    backup = tmp_path_factory.mktemp("backup") / "checkpoints"
    shutil.copytree(saved, backup, copy_function=os.link)
    before = {path: path.read_bytes() for path in backup.rglob("*") if path.is_file()}
    flip_by_replacing(own_segment(saved, 1))
    checkpointer = Checkpointer(saved)
    assert checkpointer.restore().number == 3
    for number in (4, 5):
        checkpointer.save(number, state_at(number))
    checkpointer.close()
    assert {path: path.read_bytes() for path in backup.rglob("*") if path.is_file()} == before
    assert digest(Checkpointer(backup).restore().state) == digest(state_at(3))


def flip_by_replacing(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    flip(path)


def test_a_file_where_the_directory_belongs(tmp_path):
    (tmp_path / "checkpoints").write_text("")
    checkpointer = Checkpointer(tmp_path / "checkpoints")
    with pytest.raises(UserError, match="checkpoints is a file, but has to be a directory"):
        checkpointer.restore()
    for look in (checkpointer.numbers, checkpointer.load):
        with pytest.raises(UserError, match="cannot be read: Not a directory"):
            look()


# Reading beside a run ---------------------------------------------------------------------------


def test_load_changes_nothing(saved):
    flip(saved / "checkpoint-000000000003" / "state.npz")
    (saved / ".pruned-checkpoint-000000000001").mkdir()
    before = snapshot(saved)
    run = Run(saved)
    restored = run.checkpointer.load(rings=True)
    assert restored.number == 2 and digest(restored.state) == digest(state_at(2))
    assert snapshot(saved) == before
    (sentence,) = run.reports
    assert "Checkpoint 3 " in sentence and "state.npz" in sentence and "checkpoint 2" in sentence


def test_load_without_rings_needs_no_segments(saved):
    for path in (saved / "replay").iterdir():
        path.unlink()
    state = Checkpointer(saved).load(2).state
    assert state["replay"] is None
    assert digest(state) == digest(state_at(2) | {"replay": None})


def test_load_needs_no_lock_and_takes_none(saved):
    with contextlib.closing(Checkpointer(saved)) as trainer:
        trainer.lock()
        reader = Checkpointer(saved)
        assert reader.load().number == 3
    Checkpointer(saved).lock()


def test_load_refuses_with_a_sentence(saved, tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint 7 in .*\. Checkpoints there: 2, 3\."):
        Checkpointer(saved).load(7)
    with pytest.raises(UserError, match="There is no checkpoint in"):
        Checkpointer(tmp_path / "nothing here").load()
    flip(saved / "checkpoint-000000000003" / "state.npz")
    with pytest.raises(
        UserError, match=r"3 in .* is damaged \(state.npz .*Other checkpoints there: 2"
    ):
        Checkpointer(saved).load(3)
    flip(saved / "checkpoint-000000000002" / "state.npz")
    with pytest.raises(UserError, match="No checkpoint in .* is intact"):
        Checkpointer(saved).load()


def test_load_looks_again_when_a_checkpoint_is_pruned_meanwhile(saved):
    class Late(Checkpointer):
        """Sees at first what has been pruned since."""

        looks = 0

        def numbers(self):
            self.looks += 1
            return [1] if self.looks == 1 else super().numbers()

    reports: list[str] = []
    assert Late(saved, report=reports.append).load().number == 3
    assert reports == []
    with pytest.raises(UserError, match="no checkpoint 1 in .*: 2, 3"):
        Late(saved).load(1)


def test_load_beside_a_run_that_prunes(tmp_path):
    trainer = Checkpointer(tmp_path, keep=1)
    trainer.save(1, state_at(1))
    reader, loaded = Run(tmp_path), [0]

    def train():
        for number in range(2, 60):
            trainer.save(number, state_at(number) | {"replay": slots_at(1 + number % 15)})

    with ThreadPoolExecutor(1) as threads:
        training = threads.submit(train)
        while not training.done():
            restored = reader.checkpointer.load(rings=True)
            assert (restored.state["weights"] == state_at(restored.number)["weights"]).all()
            loaded.append(restored.number)
    training.result()
    assert loaded == sorted(loaded) and len(loaded) > 2
    assert reader.reports == []


# One writer -------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["lock", "restore", "save"])
def test_a_second_writer_is_refused(tmp_path, verb):
    first, second = Checkpointer(tmp_path), Checkpointer(tmp_path)
    take = {
        "save": lambda c: c.save(1, {}),
        "restore": Checkpointer.restore,
        "lock": Checkpointer.lock,
    }
    take[verb](first)
    before = snapshot(tmp_path)
    for other in take.values():
        with pytest.raises(UserError, match=f"in use .*process {os.getpid()}"):
            other(second)
    assert snapshot(tmp_path) == before
    first.close()
    second.lock()


def test_the_lock_ends_with_its_owner(tmp_path):
    Checkpointer(tmp_path).lock()  # nobody holds the object
    Checkpointer(tmp_path).lock()


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    checkpointer = Checkpointer(tmp_path)
    checkpointer.lock()
    inherited = os.dup(checkpointer._lock.fileno())  # as after a fork
    checkpointer.close()
    Checkpointer(tmp_path).lock()
    os.close(inherited)


def test_a_file_system_without_locks_is_reported(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(storage.fcntl, "flock", flock)
    run = Run(tmp_path)
    run.checkpointer.save(1, {})
    run.checkpointer.close()
    assert len(run.reports) == 1 and "has no locks" in run.reports[0]


def test_a_place_that_cannot_be_written_to_has_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"No checkpoints can be written to .*/file/checkpoints"):
        Checkpointer(tmp_path / "file" / "checkpoints").restore()


# Full and failing disks -------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS"])
@pytest.mark.parametrize("name", ["segment-", "state.json", "state.npz", "manifest.json"])
def test_a_write_that_fails_leaves_everything_as_it_was(saved, monkeypatch, code, name):
    number = getattr(errno, code)
    checkpointer = Checkpointer(saved)
    checkpointer.restore()
    before = snapshot(saved)
    written = 0

    def fail(self, data):
        nonlocal written
        if name in self._files[0].name:
            self._files[0].write(bytes(data)[: len(data) // 2])
            raise OSError(number, os.strerror(number))
        return write(self, data)

    write = storage.DurableWriter.write
    with monkeypatch.context() as patch:
        patch.setattr(storage.DurableWriter, "write", fail)
        with pytest.raises(UserError) as caught:
            checkpointer.save(4, state_at(4))
    sentence = str(caught.value)
    assert sentence.startswith(f"Checkpoint 4 could not be written: {os.strerror(number)} ({saved}")
    assert name in sentence and "the checkpoint at step 3, which is intact" in sentence
    once = "there is room" if code in ("ENOSPC", "EDQUOT") else "this is fixed"
    resumes = "the same command resumes from the checkpoint at step 3, which is intact."
    assert sentence.endswith(f"Once {once}, {resumes}")
    assert contents(snapshot(saved)) == contents(before)

    checkpointer.save(4, state_at(4))  # the same process may try again
    checkpointer.close()
    assert digest(Checkpointer(saved).restore().state) == digest(state_at(4))


def contents(taken: dict) -> dict:
    """A snapshot without times."""
    return {name: content for name, (content, _) in taken.items()}


def test_the_first_checkpoint_may_fail_too(tmp_path, monkeypatch):
    def fail(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage.DurableWriter, "write", fail)
    with pytest.raises(UserError, match="because there is no earlier checkpoint"):
        Checkpointer(tmp_path).save(4, state_at(4))
    assert {path.name for path in tmp_path.iterdir()} <= {".lock", "replay"}


def test_old_checkpoints_that_cannot_be_removed_have_a_sentence(saved, monkeypatch):
    def refuse(path, *arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    checkpointer = Checkpointer(saved)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        with pytest.raises(UserError, match="4 is saved, but older .*: Permission denied"):
            checkpointer.save(4, state_at(4))
    checkpointer.save(5, state_at(5))
    assert checkpointer.numbers() == [4, 5] and not list(saved.glob(".pruned*"))
    assert digest(checkpointer.restore().state) == digest(state_at(5))


@pytest.mark.parametrize("code", ["EINVAL", "EIO"])
def test_only_a_file_system_that_cannot_sync_directories_is_forgiven(saved, monkeypatch, code):
    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    monkeypatch.setattr(os, "fsync", refuse)
    checkpointer = Checkpointer(saved)
    if code == "EINVAL":
        checkpointer.save(4, state_at(4))
    else:
        with pytest.raises(UserError, match=rf"4 could not be written: .* \({saved}/replay\)"):
            checkpointer.save(4, state_at(4))


def test_an_interrupt_leaves_nothing_behind(saved, monkeypatch):
    def interrupt(path):
        raise KeyboardInterrupt

    checkpointer = Checkpointer(saved)
    checkpointer.restore()
    before = contents(snapshot(saved))
    with monkeypatch.context() as patch:
        patch.setattr(manifest.Manifest, "write", lambda *_: interrupt(None))
        with pytest.raises(KeyboardInterrupt):
            checkpointer.save(4, state_at(4))
    assert contents(snapshot(saved)) == before


def test_an_interrupt_just_after_the_rename_loses_nothing(saved, monkeypatch):
    def rename(self, target):
        os.rename(self, target)
        raise KeyboardInterrupt

    checkpointer = Checkpointer(saved)
    checkpointer.restore()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            checkpointer.save(4, state_at(4))
    checkpointer.close()
    restored = Checkpointer(saved).restore()
    assert restored.number == 4 and digest(restored.state) == digest(state_at(4))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes, and a function that makes it larger."""
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o"]
    mounted = subprocess.run([*mount, "size=2m", "tmpfs", path], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not permitted here")
    yield path, lambda: subprocess.run(["mount", "-o", "remount,size=8m", path], check=True)
    subprocess.run(["umount", "--lazy", path], check=True)


@pytest.mark.parametrize("heavy", ["weights", "replay"])
def test_a_disk_that_really_fills_up(small_disk, heavy):
    directory, enlarge = small_disk

    def state(number):
        size = 600_000 if heavy == "weights" else 300_000  # a segment is written twice
        noise = np.random.default_rng(number).integers(0, 256, (1, size), np.uint8)
        if heavy == "weights":
            return {"weights": noise}
        first, stop = np.array([0]), np.array([number])
        block = {"start": stop - 1, "stop": stop, "frames": noise}
        return {"replay": RingSlots(first, stop, lambda after: iter([block]))}

    checkpointer = Checkpointer(directory / "checkpoints", keep=3)
    for number in (1, 2, 3):
        checkpointer.save(number, state(number))
    before = contents(snapshot(directory))
    with pytest.raises(
        UserError, match=r"4 could not be written: No space left.*step 3, which is intact"
    ):
        checkpointer.save(4, state(4))
    assert contents(snapshot(directory)) == before
    checkpointer.close()

    checkpointer = Checkpointer(directory / "checkpoints", keep=3)
    assert checkpointer.restore().number == 3  # also while there is no room
    enlarge()
    checkpointer.save(4, state(4))
    assert checkpointer.restore().number == 4


def test_state_json_is_for_people_too(saved):
    tree = json.loads((saved / "checkpoint-000000000003" / "state.json").read_text())
    assert tree == {"weights": {"$array": 0}, "step": 3, "replay": {"$ring": "state['replay']"}}
