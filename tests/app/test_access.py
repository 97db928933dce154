"""What a visitor of a Space may not do, asked of the door as the scripts ask it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.access import LIMITS, RULES, Access, Limits
from app.live.models import Models
from app.studio import Studio
from app.ui import site
from app.ui.wire import served_by
from app.visitors import Person, Role, asking
from storage.workspace import open_workspace
from tests.app.conftest import load_fake, make_demo

Functions = dict[str, Callable[[dict[str, Any]], dict[str, Any]]]


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Role, Functions]]:
    """Every function that the scripts can call, by `PANEL.NAME`, of a studio for each role."""
    demo = make_demo(tmp_path_factory.mktemp("demo"))
    studios = {
        role: Studio(
            open_workspace(tmp_path_factory.mktemp(role)),
            demo=demo,
            role=role,
            models=Models(load_fake),
            supervise=False,
        )
        for role in (Role.VISITOR, Role.ADMIN)
    }
    yield {role: served(studio) for role, studio in studios.items()}
    for studio in studios.values():
        studio.close()


def served(studio: Studio) -> Functions:
    blocks = site.build(studio, device="CPU", instruction="push the mug", horizon=48)
    return {fn.__qualname__: fn for fn in served_by(blocks)}


@pytest.mark.parametrize("action", RULES)
def test_a_visitor_is_refused_in_the_sentence_of_the_table(
    doors: dict[Role, Functions], action: str
) -> None:
    refused = {"refused": RULES[action].sentence}
    assert doors[Role.VISITOR][action]({}) == refused
    with asking(Person("hub-ann", Role.ANNOTATOR)):
        assert doors[Role.VISITOR][action]({}) == refused
    # At home the empty question is refused for what it lacks, or answered.
    if action not in ("data.verify", "data.back_up"):
        assert doors[Role.ADMIN][action]({}) != refused


def test_what_the_table_does_not_name_is_open(doors: dict[Role, Functions]) -> None:
    assert "episodes" in doors[Role.VISITOR]["episodes.find"]({})
    assert RULES.keys() < doors[Role.VISITOR].keys() == doors[Role.ADMIN].keys()


def test_reality_plays_unasked_only_where_it_is_not_limited(doors: dict[Role, Functions]) -> None:
    at_home = doors[Role.ADMIN]["imagine.reality"]({})
    assert at_home["unasked"] == (at_home["missing"] == "")
    with asking(Person("hub-ann", Role.ANNOTATOR)):
        assert not doors[Role.VISITOR]["imagine.reality"]({})["unasked"]
    assert not doors[Role.VISITOR]["imagine.reality"]({})["unasked"]


def test_a_visitor_has_less_of_everything_that_is_limited() -> None:
    visitor, everything = LIMITS[Role.VISITOR], Limits()
    assert Access(Role.ADMIN).limits == everything
    assert visitor.denoising_steps < everything.denoising_steps
    assert visitor.rows < everything.rows
    assert visitor.dataset_episodes < everything.dataset_episodes
    assert visitor.export_hours < everything.export_hours
