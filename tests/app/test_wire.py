"""Shapes of Python as the scripts' checker reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pytest

from app.access import Access
from app.ui.wire import declarations
from app.web.calls import serve
from engine.config import Config, knob


@dataclass(frozen=True, kw_only=True)
class Place(Config):
    """Where something is."""

    row: int = knob(help="from above")


@dataclass(frozen=True, kw_only=True)
class Look(Config):
    """What is looked for."""

    name: str = knob(help="whose")
    from_: Place | None = knob(None, "where it begins")
    ids: tuple[str, ...] = knob((), "of what")


class Found(TypedDict):
    """What was found."""

    places: list[Place]
    counts: dict[str, int]
    note: NotRequired[str | None]


def look(question: Look) -> Found:
    return {"places": [Place(row=len(question.name))], "counts": {}}


def count() -> Mapping[str, Any]:
    return {}


def test_questions_and_answers_are_interfaces_by_the_name_of_the_function() -> None:
    text = declarations(serve(Access(), "panel", look=look, count=count))
    assert (
        """export interface Look {
  /** whose */
  name: string;
  /** where it begins */
  from?: Place | null;
  /** of what */
  ids?: string[] | null;
}"""
        in text
    )
    assert (
        """export interface Found {
  places: Place[];
  counts: Record<string, number>;
  note?: string | null;
}"""
        in text
    )
    assert (
        """  count: {
    question: object;
    answer: any;
  };
  look: {
    question: Look;
    answer: Found;
  };"""
        in text
    )


def test_one_name_is_one_shape() -> None:
    other = dataclass(frozen=True, kw_only=True)(type("Place", (Config,), {}))

    def ask(question: other) -> Found:  # type: ignore[valid-type]
        return {"places": [], "counts": {}}

    with pytest.raises(ValueError, match="two shapes on the wire are called Place"):
        declarations(serve(Access(), "panel", look=look, ask=ask))
