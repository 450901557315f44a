"""Names of trials: readable, safe, the same whatever else is in the study, and never shared."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopamine_lite.common.errors import UserError
from dopamine_lite.study import naming
from dopamine_lite.study.grid import axes
from dopamine_lite.study.study import Trial, record, variants


def names(gin_files, grids=(), bindings=()):
    return [variant.name for variant in variants(gin_files, axes(grids), bindings)]


def test_a_name_says_experiment_and_values():
    assert names(["dqn/cartpole.gin"]) == ["dqn_cartpole"]
    assert names(["dqn/cartpole"]) == ["dqn_cartpole"]
    assert names(["dqn/cartpole.gin", "c51/cartpole.gin"], ["DQNAgent.gamma=[0.9,1e-3]"]) == [
        "dqn_cartpole/gamma=0.9",
        "dqn_cartpole/gamma=0.001",
        "c51_cartpole/gamma=0.9",
        "c51_cartpole/gamma=0.001",
    ]


def test_parameters_that_share_a_name_are_named_in_full():
    assert names(["dqn/cartpole.gin"], ["Adam.epsilon=[1]", "A.epsilon=[2]", "A.b=[3]"]) == [
        "dqn_cartpole/Adam.epsilon=1,A.epsilon=2,b=3"
    ]
    assert names(["dqn/cartpole.gin"], ["A.seed=[1]"]) == ["dqn_cartpole/A.seed=1"]


def test_files_of_ones_own_are_told_apart_by_their_directories(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/mine.gin", "b/mine.gin", "c/other 1.gin"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert names(["a/mine.gin"]) == ["mine"]
    assert names(["a/mine.gin", "b/mine.gin", "c/other 1.gin"]) == ["a_mine", "b_mine", "other_1"]
    assert names(["dqn/cartpole.gin,a/mine.gin", "a/mine.gin"]) == ["dqn_cartpole+mine", "mine"]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("0.001", "0.001"),
        ("-1", "-1"),
        ("True", "True"),
        ("'relu'", "relu"),
        ("(64, 64)", "64_64"),
        ("@RMSProp", "RMSProp"),
    ],
)
def test_values_that_need_no_digest(value, name):
    assert naming.value(value) == name


_VALUES = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)


@given(st.lists(_VALUES, unique_by=repr))
def test_names_are_safe_short_and_differ_where_values_do(values):
    by_kind: dict[type, list[str]] = {}
    for value in values:
        by_kind.setdefault(type(value), []).append(naming.value(repr(value)))
    for found in by_kind.values():
        assert len(set(found)) == len(found)
        assert all(re.fullmatch(r"[\w.+-]{1,60}", name, re.ASCII) for name in found)
        assert not {".", ".."} & set(found)


def test_variants_that_would_share_a_directory_get_a_digest():
    found = names(["dqn/cartpole.gin"], ["A.b=['1',1,2]"])
    assert found[2] == "dqn_cartpole/b=2" and len(set(found)) == 3
    assert all(re.fullmatch(r"dqn_cartpole/b=1-[0-9a-f]{8}", name) for name in found[:2])


@pytest.mark.parametrize(
    ("gin_files", "sentence"),
    [
        (["dqn/cartpol.gin"], "There is no gin file 'dqn/cartpol.gin'"),
        ([","], "`gin_files` names no file"),
        (["dqn/cartpole.gin", "dqn/cartpole.gin"], "is given more than once"),
    ],
)
def test_mistakes_in_files(gin_files, sentence):
    with pytest.raises(UserError) as refused:
        names(gin_files)
    assert sentence in str(refused.value)


def test_a_trial_is_a_command_line_of_train(tmp_path):
    (variant,) = variants(["dqn/cartpole.gin,dqn/acrobot.gin"], axes(["A.b=[1]"]), ["C.d=2"])
    assert Trial(variant, 3, 2, 100).arguments(tmp_path) == [
        *("train", "--base_dir", str(tmp_path / "dqn_cartpole+dqn_acrobot/b=1/seed=3")),
        *("--gin_files", "dqn/cartpole.gin", "--gin_files", "dqn/acrobot.gin"),
        *("--gin_bindings", "C.d=2", "--gin_bindings", "A.b = 1", "--seed", "3"),
    ]


def test_a_trial_may_become_longer_and_compress_its_replay_and_nothing_else(tmp_path):
    def trial(*bindings: str) -> Trial:
        (variant,) = variants(["dqn/cartpole.gin"], (), bindings)
        return Trial(variant, 0, 2, 100)

    record(tmp_path, "sweep", [trial()])
    record(tmp_path, "more", [trial("Runner.num_iterations = 9", "CircularReplay.compress = True")])
    with pytest.raises(UserError, match="but this command gives it .*DQNAgent.gamma = 0.5"):
        record(tmp_path, "other", [trial("DQNAgent.gamma = 0.5")])


def test_how_many_actors_a_trial_has_may_change_but_not_whether_it_has_any(tmp_path):
    def trial(actors: int | None) -> Trial:
        (variant,) = variants(["dqn/cartpole.gin"], (), [f"Runner.actors = {actors}"])
        return Trial(variant, 0, 2, 100)

    record(tmp_path, "first", [trial(2)])
    record(tmp_path, "more", [trial(4)])
    with pytest.raises(UserError, match="Runner.actors = 4, but this command gives it .*None"):
        record(tmp_path, "none", [trial(None)])
