"""What a script may ask: every value checked, each refusal one sentence."""

import math
from dataclasses import dataclass
from typing import Any

import pytest

from app.web.questions import ask, parse, question_of
from engine.config import Config, knob


@dataclass(frozen=True, kw_only=True)
class Place(Config):
    """Where."""

    row: int = knob(help="from above", low=0, high=7)


@dataclass(frozen=True, kw_only=True)
class Look(Config):
    """Something of everything."""

    name: str = knob(help="whose", high=8)
    from_: Place | None = knob(None, "where it begins")
    share: float = knob(0.5, "of it", low=0.0, high=1.0)
    kind: str | None = knob(None, "which", choices=("real", "imagined"))
    ids: tuple[str, ...] = knob((), "of what", high=2)
    all: bool = knob(False, "everything")
    note: str | None = knob(None, "why")


def test_a_question_is_what_the_script_says_and_the_defaults() -> None:
    values = {"name": "mug", "from": {"row": 3.0}, "share": 1, "ids": ["a", "b"], "all": True}
    assert parse(Look, values) == Look(
        name="mug", from_=Place(row=3), share=1.0, ids=("a", "b"), all=True
    )
    assert parse(Look, {"name": "mug"}) == Look(name="mug")


def test_null_and_an_empty_choice_are_not_given_but_an_empty_text_is() -> None:
    values = {"name": "", "kind": "", "share": None, "from": None, "note": ""}
    assert parse(Look, values) == Look(name="", note="")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": None}, "name must be text, not None"),
        ({"name": "teapot and mug"}, "name may have 8 characters, not 14"),
        ({"colour": "red"}, "colour is not known here; known: name, from, share"),
        ({"from": {"row": 8}}, "row must be from 0 to 7, not 8"),
        ({"from": {}}, "row is missing"),
        ({"from": 3}, "an object with named values is needed, not int"),
        ({"share": math.nan}, "share must be a number"),
        ({"share": True}, "share must be a number, not True"),
        ({"kind": "dreamt"}, "kind must be one of real, imagined, not 'dreamt'"),
        ({"ids": "ab"}, "ids must be a list"),
        ({"ids": ["a", "b", "c"]}, "ids must be a list of 0 to 2, not of 3"),
        ({"ids": [1]}, "ids must be text, not 1"),
        ({"all": 1}, "all must be true or false, not 1"),
    ],
)
def test_what_cannot_be_is_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse(Look, {"name": "mug"} | change)


@pytest.mark.parametrize("values", [None, [1, 2], "mug"])
def test_what_is_no_object_is_refused(values: object) -> None:
    with pytest.raises(ValueError, match="an object with named values is needed"):
        parse(Look, values)


def test_a_function_is_asked_as_its_signature_says() -> None:
    def look(question: Look) -> str:
        return question.name

    def count() -> int:
        return 7

    assert (question_of(look), question_of(count)) == (Look, None)
    assert ask(look, {"name": "mug"}) == "mug"
    assert ask(count, {"what": "ever"}) == 7


def test_a_served_function_says_what_it_is_asked() -> None:
    with pytest.raises(AssertionError, match="takes no question"):
        question_of(lambda question: question)
