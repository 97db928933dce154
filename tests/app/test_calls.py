"""What a person can get wrong becomes one sentence; a defect stays an exception."""

import errno
from typing import Any

import numpy as np
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


def test_half_a_surrogate_pair_is_refused_before_it_is_asked() -> None:
    call = served(lambda question: question)
    assert "no Unicode" in call({"note": ["\ud800"]})["refused"]
    assert call({"note": "🫖"}) == {"note": "🫖"}


def test_one_stored_value_that_is_no_unicode_costs_the_others_nothing() -> None:
    stored = {"items": [{"note": "\ud800"}, {"note": "fine"}], "n": np.float32(0.5)}
    answer = served(lambda _: dict(stored))({})
    assert [item["note"] for item in answer["items"]] == ["\ufffd", "fine"]
    assert served(lambda _: {"n": np.zeros(2)})({})["n"].shape == (2,)


def test_a_full_disk_is_refused_in_a_sentence() -> None:
    def full(question: dict[str, Any]) -> dict[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert "Nothing was stored" in served(full)({})["refused"]
