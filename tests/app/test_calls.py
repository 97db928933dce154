"""What a person can get wrong becomes one sentence; a defect stays an exception."""

from typing import Any

import pytest

from app.access import Access
from app.web.calls import Answering, serve


def served(fn: Answering) -> Answering:
    [call] = serve(Access(), "panel", look=fn)
    return call


def test_a_refusal_reaches_the_scripts_as_its_sentence() -> None:
    def refuse(question: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("the mug is missing")

    assert served(refuse)({}) == {"refused": "the mug is missing"}


def test_a_request_without_a_field_is_refused_by_name() -> None:
    call = served(lambda question: {"got": question["dream"]})
    assert call({}) == {"refused": "the request lacks 'dream'"}


def test_a_request_that_is_no_object_is_refused() -> None:
    call = served(lambda question: question)
    assert call([1, 2]) == {"refused": "a request must be an object"}  # type: ignore[arg-type]


def test_a_defect_stays_an_exception() -> None:
    with pytest.raises(ZeroDivisionError):
        served(lambda question: {"ratio": 1 / 0})({})


def test_scripts_call_a_function_by_the_name_given() -> None:
    assert served(lambda question: question).__name__ == "look"
