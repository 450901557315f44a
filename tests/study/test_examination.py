"""The examination of a study's variants, as its process carries it out."""

from __future__ import annotations

import gc
import weakref

import pytest

from dopamine_lite.study import examination


class Agent:
    def __init__(self):
        self.itself = self


@pytest.fixture(autouse=True)
def automatic_collection():
    yield
    gc.unfreeze()


def test_what_a_variant_built_is_gone_before_the_next_is_built(monkeypatch):
    built: list[weakref.ref[Agent]] = []

    def answer(questions, variant):
        assert [agent() for agent in built] == [None] * len(built)
        built.append(weakref.ref(Agent()))
        return variant

    monkeypatch.setattr(examination, "_answer", answer)
    variants = [{"name": str(number)} for number in range(3)]
    assert examination._answers({"variants": variants}) == {"variants": variants}
    assert len(built) == 3
