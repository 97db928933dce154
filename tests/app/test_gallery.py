"""The wall of episodes: plain values in, pages and films out."""

from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from app.episodes.gallery import begin_of
from app.studio import Studio
from app.web.questions import ask
from engine.records.types import Outcome, Trajectory

Make = Callable[..., Trajectory]


@pytest.fixture
def gallery_of(studio: Studio, make_trajectory: Make) -> Studio:
    for number in range(3):
        studio.cabinet.trajectories.add(
            make_trajectory(
                f"ep-{number}",
                outcome=Outcome(number > 0, 12),
                lineage={"created": 1_000.0 + number, "group": 1, "member": number},
            )
        )
    return studio


def test_a_page_says_how_much_there_is(gallery_of: Studio) -> None:
    page = ask(gallery_of.episodes.gallery.find, {"verdict": "success", "limit": 1, "offset": 1})
    assert [record["id"] for record in page["episodes"]] == ["ep-1"]
    assert (page["total"], page["groups"]) == (2, 1)


def test_groups_come_whole_and_with_the_reason(gallery_of: Studio) -> None:
    found = ask(gallery_of.episodes.gallery.find_groups, {"verdict": "fail"})
    [group] = found["groups"]
    assert group["reason"] == "kept, 2 of 3 succeed"
    assert [record["id"] for record in group["members"]] == ["ep-0", "ep-1", "ep-2"]
    assert (
        ask(gallery_of.episodes.gallery.siblings, {"episode": "ep-1"})["members"]
        == group["members"]
    )


def test_a_film_is_made_once_and_kept(gallery_of: Studio) -> None:
    films = ask(gallery_of.episodes.gallery.films, {"ids": ["ep-1", "nobody"]})
    assert list(films) == ["ep-1"]
    path = gallery_of.data_directory / "thumbnails" / "ep-1.webp"
    with Image.open(path) as picture:
        assert picture.size == (8 * 8, 8)  # the window of its success, eight frames of 8 x 8
    path.write_bytes(b"kept")
    assert ask(gallery_of.episodes.gallery.films, {"ids": ["ep-1"]})["ep-1"].endswith("a2VwdA==")


def test_views_live_in_the_database(gallery_of: Studio) -> None:
    gallery = gallery_of.episodes.gallery
    saved = ask(
        gallery.save_view, {"name": "wins", "filter": {"verdict": "success", "mode": "groups"}}
    )
    assert saved == gallery.views() == {"wins": {"verdict": "success", "mode": "groups"}}
    assert ask(gallery.save_view, {"name": "wins"}) == {}


def test_what_is_queued_comes_first_in_the_label_queue(gallery_of: Studio) -> None:
    assert ask(gallery_of.episodes.gallery.queue, {"ids": ["ep-0"]}) == {"added": 1}
    order = "queue first"
    assert gallery_of.episodes.gallery.records(order=order)[0]["id"] == "ep-0"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"colour": "red"}, "colour is not known here"),
        ({"kind": "dreamt"}, "kind must be one of imagined, real"),
        ({"low": 2}, "low must be from 0 to 1"),
        ({"since": "yesterday"}, "since must be a day such as 2026-03-01"),
        ({"label": "maybe"}, "label must be one of"),
        ({"order": "by luck"}, "order must be one of"),
        ({"disagreement": "yes"}, "disagreement must be true or false"),
    ],
)
def test_a_wrong_filter_is_refused_in_a_sentence(
    studio: Studio, query: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(studio.episodes.gallery.find, query)


def test_ids_are_checked(studio: Studio) -> None:
    with pytest.raises(ValueError, match="ids must be a list"):
        ask(studio.episodes.gallery.films, {"ids": "ep-1"})
    with pytest.raises(ValueError, match="ids must be a list of 0 to 48, not of 49"):
        ask(studio.episodes.gallery.films, {"ids": ["x"] * 49})


def test_a_day_begins_at_midnight() -> None:
    assert begin_of("until", "2026-03-02") - begin_of("until", "2026-03-01") == 86_400
