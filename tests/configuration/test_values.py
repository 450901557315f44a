"""Bound values held against annotations: the package's, and those of anybody's code."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, Protocol

import gin
import numpy as np
import pytest

from dopamine_lite import configuration
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments import factory  # noqa: F401  # known to gin

if TYPE_CHECKING:
    from nowhere import Nothing  # a name that is known to type checkers only

MODULE = "tests.configuration.test_values"


class Sky(Protocol):
    color: str

    def light(self) -> float: ...


class Tool(abc.ABC):
    @abc.abstractmethod
    def use(self) -> None: ...

    def put_away(self) -> str:
        return "away"


@gin.configurable(module=MODULE)
class Blue:
    """A sky without saying so."""

    def light(self):
        return 1.0


@gin.configurable(module=MODULE)
class Broom:
    """A tool that is no Tool: what is abstract in that it has, and no more is asked."""

    def __init__(self, length: float = 1.0):
        self.length = length

    def use(self):
        pass


@gin.configurable(module=MODULE)
class Delegate:
    """Something that has every method there is."""

    def __getattr__(self, name):
        return lambda: None


@gin.configurable(module=MODULE)
def some_sky():
    return Blue()


@gin.configurable(module=MODULE)
def number() -> int:
    return 3


@gin.configurable(module=MODULE)
def maker_of_skies():
    return Blue


@gin.configurable(module=MODULE)
class Landscape:
    def __init__(
        self,
        flag: bool = False,
        whole: int = 0,
        ratio: float = 0.5,
        name: str = "",
        choice: Literal["hill", 3] = 3,
        perhaps: Optional[int] = None,  # noqa: UP045 (as older code writes it)
        sizes: Sequence[int] = (1, 2),
        pair: tuple[int, str] = (1, "a"),
        table: dict[str, float] | None = None,
        place: Path = Path("."),
        sky: Callable[[], Sky] = Blue,
        tool: Callable[..., Tool] = Broom,
        the_sky: Sky | None = None,
        anything: Any = None,
        unannotated=None,
        array: np.ndarray | None = None,
        unknown: Nothing | None = None,
        noted: Annotated[int, "of trees"] = 0,
        careless: int = 0.1,  # type: ignore[assignment]
        bare: list = [],  # noqa: B006
    ):
        pass


GOOD = [
    "flag=True", "whole=-3", "whole=%n", "ratio=1", "ratio=1e-300", "name='x'", "name=%t",
    "choice='hill'", "choice=3", "perhaps=None", "perhaps=7", "sizes=[]", "sizes=[1]", "sizes=(1,)",
    "sizes=(%n, 3)", "sizes=%l", "pair=(1, 'x')", "pair=[1, 'x']", "table=None", "table={'a': 1}",
    "table={'a': %n}", "place='x'", "sky=@Blue", "sky=@some_sky", "sky=@Delegate",
    "sky=@maker_of_skies()", "tool=@Broom", "tool=@scope/Broom", "the_sky=@Blue()",
    "the_sky=@some_sky()", "the_sky=None", "anything=[1, {'a': @Blue}]", "unannotated='x'",
    "array=[1, 2]", "unknown=3", "noted=3", "careless=0.5", "careless=1", "bare=[1, 'x']",
    "whole=@number()", "ratio=@number()",
]  # fmt: skip

BAD = {
    "flag='no'": "Landscape.flag is 'no': give True or False.",
    "flag=0": "Landscape.flag is 0: give True or False.",
    "flag=@number()": "Landscape.flag is @number(): give True or False.",
    "whole=True": "Landscape.whole is True: give a whole number.",
    "whole=2.0": "Landscape.whole is 2.0: write 2, a whole number.",
    "whole=2.5": "Landscape.whole is 2.5: give a whole number.",
    "whole=%t": "Landscape.whole is %t, which is 'text': give a whole number.",
    "whole=@number": "Landscape.whole is @number: give a whole number.",
    "ratio=False": "Landscape.ratio is False: give a number.",
    "ratio=1e999": "Landscape.ratio is inf: give a finite number.",
    "name=3": "Landscape.name is 3: give text in quotes.",
    "name=None": "Landscape.name is None: give text in quotes.",
    "choice='vale'": "Landscape.choice is 'vale': give one of 'hill', 3.",
    "perhaps=''": "Landscape.perhaps is '': give a whole number or None.",
    "sizes=8": "Landscape.sizes is 8: give a list of whole numbers, such as (1, 2).",
    "sizes='12'": "Landscape.sizes is '12': give a list of whole numbers, such as (1, 2).",
    "sizes=[%t]": "Landscape.sizes is [%t], which is ['text']: give a list of whole numbers, "
    "such as (1, 2).",
    "pair=(1, 'x', 3)": "Landscape.pair is (1, 'x', 3): give a list of",
    "table=[1]": 'Landscape.table is [1]: give None or a dict, such as {"name": 1}.',
    "table={'a': 'x'}": "Landscape.table is {'a': 'x'}: give None or a dict",
    "place=3": "Landscape.place is 3: give text in quotes.",
    "sky=@Broom": "Landscape.sky is @Broom: give a reference to a class or function that makes a Sky, "
    "such as @Blue",
    "sky=@number": "Landscape.sky is @number: give a reference to a class or function that makes a "
    "Sky, such as @Blue",
    "sky=@Blue()": "Landscape.sky is @Blue(), which calls Blue too early: write @Blue, without",
    "sky='Blue'": "Landscape.sky is 'Blue': give a reference to a class or function that makes a Sky",
    "sky=None": "Landscape.sky is None: give a reference to a class or function that makes a Sky",
    "tool=@Blue": "Landscape.tool is @Blue: give a reference to a class or function that makes a Tool",
    "the_sky=@Broom()": "Landscape.the_sky is @Broom(): give None or an object of the class Sky, "
    "made as @name() by code of your own.",
    "the_sky=3": "Landscape.the_sky is 3: give None or an object of the class Sky",
    "anything=[1, {'a': -1e999}]": "Landscape.anything holds -inf: give a finite number.",
    "unannotated=1e999": "Landscape.unannotated is inf: give a finite number.",
    "noted='x'": "Landscape.noted is 'x': give a whole number.",
    "careless='x'": "Landscape.careless is 'x': give a whole number.",
}

MACROS = ["n = 4", "t = 'text'", "l = [1, %n]"]


@pytest.mark.parametrize("binding", GOOD)
def test_values_of_the_kind(binding):
    configuration.load([], [*MACROS, f"Landscape.{binding}"])
    Landscape()


@pytest.mark.parametrize("binding", BAD)
def test_values_of_another_kind(binding):
    with pytest.raises(UserError) as error:
        configuration.load([], [*MACROS, f"Landscape.{binding}"])
    assert str(error.value).startswith(BAD[binding])
    assert str(error.value).endswith(".")


def test_a_scope_is_named_with_its_binding():
    with pytest.raises(UserError, match=r"^far/away/Broom\.length is 'x': give a number\.$"):
        configuration.load([], ["far/away/Broom.length = 'x'"])


@pytest.mark.parametrize(
    ("bindings", "circle"),
    [
        (["a = %a"], "%a -> %a"),
        (["a = [%b]", "b = {1: %a}"], "%a -> %b -> %a"),
        (["Landscape.anything = @Landscape()"], "@Landscape() -> @Landscape()"),
        (["Landscape.anything = @x/Landscape()"], "@x/Landscape() -> @x/Landscape()"),
        (["Landscape.anything = %a", "a = @Landscape()"], " -> "),
    ],
)
def test_circles(bindings, circle):
    with pytest.raises(UserError, match="depends on itself") as error:
        configuration.load([], bindings)
    assert circle in str(error.value)


def test_what_only_looks_like_a_circle():
    configuration.load([], [
        "a = [%b, %c]", "b = %c", "c = 1",
        "Landscape.anything = @x/Landscape()", "x/Landscape.anything = 3",
        "Landscape.unannotated = @Landscape",
    ])  # fmt: skip
    Landscape()


def test_long_values_are_shortened():
    with pytest.raises(UserError) as error:
        configuration.load([], [f"Landscape.whole = {list(range(1000))}"])
    assert len(str(error.value)) < 200 and "[0, 1, 2, " in str(error.value)


@pytest.mark.parametrize("value", [np.float64(0.5), object(), lambda: 3, float("nan"), {1, 2}])
def test_what_a_config_cannot_hold_is_refused(value):
    gin.bind_parameter("Landscape.unannotated", value)
    Landscape()
    with pytest.raises(UserError, match=r"cannot hold the value bound to Landscape\.unannotated"):
        configuration.reject_lost_bindings()


@pytest.mark.parametrize(
    "value",
    ["'é\\n\\u2028 = #'", "{'b': 1, 'a': (2,)}", "[%n, @x/Blue, @number()]", "1e-320", "-0.0"],
)
def test_what_a_config_can_hold(value):
    configuration.load([], [*MACROS, f"Landscape.unannotated = {value}"])
    Landscape()
    configuration.reject_lost_bindings()
    text = configuration.operative()
    configuration.load([], text.splitlines())
    Landscape()
    assert configuration.operative() == text


def test_macros_of_macros_have_an_end(tmp_path):
    """A few lines could stand for more than fits into any memory."""
    lines = ["m0 = [1, 2]"] + [f"m{i} = [{', '.join([f'%m{i - 1}'] * 10)}]" for i in range(1, 9)]
    config = tmp_path / "bomb.gin"
    config.write_text("\n".join([*lines, "create_environment.kwargs = {'a': %m8}", ""]))
    with pytest.raises(UserError, match="stands for more than 100,000 values"):
        configuration.load([config])
