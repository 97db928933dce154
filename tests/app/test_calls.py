"""What a person can get wrong becomes one sentence; a defect stays an exception."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from app.access import Access
from app.web.calls import Served, serve
from app.web.questions import Answer
from engine.config import Config, knob


@dataclass(frozen=True, kw_only=True)
class Note(Config):
    """Something of any kind."""

    note: Any = knob(help="what it is")


def echo(question: Note) -> Answer:
    return {"note": question.note}


def served(fn: Callable[..., Answer]) -> Served:
    [call] = serve(Access(), "panel", look=fn)
    return call


def test_a_refusal_reaches_the_scripts_as_its_sentence() -> None:
    def refuse() -> Answer:
        raise ValueError("the mug is missing")

    assert served(refuse)({}) == {"refused": "the mug is missing"}


def test_a_defect_stays_an_exception() -> None:
    with pytest.raises(ZeroDivisionError):
        served(lambda: {"ratio": 1 / 0})({})


def test_scripts_call_a_function_by_the_name_given() -> None:
    assert served(echo).__name__ == "look"


def test_half_a_surrogate_pair_is_refused_before_it_is_asked() -> None:
    call = served(echo)
    assert "no Unicode" in call({"note": ["\ud800"]})["refused"]
    assert call({"note": "🫖"}) == {"note": "🫖"}


def test_one_stored_value_that_is_no_unicode_costs_the_others_nothing() -> None:
    stored = {"items": [{"note": "\ud800"}, {"note": "fine"}], "n": np.float32(0.5)}
    answer = served(lambda: dict(stored))({})
    assert [item["note"] for item in answer["items"]] == ["\ufffd", "fine"]
    assert served(lambda: {"n": np.zeros(2)})({})["n"].shape == (2,)


def test_a_full_disk_is_refused_in_a_sentence() -> None:
    def full() -> Answer:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert "Nothing was stored" in served(full)({})["refused"]
