"""A study's `grid` and `seeds`: what they say, and a sentence for each way to say nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopamine_lite.common.errors import UserError
from dopamine_lite.study import grid
from dopamine_lite.study.grid import Space, Values


@pytest.mark.parametrize(
    ("text", "parameter", "values"),
    [
        ("DQNAgent.learning_rate=[1e-3,1e-4]", "DQNAgent.learning_rate", ("0.001", "0.0001")),
        (" A.b = [ 1 , 2, ] ", "A.b", ("1", "2")),
        ("MLP.hidden_units=[(64,64),(8,)]", "MLP.hidden_units", ("(64, 64)", "(8,)")),
        ("A.b=['x, y', \"z\"]", "A.b", ("'x, y'", "'z'")),
        ("A.agent=[@DQNAgent, @train/C51Agent()]", "A.agent", ("@DQNAgent", "@train/C51Agent()")),
        ("A.b=[%one, [@B, {'k': (1, 2)}]]", "A.b", ("%one", "[@B, {'k': (1, 2)}]")),
        ("train/A.b=[True,None,-1]", "train/A.b", ("True", "None", "-1")),
        ("rate=['50 %']", "rate", ("'50 %'",)),
    ],
)
def test_values(text, parameter, values):
    assert grid.axes([text]) == [Values(parameter, values)]


@pytest.mark.parametrize(
    ("text", "space"),
    [
        ("A.b=uniform(0,1)", Space("A.b", "uniform", ("0", "1"))),
        ("A.b=loguniform(1e-5, 1e-2)", Space("A.b", "loguniform", ("1e-05", "0.01"))),
        ("A.b=int(2,8)", Space("A.b", "int", ("2", "8"))),
        ("A.b=choice(@B,(1, 2),'c')", Space("A.b", "choice", ("@B", "(1, 2)", "'c'"))),
    ],
)
def test_spaces(text, space):
    assert grid.axes([text]) == [space]


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["A.b"], "cannot be read: write a parameter and a list"),
        (["A.b="], "cannot be read: write a parameter and a list"),
        (["=[1]"], "cannot be read: write a parameter and a list"),
        (["A.b=3"], "gives A.b no list"),
        (["A.b=1,2"], "gives A.b no list"),
        (["A.b=[]"], "is empty"),
        (["A.b=[1,,2]"], "gin cannot read the value ''"),
        (["A.b=[x]"], "gin cannot read the value 'x'"),
        (["A.b=[1e-3,0.001]"], "names 0.001 more than once"),
        (["A.b=[(1,2]"], "opens a bracket or text and never closes it"),
        (["A.b=[1),(2]"], "closes a bracket that it does not open"),
        (["A.b=[1]", "A.b=[2]"], "`grid` names A.b 2 times"),
        (["Runner.seed=[1]"], "name seeds with `seeds`"),
        (["A.b=normal(0,1)"], "there is no search space normal"),
        (["A.b=uniform(1)"], "give uniform the least and the greatest value, two numbers"),
        (["A.b=int(1,2.5)"], "give int the least and the greatest value, two whole numbers"),
        (["A.b=uniform(@B,1)"], "two numbers"),
        (["A.b=uniform(2,1)"], "the first value must be below the second"),
        (["A.b=loguniform(0,1)"], "both above 0"),
        (["A.b=choice(1)"], "two or more values, all different"),
        (["A.b=choice(1,1)"], "two or more values, all different"),
    ],
)
def test_mistakes_in_a_grid(texts, sentence):
    with pytest.raises(UserError) as refused:
        grid.axes(texts)
    assert sentence in str(refused.value)


def test_axes_are_crossed_the_last_one_fastest():
    assert grid.crossed([]) == [{}]
    assert grid.crossed([Values("a", ("1", "2")), Values("b", ("3", "4"))]) == [
        {"a": "1", "b": "3"},
        {"a": "1", "b": "4"},
        {"a": "2", "b": "3"},
        {"a": "2", "b": "4"},
    ]


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="ascii", exclude_characters="@%\n\r")),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text("ab"), inner),
    max_leaves=5,
)


@given(st.lists(_VALUES, min_size=1, max_size=4, unique_by=repr))
def test_every_list_of_literals_is_read_value_by_value(values):
    (axis,) = grid.axes([f"A.b={values!r}"])
    assert axis.values == tuple(map(repr, values))


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0:3", [0, 1, 2]), ("7", [7]), ("0, 3,7", [0, 3, 7]), ("0:2,10:12,5", [0, 1, 10, 11, 5])],
)
def test_seeds(text, seeds):
    assert grid.seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "cannot be read at ''"),
        ("a", "cannot be read at 'a'"),
        ("-1", "cannot be read at '-1'"),
        ("1:2:3", "cannot be read at '1:2:3'"),
        ("²", "cannot be read at '²'"),
        ("3:3", "is empty"),
        ("5:3", "is empty"),
        ("0:3,2", "names 2 more than once"),
        ("0:1000000000", "names more than 100,000 seeds"),
    ],
)
def test_mistakes_in_seeds(text, sentence):
    with pytest.raises(UserError) as refused:
        grid.seeds(text)
    assert sentence in str(refused.value)
