"""A false success is looked for start by start; a threshold is kept only where somebody asks."""

from collections.abc import Callable
from typing import Any

import pytest

from app.live.simulator import Simulator
from app.studio import Studio
from app.web.questions import ask
from tests.app.test_access import Functions, served
from tests.app.test_twins import Brightening
from tests.fakes import CountingEnv


def doors(studio: Studio) -> Functions:
    """What the page Imagine asks, as its script does."""
    return served(studio)


def test_a_dream_that_lies_stays_and_an_honest_one_makes_room(
    make_studio: Callable[..., Studio], settings: dict[str, Any]
) -> None:
    lying = doors(make_studio(simulator=Simulator(Brightening)))
    found = lying["imagine.probe_dream"](settings)
    assert (found["lies"], found["imagined"]["success"], found["real"]["success"]) == (
        True,
        True,
        False,
    )
    seen = lying["imagine.pull_dream"]({"dream": found["dream"]})
    assert (seen["state"], seen["outcome"]["success"]) == ("done", True)


def test_an_honest_dream_is_let_go(
    make_studio: Callable[..., Studio], settings: dict[str, Any]
) -> None:
    honest = doors(make_studio(simulator=Simulator(CountingEnv)))
    found = honest["imagine.probe_dream"](settings)
    assert (found["lies"], found["real"]["success"]) == (False, True)
    gone = honest["imagine.pull_dream"]({"dream": found["dream"]})
    assert gone["refused"].startswith("this dream is over")
    assert honest["imagine.reality"]({})["missing"] == ""


def test_a_threshold_saved_under_a_dream_counts_for_the_next_one(
    studio: Studio, settings: dict[str, Any]
) -> None:
    dreams = studio.imagine.dreams
    first = ask(dreams.open, settings)["dream"]
    assert ask(dreams.save_threshold, {"dream": first, "threshold": 0.75}) == {"threshold": 0.75}
    second = ask(dreams.open, settings)["dream"]
    seen = [ask(dreams.pull, {"dream": dream}) for dream in (first, second)]
    assert [one["threshold"] for one in seen] == [0.6, 0.75]
    assert seen[0]["last_window_counts"] is True
    with pytest.raises(ValueError, match="threshold"):
        ask(dreams.save_threshold, {"dream": first, "threshold": 1.5})
