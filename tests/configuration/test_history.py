"""Configurations outlive the code that wrote them: what is new, renamed, removed or changed since."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import gin
import pytest

from dopamine_lite import configuration
from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration import catalogue, history

MODULE = "tests.configuration.test_history"


@gin.configurable(module=MODULE)
class Kettle:
    def __init__(self, liters: float = 1.5, whistle: bool = True, cord: int | None = None):
        self.values = (liters, whistle, cord)


@pytest.fixture
def changes(monkeypatch):
    """Three versions of the kettle's settings, one after the other."""
    monkeypatch.setattr(history, "SCHEMA", 3)
    monkeypatch.setattr(
        history, "RENAMED", ((2, "Kettle.volume", "Kettle.liters"), (2, "kitchen.old", MODULE))
    )
    monkeypatch.setattr(history, "REMOVED", ((3, "Kettle.lid", "True"),))
    monkeypatch.setattr(
        history, "CHANGED", ((3, "Kettle.cord", ("None",), "Kettle.cord is in inches now."),)
    )


def written(tmp_path: Path, schema: int | None, text: str) -> Path:
    path = tmp_path / "config.gin"
    header = "" if schema is None else history._HEADER + f"{schema}.\n\n"
    path.write_text(header + text)
    return path


def load(path: Path) -> tuple[tuple[float, bool, int | None], list[str]]:
    sentences = configuration.load_run(path)
    return configuration.construct(Kettle).values, sentences


@pytest.mark.parametrize("schema", [None, 1])
def test_an_early_config_is_read_in_todays_names(tmp_path, changes, schema):
    text = "import kitchen.old\n\nKettle.volume = 2.0\nKettle.lid = True\nKettle.cord = 30\n"
    assert load(written(tmp_path, schema, text)) == (
        (2.0, True, 30),
        [
            "Kettle.volume is now called Kettle.liters.",
            "Kettle.lid is no longer a setting: dopamine_lite now always does what this run's True "
            "meant.",
            "Kettle.cord is in inches now.",
        ],
    )


def test_a_part_with_a_new_name_keeps_its_settings_and_references(monkeypatch):
    renamed = ((2, "Kessel", "Kettle"), (2, "Kettle.volume", "Kettle.liters"))
    monkeypatch.setattr(history, "RENAMED", renamed)
    text = "Kessel.volume = 2.0\nred/Kessel.cord = 3\nStove.on = [@Kessel, @red/Kessel(), @Kesselchen]\n"
    found, sentences = history.translated(text, "config.gin")
    assert found == (
        "Kettle.liters = 2.0\nred/Kettle.cord = 3\nStove.on = [@Kettle, @red/Kettle(), @Kesselchen]\n"
    )
    assert sentences == ["Kettle.volume is now called Kettle.liters."]


def test_a_change_holds_for_the_files_before_it_only(tmp_path, changes):
    values, sentences = load(written(tmp_path, 2, "Kettle.liters = 2.0\nKettle.lid = True\n"))
    assert values == (2.0, True, None)
    assert sentences == [
        "Kettle.lid is no longer a setting: dopamine_lite now always does what this run's True "
        "meant."
    ]
    assert load(written(tmp_path, 3, "Kettle.cord = 30\n"))[1] == []
    assert load(written(tmp_path, 2, "Kettle.cord = None\n"))[1] == []


def test_a_scope_stays(tmp_path, changes):
    text, _ = configuration.translated("small/Kettle.volume = 2.0\n", "it")
    assert text == "small/Kettle.liters = 2.0\n"


def test_what_can_be_done_no_more_is_refused(tmp_path, changes):
    path = written(tmp_path, 1, "Kettle.lid = False\n")
    with pytest.raises(UserError) as refused:
        load(path)
    assert str(refused.value) == (
        f"{path} has Kettle.lid = False, but dopamine_lite no longer has this setting and always "
        "does what True meant: use the version that began the run."
    )


def test_a_config_of_a_later_version_is_refused(tmp_path):
    path = written(tmp_path, history.SCHEMA + 1, "")
    with pytest.raises(UserError, match=f"has schema {history.SCHEMA + 1}, but this version"):
        load(path)


def test_a_gin_file_with_an_old_name_is_told_the_new_one(changes):
    with pytest.raises(UserError, match=r"Kettle\.volume is now called Kettle\.liters"):
        configuration.load([], ["Kettle.volume = 2.0"])


def test_a_gin_file_may_import_a_module_by_its_name_of_before(tmp_path):
    path = tmp_path / "own.gin"
    path.write_text("import dopamine_lite.agents.exploration\nEpsilonGreedy.epsilon_eval = 0.5\n")
    configuration.load([path])
    assert "dopamine_lite.acting.exploration" in configuration.modules.imported()
    assert gin.query_parameter("EpsilonGreedy.epsilon_eval") == 0.5


def test_a_setting_that_is_new_and_has_its_default_is_no_difference():
    old = "Kettle.liters = 1.5\n"
    assert configuration.differences(old, old + "Kettle.whistle = True\nKettle.cord = None\n") == []
    assert configuration.new_settings(old, old + "Kettle.whistle = True\n") == {
        "Kettle.whistle": "True"
    }
    for other in ("Kettle.whistle = False", "Kettle.whistle = 1", "Kettle.unheard_of = 1"):
        name, _, value = other.partition(" = ")
        assert configuration.differences(old, f"{old}{other}\n") == [
            f"{name}: this run without it, now {value}"
        ]
    assert configuration.differences("Kettle.cord = 3\n" + old, old) == [
        "Kettle.cord: this run 3, now without it"
    ]


def test_what_is_listed_is_what_there_is():
    """A name that means something else now has to be one; a renamed one has to be gone."""
    for since, name, *_ in history.CHANGED:
        assert since <= history.SCHEMA
        assert _exists(name)
    for since, old, new in history.RENAMED:
        assert since <= history.SCHEMA
        if old.startswith("dopamine_lite."):
            assert _is_module(new) and not _is_module(old)
        elif "." not in old:
            known = {part.name for part in catalogue.parts()}
            assert new in known and old not in known
        else:
            assert "." in new and not _exists(old)
    for since, name, _ in history.REMOVED:
        assert since <= history.SCHEMA and not _exists(name)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _exists(name: str) -> bool:
    import dopamine_lite.runner.runner  # noqa: F401

    owner, _, parameter = name.rpartition(".")
    try:
        gin.bind_parameter(f"{owner}.{parameter}", None)
    except ValueError:
        return False
    return True
