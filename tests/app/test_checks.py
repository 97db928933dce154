"""Values from a browser."""

import math

import pytest

from app.web.checks import (
    check_choice,
    check_flag,
    check_integer,
    check_names,
    check_number,
    check_text,
)


def test_known_names_pass() -> None:
    assert check_names({"a": 1}, allowed=("a", "b"), required=("a",)) == {"a": 1}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"a": 1, "c": 2}, "c is not known here; known: a, b"),
        ({"b": 1}, "a is missing"),
        ("a", "an object with named values is needed, not str"),
        (None, "an object with named values is needed, not NoneType"),
    ],
)
def test_other_names_are_refused(values: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        check_names(values, allowed=("a", "b"), required=("a",))


def test_a_whole_float_is_an_integer() -> None:
    assert check_integer("seed", 3.0, 0, 9) == 3


@pytest.mark.parametrize("value", [2.5, "3", True, None, math.nan, math.inf, [3]])
def test_what_is_no_integer_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number"):
        check_integer("seed", value, 0, 9)


@pytest.mark.parametrize("value", [-1, 10])
def test_an_integer_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match=f"seed must be from 0 to 9, not {value}"):
        check_integer("seed", value, 0, 9)


@pytest.mark.parametrize("value", ["1", True, None, math.nan, math.inf])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="temperature must be a number"):
        check_number("temperature", value, 0.0, 5.0)


def test_a_number_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"temperature must be from 0 to 5, not 5\.5"):
        check_number("temperature", 5.5, 0.0, 5.0)


def test_control_and_direction_signs_are_taken_out_of_text() -> None:
    assert check_text("note", "a\x00b\u202ec\nd", 10) == "abc\nd"


@pytest.mark.parametrize(("value", "sentence"), [("abcd", "may have 3"), (7, "must be text")])
def test_other_text_is_refused(value: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_text("note", value, 3)


@pytest.mark.parametrize("value", ["c", None, ["a"]])
def test_another_word_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="outcome must be one of a, b"):
        check_choice("outcome", value, ("a", "b"))


@pytest.mark.parametrize("value", [1, "true", None])
def test_what_is_no_flag_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must be true or false"):
        check_flag("dream_broke", value)


def test_a_long_value_is_shortened_in_the_sentence() -> None:
    with pytest.raises(ValueError, match=r"…$") as caught:
        check_choice("outcome", "x" * 500, ("a",))
    assert len(str(caught.value)) < 80
