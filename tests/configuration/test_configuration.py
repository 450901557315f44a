"""Configs: found anywhere, every mistake a sentence, unused bindings refused, texts comparable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gin
import numpy as np
import pytest
from gin import config as gin_config

from dopamine_lite import configuration
from dopamine_lite.common.errors import UserError

MODULE = "tests.configuration.test_configuration"


@gin.configurable(module=MODULE)
class Painter:
    """Something that is told its parts by reference."""

    def __init__(self, canvas, *, brush, strokes=3, colors=("red", "blue"), hurry=None):
        self.canvas = canvas
        self.brush = brush()
        self.hurry = hurry


@gin.configurable(module=MODULE)
class RoundBrush:
    def __init__(self, width=1.0, ink="oil"):
        self.width = width
        if width < 0:
            raise UserError("RoundBrush.width is negative: give a width.")


@gin.configurable(module=MODULE)
class FlatBrush:
    def __init__(self, width=2.0, angle=0.0):
        self.width = width
        if width > 100:
            _needs_two(1)  # a mistake in the code, not in the config


@gin.configurable(module=MODULE, denylist=["secret"])
def hurry(secret=1, speed=1.0):
    return speed


@gin.configurable("Twin", module=f"{MODULE}.first")
def _first_twin(size=1):
    return size


@gin.configurable("Twin", module=f"{MODULE}.second")
def _second_twin(size=2):
    return size


@gin.configurable(module=MODULE)
def two_needs(first, second):
    return first, second


def _needs_two(a, b):
    return a, b


GOOD = ["Painter.brush = @RoundBrush", "RoundBrush.width = 4"]


def _paint(bindings: list[str]) -> Painter:
    configuration.load([], bindings)
    return configuration.construct(Painter, "linen")


@pytest.mark.parametrize(
    ("binding", "sentence"),
    [
        ("Painter.strokse = 4", "Painter has no parameter strokse that can be bound in the binding "
         "'Painter.strokse = 4' (did you mean strokes?)."),
        ("Painter.angle = 4", "(did you mean FlatBrush.angle?)"),
        ("Painter.zzz = 4", "that can be bound in the binding 'Painter.zzz = 4': its parameters are "),
        ("RoundBrush.width = 0,4", "Syntax error in the binding 'RoundBrush.width = 0,4': more "
         "follows the value. Put several values in parentheses, and write a decimal point"),
        ("hurry.secret = 4", "hurry has no parameter secret that can be bound"),
        ("Paintr.strokes = 4", "Nothing is called Paintr in the binding 'Paintr.strokes = 4' "
         "(did you mean Painter?); if the name is right, import the module that defines it first."),
        ("Painter.brush = @RoundBrsh", "Nothing is called RoundBrsh"),
        ("Painter.brush = @RoundBrsh()", "(did you mean RoundBrush?)"),
        ("Painter.hurry = @scope/Hurry", "Nothing is called Hurry"),
        ("Painter.brush = RoundBrush", "Cannot read the value RoundBrush in the binding "
         "'Painter.brush = RoundBrush': put text in quotes, and @ before the name"),
        ("Painter.brush =", "Syntax error in the binding 'Painter.brush ='"),
        ("Painter.brush", "Syntax error"),
        ("Painter..brush = 1", "Malformatted scope or selector"),
        ("Painter.colors = ('red', ", "A bracket or string is opened but never closed in the "
         "binding 'Painter.colors = ('red','."),
        ("Painter:\n    strokes = 3\n  hurry = 4", "The indentation is uneven"),
        ("Twin.size = 3", f"The name Twin is ambiguous in the binding 'Twin.size = 3': write "
         f"{MODULE}."),
        ("Painter.hurry = @Twin", "second.Twin"),
        ("Painter.strokes = %coutn\ncount = 3", "The macro %coutn is used but never given a value "
         "(did you mean count?); add a line `coutn = ...`."),
        ("import dopamine_lite.commn.errors", "There is no module dopamine_lite.commn to import in "
         "the binding 'import dopamine_lite.commn.errors'; check its name"),
        ("from nowhere import something", "There is no module nowhere to import"),
        ("include 'nowhere/sticky.gin'", "There is no gin file 'nowhere/sticky.gin' to include"),
    ],
)  # fmt: skip
def test_mistake_in_a_binding_is_a_sentence(binding, sentence):
    with pytest.raises(UserError) as error:
        configuration.load([], [binding])
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# one\n\nPainter.strokes = many", "Cannot read the value many in {file}, line 3: "),
        ("Painter.strokes = 1\nPainter.strokes == 2", "Syntax error in {file}, line 2 at "),
        ("Painter.strokse = 1", "in {file}, line 1 (did you mean strokes?)"),
        ("Painter.strokes = 1\nPaintr.strokes = 1", "Nothing is called Paintr in {file}, line 2"),
        ("Painter.colors = [1,\n 2", "never closed in {file}."),
        ("\nPainter:\n    strokes = 3\n  hurry = 4", "uneven in {file}, line 4"),
        ("Painter:\n    strokes = 3\n    hury = 4", "in {file}, line 3 (did you mean hurry?)"),
        ("import nowhere", "There is no module nowhere to import in {file}, line 1"),
        ("\ninclude 'nope.gin'", "no gin file 'nope.gin' to include in {file}, line 2"),
    ],
)
@pytest.mark.parametrize("included", [False, True])
def test_mistake_in_a_file_names_file_and_line(text, sentence, included, tmp_path):
    file = tmp_path / "inner.gin"
    file.write_text(text)
    outer = tmp_path / "outer.gin"
    outer.write_text(f"\n\ninclude '{file}'\n")
    with pytest.raises(UserError) as error:
        configuration.load([outer if included else file])
    assert sentence.format(file=file) in str(error.value)
    assert "\n" not in str(error.value)


def test_file_that_is_not_text(tmp_path):
    file = tmp_path / "picture.gin"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="something other than text in .*picture.gin"):
        configuration.load([file])


def test_mistakes_of_imported_modules_are_not_blamed_on_the_config(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_syntax.py").write_text("def f(:\n")
    (tmp_path / "broken_code.py").write_text("1 / 0\n")
    (tmp_path / "broken_import.py").write_text("import nowhere_at_all\n")
    (tmp_path / "lacks_extra.py").write_text(
        "from dopamine_lite.common.errors import UserError\nraise UserError('Install the extra.')\n"
    )
    with pytest.raises(UserError, match=r"Syntax error in .*broken_syntax\.py, line 1"):
        configuration.load([], ["import broken_syntax"])
    with pytest.raises(ZeroDivisionError):
        configuration.load([], ["import broken_code"])
    with pytest.raises(UserError, match="module broken_import, .* cannot be .*nowhere_at_all"):
        configuration.load([], ["import broken_import"])
    with pytest.raises(UserError, match=r"^Install the extra\.$"):
        configuration.load([], ["import lacks_extra"])


def test_missing_file_names_the_nearest():
    with pytest.raises(UserError, match=r"no gin file 'dqn/cartpol'.*mean dqn/cartpole\.gin"):
        configuration.find_config("dqn/cartpol")
    # Every config ends like it, with ".gin", which makes none of them near.
    with pytest.raises(UserError, match=r"no gin file 'mein\.gin'.* packaged configs; `list`"):
        configuration.find_config("mein.gin")
    with pytest.raises(UserError, match="no gin file '/'"):
        configuration.find_config("/")


def test_packaged_configs_are_found_from_any_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packaged = configuration.packaged_configs() / "dqn" / "cartpole.gin"
    assert configuration.find_config("dqn/cartpole.gin") == packaged
    assert configuration.find_config("dqn/cartpole") == packaged
    own = tmp_path / "dqn" / "cartpole.gin"
    own.parent.mkdir()
    own.write_text("")
    assert configuration.find_config("dqn/cartpole.gin").resolve() == own


def test_includes_are_found_beside_and_among_the_packaged(tmp_path, monkeypatch):
    packaged = tmp_path / "packaged"
    (packaged / "inks").mkdir(parents=True)
    (packaged / "inks" / "wet.gin").write_text("RoundBrush.ink = 'water'\n")
    monkeypatch.setattr(configuration.files, "packaged_configs", lambda: packaged)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (elsewhere / "own.gin").write_text("include 'inks/wet.gin'\nRoundBrush.width = 7\n")
    configuration.load(["own.gin"], ["RoundBrush.width = 8"])
    assert gin.query_parameter("RoundBrush.ink") == "water"
    assert gin.query_parameter("RoundBrush.width") == 8  # bindings come after files


def test_load_forgets_what_was_loaded_before():
    _paint([*GOOD, "Painter.strokes = 9"])
    configuration.load([], GOOD)
    with pytest.raises(ValueError, match="no value bound"):
        gin.query_parameter("Painter.strokes")


def test_loading_prints_nothing(capfd):
    with pytest.raises(UserError):
        configuration.load([], ["include 'nowhere/at/all.gin'"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("bindings", "sentence"),
    [
        (["Painter.strokes = 1"], "Painter has no value for brush: bind Painter.brush = ..."),
        (["Painter.brush = @two_needs"], "two_needs has no value for first, second: bind "
         "two_needs.first = ..., two_needs.second = ..."),
        (["Painter.brush = @RoundBrush", "RoundBrush.width = -1"],
         "RoundBrush.width is negative: give a width."),
        (["Painter.brush = @two_needs()"],
         "@two_needs() calls two_needs too early: write @two_needs, without the parentheses."),
    ],
)  # fmt: skip
def test_what_the_constructors_miss_is_a_sentence(bindings, sentence):
    with pytest.raises(UserError) as error:
        _paint(bindings)
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)


def test_mistakes_in_the_code_stay_exceptions():
    with pytest.raises(TypeError, match="_needs_two"):
        _paint(["Painter.brush = @FlatBrush", "FlatBrush.width = 101"])


class _TorsoWithMistakes:
    """A torso of a user's, whose mistakes show in a call of the package's DQNAgent."""

    compile_update = True
    mistake = "none"

    def __init__(self, seeds):
        import keras

        if self.mistake == "own":
            _needs_two(1)
        self.layers = keras.Sequential([keras.layers.Dense(4)])

    def prepare(self, observations):
        return np.reshape(np.zeros(3), 2) if self.mistake == "in numpy" else observations


@pytest.mark.parametrize(
    ("mistake", "message"), [("own", "_needs_two"), ("in numpy", "cannot reshape")]
)
def test_mistakes_in_a_users_part_keep_their_traceback(mistake, message, monkeypatch, tmp_path):
    from dopamine_lite.runner.runner import Runner

    monkeypatch.setattr(_TorsoWithMistakes, "mistake", mistake)
    bindings = ["Runner.console = None", "DQNAgent.gamma = 0.9"]
    configuration.load(["dqn/cartpole.gin"], bindings)
    gin.bind_parameter("DQNAgent.torso", _TorsoWithMistakes)
    with pytest.raises((TypeError, ValueError), match=message) as error:
        configuration.construct(Runner, tmp_path)
    assert Path(__file__) in [entry.path for entry in error.traceback]


@pytest.mark.parametrize(
    ("bindings", "unused"),
    [
        ([], []),
        (["Painter.canvas = 'paper'"], ["Painter.canvas"]),  # the caller gives it
        (["FlatBrush.angle = 3"], ["FlatBrush.angle"]),  # the brush that was not chosen
        (["wide/RoundBrush.width = 3"], ["wide/RoundBrush.width"]),
        (["width = 3"], ["width"]),  # a macro
        (["RoundBrush.width = %width", "width = 3"], []),
        (["FlatBrush.width = %width", "width = 3"], ["FlatBrush.width", "width"]),
        (["Painter.brush = @wide/RoundBrush", "wide/RoundBrush.width = 3"], ["RoundBrush.width"]),
        (["Painter.brush = @wide/RoundBrush", "wide/RoundBrush.ink = 'x'"], []),  # width inherits
        (["Painter.hurry = @hurry", "hurry.speed = 2"], []),  # referred to, to be called later
        (["Painter.hurry = [@hurry]", "hurry.speed = %v", "v = 1"], []),
        (["Painter.hurry = [1, {'a': @one/hurry}]", "one/hurry.speed = 2", "two/hurry.speed = 2"],
         ["two/hurry.speed"]),
        (["Painter.hurry = @hurry()", "hurry.speed = 2"], []),
        (["hurry.speed = 2"], ["hurry.speed"]),
    ],
)  # fmt: skip
def test_unused_bindings(bindings, unused):
    _paint([*GOOD, *bindings])
    assert configuration.unused_bindings() == unused


def test_unused_binding_is_refused_with_the_nearest_right_one():
    _paint(GOOD)
    configuration.reject_unused_bindings()
    _paint([*GOOD, "FlatBrush.width = 3"])
    with pytest.raises(
        UserError, match=r"uses FlatBrush.width \(did you mean RoundBrush.width\?\)"
    ):
        configuration.reject_unused_bindings()
    _paint([*GOOD, "stroeks = 3"])
    with pytest.raises(UserError, match="Nothing in this experiment uses stroeks: remove"):
        configuration.reject_unused_bindings()


FILE = """
Painter.brush = @RoundBrush
Painter.hurry = @one/hurry
RoundBrush.width = %size
one/hurry.speed = 3
size = 4
"""


@pytest.mark.parametrize(
    ("bindings", "unused"),
    [
        ([], []),
        (["Painter.brush = @FlatBrush"], []),  # the file's width and size go with the round brush
        (["Painter.brush = @FlatBrush", "RoundBrush.ink = 'x'"], ["RoundBrush.ink"]),
        (["Painter.brush = @FlatBrush", "RoundBrush.width = 5"], ["RoundBrush.width"]),
        (["Painter.brush = @FlatBrush", "FlatBrush.width = %size"], []),
        (["Painter.brush = @two/RoundBrush"], []),
        (["Painter.hurry = None"], []),
        (["FlatBrush.angle = 3"], ["FlatBrush.angle"]),
    ],
)
def test_what_a_file_says_of_a_part_goes_with_the_part(bindings, unused, tmp_path):
    (tmp_path / "paint.gin").write_text(FILE)
    configuration.load([tmp_path / "paint.gin"], bindings)
    configuration.construct(Painter, "linen")
    assert configuration.unused_bindings() == unused


def test_a_replaced_part_is_not_in_force(tmp_path):
    (tmp_path / "paint.gin").write_text(FILE)
    configuration.load([tmp_path / "paint.gin"], ["Painter.brush = @FlatBrush"])
    configuration.construct(Painter, "linen")
    assert "RoundBrush" not in configuration.operative()
    assert "size" not in configuration.operative()


def test_operative_is_one_binding_a_line_and_loads_again(tmp_path):
    long = "Painter.colors = " + repr([f"color {number}" for number in range(100)])
    bindings = [*GOOD, long, "Painter.hurry = @late/hurry", "late/hurry.speed = %fast", "fast = 2"]
    imports = ["import xml.dom.minidom", "import xml.sax", "import json"]
    _paint([*imports, *bindings])
    text = configuration.operative()
    lines = text.splitlines()
    assert long.replace('"', "'") in lines
    assert lines[:4] == ["import json", "import xml.dom.minidom", "import xml.sax", ""]
    assert {"Painter.strokes = 3", "RoundBrush.ink = 'oil'", "fast = 2",
            "late/hurry.speed = %fast"} < set(lines)  # fmt: skip
    assert not any(line.startswith("#") for line in lines)
    assert all(" = " in line or line.startswith("import ") for line in lines if line)

    _paint([*reversed(imports), *reversed(bindings)])
    assert configuration.operative() == text

    saved = tmp_path / "config.gin"
    saved.write_text(text)
    configuration.load([saved])
    configuration.construct(Painter, "linen")
    configuration.reject_unused_bindings()
    assert configuration.operative() == text


def test_differences():
    old = "import a.b\n\nA.x = 1\nA.y = 'p = q'\nRunner.num_iterations = 5\nm = 3\n"
    new = "import a.c\n\nA.x = 2\nA.y = 'p = q'\nRunner.num_iterations = 9\nB.z = @C\n"
    assert configuration.differences(old, old) == []
    assert configuration.differences(old, new) == [
        "A.x: this run 1, now 2",
        "B.z: this run without it, now @C",
        "m: this run 3, now without it",
        "import a.b: only in this run",
        "import a.c: only now",
    ]


def test_what_may_change_in_a_run_is_no_difference():
    old = "A.x = 1\nCircularReplay.compress = False\nRunner.num_iterations = 5\n"
    new = "A.x = 1\nCircularReplay.compress = True\nRunner.num_iterations = 9\n"
    before_it_existed = "A.x = 1\nRunner.num_iterations = 5\n"
    for one in (old, new, before_it_existed):
        assert configuration.without_what_may_change(one) == "A.x = 1\n"
        for other in (old, new):
            assert configuration.differences(one, other) == []
            assert configuration.new_settings(one, other) == {}


def test_original_takes_gins_additions_off():
    configuration.load([], ["Painter.brush = @RoundBrush", "RoundBrush.width = -1"])
    with pytest.raises(UserError) as error:
        Painter("linen")
    assert "In call to configurable" in str(error.value)
    assert str(configuration.original(error.value)).endswith("give a width.")
    plain = UserError("plain")
    assert configuration.original(plain) is plain


def test_imports_neither_tensorflow_nor_gins_tensorflow_part():
    code = (
        "import sys; import dopamine_lite.configuration as c; c.all_configs();"
        "assert not {'tensorflow', 'gin.tf', 'numpy'} & set(sys.modules)"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


BASE = """\
include "dqn/cartpole.gin"
"""


def test_a_file_can_put_another_part_in_place_of_an_included_one(tmp_path):
    """The included file binds MLP.hidden_units, which then nothing uses."""
    (tmp_path / "own.gin").write_text(BASE + "DQNAgent.torso = @SmallCNN\n")
    configuration.load([tmp_path / "own.gin"])
    assert not [key for key in gin_config._CONFIG if key[1].endswith("MLP")]


def test_so_can_a_later_file(tmp_path):
    (tmp_path / "own.gin").write_text("DQNAgent.torso = @SmallCNN\n")
    configuration.load(["dqn/cartpole.gin", tmp_path / "own.gin"])
    assert not [key for key in gin_config._CONFIG if key[1].endswith("MLP")]


def test_what_a_file_binds_of_the_part_that_it_replaces_stays(tmp_path):
    """It is a mistake, and said to be one when nothing has used it."""
    own = "DQNAgent.torso = @SmallCNN\nMLP.hidden_units = (5,)\n"
    (tmp_path / "own.gin").write_text(BASE + own)
    configuration.load([tmp_path / "own.gin"])
    assert gin.query_parameter("MLP.hidden_units") == (5,)


AGENT = """\
import dopamine_lite.agents.c51_agent
Runner.agent = @C51Agent
C51Agent.torso = @MLP
MLP.hidden_units = (32,)
Adam.learning_rate = 3e-3
Adam.beta1 = 0.9
CircularReplay.replay_capacity = 777
"""


@pytest.mark.parametrize("files", [["own.gin"], ["dqn/cartpole.gin", "own.gin"]])
def test_a_file_that_replaces_the_agent_keeps_what_it_says_itself(files, tmp_path, monkeypatch):
    """Often wrong: Adam and the replay, which the old agent referred to and the new one has by default,
    lose the settings that the new file gives them."""
    monkeypatch.chdir(tmp_path)
    Path("own.gin").write_text((BASE if len(files) == 1 else "") + AGENT)
    configuration.load(files)
    assert gin.query_parameter("MLP.hidden_units") == (32,)
    assert gin.query_parameter("Adam.learning_rate") == 3e-3
    assert gin.query_parameter("CircularReplay.replay_capacity") == 777
    dropped = configuration.sources().dropped
    assert "DQNAgent.update_horizon" in dropped and "EpsilonGreedy.epsilon_train" in dropped
    assert "Adam.epsilon" in dropped and "Adam.learning_rate" not in dropped
    assert not [key for key in gin_config._CONFIG if key[1].endswith("DQNAgent")]


def test_a_setting_repeated_with_the_same_value_is_the_new_files(tmp_path):
    """Often wrong: small numbers are one object in Python, whichever file they stand in."""
    first, second = tmp_path / "first.gin", tmp_path / "second.gin"
    first.write_text(BASE + "Adam.decay_updates = 7\nAdam.beta2 = True\n")
    second.write_text(AGENT + "Adam.decay_updates = 7\n")
    configuration.load([first, second])
    assert gin.query_parameter("Adam.decay_updates") == 7
    with pytest.raises(ValueError, match="beta2"):
        gin.query_parameter("Adam.beta2")


def test_gin_reads_files_as_before_afterwards(tmp_path):
    (tmp_path / "own.gin").write_text(BASE)
    before = list(gin_config._FILE_READERS), list(gin_config._LOCATION_PREFIXES)
    configuration.load([tmp_path / "own.gin"])
    assert before == (gin_config._FILE_READERS, gin_config._LOCATION_PREFIXES)
