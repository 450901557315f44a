"""What a configuration may import, from where, and what it must not reach without an import."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from gin import config as gin_config

from dopamine_lite import configuration
from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration import ImportRule, modules
from dopamine_lite.environments.gymnasium_environment import find


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The current directory, out of which nothing has been imported yet, nor will have been."""
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield directory
    for name in [name for name in sys.modules if name.startswith("own_") or name == "this"]:
        del sys.modules[name]
    configuration.load([])


def load(*bindings: str, **rule) -> None:
    configuration.load([], bindings, ImportRule(**rule))


def test_modules_of_the_current_directory_come_last_and_bring_their_neighbors(here):
    (here / "own_module.py").write_text("def later():\n    import own_neighbor\n")
    (here / "own_neighbor.py").write_text("")
    (here / "json.py").write_text("raise AssertionError\n")
    (here / "this.py").write_text("raise AssertionError\n")  # Python's own prints a poem
    path = list(sys.path)
    load("import this", "import json")
    assert sys.path == path
    load("import own_module")
    assert sys.path == [*path, str(here)]
    sys.modules["own_module"].later()
    assert configuration.imported_modules() == ["own_module"]


@pytest.mark.parametrize("text", ["import own_pack.part", "from own_pack import part as other"])
def test_packages(here, text):
    (here / "own_pack").mkdir()
    (here / "own_pack" / "part.py").write_text("")
    load(text)
    assert "own_pack.part" in sys.modules
    assert configuration.imported_modules() == ["own_pack.part"]
    assert modules.asked_imports() == ["own_pack.part"]


def test_this_package_and_what_is_loaded_need_no_word(here):
    load("import dopamine_lite.agents.random_agent", "import json", "import gin", allowed=())
    assert modules.asked_imports() == []


def test_the_word_covers_a_module_and_what_is_in_it(here):
    for name in ("own_pack/__init__", "own_pack/part", "own_package"):
        (here / f"{name}.py").parent.mkdir(exist_ok=True)
        (here / f"{name}.py").write_text("")
    said = []
    rule = {"allowed": ["own_pack"], "announce": lambda *what: said.append(what)}
    load("import own_pack.part", **rule)
    assert said == [("own_pack.part", here / "own_pack" / "part.py")]
    with pytest.raises(
        UserError, match="imports own_package, which executes .*`imports` own_package"
    ):
        load("import own_package", **rule)
    with pytest.raises(UserError, match=r"imports own_nothing, which is neither installed nor in"):
        load("import own_nothing", **rule)
    assert len(said) == 1 and "own_package" not in sys.modules


def test_an_environment_id_imports_as_import_does(here):
    (here / "own_ids.py").write_text(
        "import gymnasium\ngymnasium.register('OwnIds-v0', 'own_ids:make')\n"
    )
    load(allowed=())
    with pytest.raises(UserError, match=r"id 'own_ids:OwnIds-v0' imports own_ids, which executes"):
        find("own_ids:OwnIds-v0")
    load(allowed=["own_ids"])
    assert find("own_ids:OwnIds-v0").entry_point == "own_ids:make"
    assert configuration.imported_modules() == ["own_ids"]
    assert modules.asked_imports() == ["own_ids"]


@pytest.mark.parametrize("base", [".", "..", "link"])
def test_nothing_is_imported_from_a_run(here, base, monkeypatch):
    (here / "link").symlink_to(here)
    (here / "own_module.py").write_text("raise AssertionError\n")
    with pytest.raises(
        UserError,
        match="own_module, which is not installed, and nothing is executed from the current",
    ):
        load("import own_module", run_directory=Path(base))
    monkeypatch.chdir("/")
    monkeypatch.syspath_prepend(here)
    with pytest.raises(UserError, match="own_module.py in the run's own directory: no code"):
        load("import own_module", run_directory=here / base)


def test_links_out_of_a_run_are_followed(here, monkeypatch):
    run = here / "run"
    run.mkdir()
    (run / "evil.py").write_text("raise AssertionError\n")
    (here / "own_link.py").symlink_to(run / "evil.py")
    with pytest.raises(UserError, match="own_link.py in the run's own directory"):
        load("import own_link", run_directory=run)


@pytest.mark.parametrize("reference", ["@os.system()", "@os.system", "@nowhere.at_all"])
def test_dynamic_registration_is_refused_whoever_asks(here, reference):
    file = here / "own.gin"
    file.write_text(f"\nfrom __gin__ import dynamic_registration\nimport os\nx = {reference}\n")
    with pytest.raises(UserError, match=r"own\.gin, line 2, asks for gin's dynamic registration"):
        configuration.load([file])
    with pytest.raises(UserError, match=r"A binding asks for gin's dynamic registration"):
        configuration.load([], [file.read_text()])


def test_gins_own_reader_is_as_it_was(here):
    context = gin_config.ParseContext
    with pytest.raises(UserError):
        load("import own_nothing")
    load("import json")
    assert gin_config.ParseContext is context


def test_a_runs_config_includes_nothing(here):
    (here / "config.gin").write_text("include 'other.gin'\n")
    (here / "other.gin").write_text("import json\n")
    with pytest.raises(
        UserError,
        match=r"^config\.gin includes other\.gin, so it has been changed: a run's config states",
    ):
        configuration.load_run(Path("config.gin"), rule=ImportRule(allowed=()))
    configuration.load(["config.gin"])
