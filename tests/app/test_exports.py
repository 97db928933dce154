"""Episodes as files to take away, and taken back in."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from app.studio import Studio
from app.visitors import Role
from app.web.questions import ask
from engine.records.types import Label, Trajectory
from storage.exports.bundle import pack
from storage.exports.formats import FOREIGN
from storage.workspace import open_workspace


def data_of(answer: dict[str, Any]) -> bytes:
    head, body = answer["data"].split(",")
    assert head == f"data:{answer['media_type']};base64"
    return base64.b64decode(body)


def address_of(content: bytes) -> str:
    return f"data:application/zip;base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("kind", "name", "begins"),
    [
        ("mp4", "episode-1.mp4", b"\x00\x00\x00"),
        ("gif", "episode-1.gif", b"GIF89a"),
        ("png", "episode-1.png", b"\x89PNG"),
        ("zip", "episode-1.wmpo.zip", b"PK"),
        ("lerobot", "episode-1.lerobot.zip", b"PK"),
    ],
)
def test_an_episode_can_be_taken_away(
    studio: Studio,
    make_trajectory: Callable[..., Trajectory],
    kind: str,
    name: str,
    begins: bytes,
) -> None:
    studio.cabinet.trajectories.add(make_trajectory())
    answer = ask(studio.episodes.exports.export, {"episode": "episode-1", "format": kind})
    assert answer["name"] == name
    assert data_of(answer).startswith(begins)


def test_an_exported_dream_is_taken_in_elsewhere_and_replays(
    studio: Studio, settings: dict[str, Any], demo: Any, tmp_path: Any
) -> None:
    dream = ask(studio.imagine.dreams.open, settings)["dream"]
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "chunk"})
    episode = ask(studio.imagine.dreams.save, {"dream": dream})["episode"]
    exported = ask(studio.episodes.exports.export, {"episode": episode, "format": "zip"})
    other = Studio(open_workspace(tmp_path / "other"), demo=demo, supervise=False)
    for added in (1, 0):
        report = ask(other.episodes.exports.take_in, {"data": exported["data"]})
        assert (report["episodes"], report["added"]) == ([episode], added)
    assert (
        ask(other.episodes.clips.clip, {"episode": episode})["frames"]
        == ask(studio.episodes.clips.clip, {"episode": episode})["frames"]
    )
    assert ask(other.imagine.dreams.permalink, {"episode": episode}) == ask(
        studio.imagine.dreams.permalink, {"episode": episode}
    )
    other.close()


def test_another_episode_of_the_same_name_is_refused(
    studio: Studio, make_trajectory: Callable[..., Trajectory]
) -> None:
    studio.cabinet.trajectories.add(make_trajectory())
    other = make_trajectory(actions=np.ones((16, 4), np.float32))
    report = ask(studio.episodes.exports.take_in, {"data": address_of(pack(other))})
    assert report["problems"] == ["there is already another episode episode-1"]
    assert report["episodes"] == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "avi"}, "format must be one of mp4, gif, png, zip, lerobot"),
        ({"scale": 0}, "scale must be from 1 to 16"),
        ({"episode": "lost"}, "there is no episode lost"),
        ({"format": "lerobot", "episodes": ["lost"]}, "there is no episode lost"),
        ({"format": "lerobot", "episodes": "lost"}, "episodes must be a list"),
        ({"format": "lerobot", "episodes": ["a"] * 101}, "at most 100 episodes fit into one"),
    ],
)
def test_a_bad_export_is_one_sentence(
    studio: Studio,
    make_trajectory: Callable[..., Trajectory],
    change: dict[str, Any],
    sentence: str,
) -> None:
    studio.cabinet.trajectories.add(make_trajectory())
    with pytest.raises((ValueError, LookupError), match=sentence):
        ask(studio.episodes.exports.export, {"episode": "episode-1", "format": "gif"} | change)


def test_a_public_studio_takes_no_episodes(make_studio: Callable[..., Studio]) -> None:
    public = make_studio(role=Role.VISITOR)
    with pytest.raises(ValueError, match="at most 8 episodes"):
        ask(public.episodes.exports.export, {"episodes": ["a"] * 9, "format": "lerobot"})


@pytest.fixture
def other(demo: Any, tmp_path: Any) -> Iterator[Studio]:
    studio = Studio(open_workspace(tmp_path / "other"), demo=demo, supervise=False)
    yield studio
    studio.close()


@pytest.fixture
def judged(studio: Studio, make_trajectory: Callable[..., Trajectory]) -> Studio:
    """Two episodes; the first was called a failure, then a success."""
    for number in (1, 2):
        studio.cabinet.trajectories.add(make_trajectory(f"episode-{number}"))
    first = {"event_id": "event-one", "episode_id": "episode-1", "outcome": "fail"}
    studio.episodes.judging.labels.add(first)
    studio.episodes.judging.labels.add(
        first | {"event_id": "event-two", "outcome": "success", "supersedes": "event-one"}
    )
    return studio


def test_a_lerobot_dataset_is_taken_in_elsewhere_with_its_labels(
    judged: Studio, other: Studio
) -> None:
    names = ["episode-1", "episode-2"]
    answer = ask(judged.episodes.exports.export, {"episodes": names, "format": "lerobot"})
    assert answer["name"] == "episodes.lerobot.zip"
    planned = ask(other.episodes.exports.take_in, {"data": answer["data"], "dry_run": True})
    assert planned == {"episodes": names, "added": 2, "labels": 2, "problems": []}
    assert other.cabinet.trajectories.count() == 0
    assert ask(other.episodes.exports.take_in, {"data": answer["data"]}) == planned
    assert (
        ask(other.episodes.clips.clip, {"episode": "episode-1"})["frames"]
        == ask(judged.episodes.clips.clip, {"episode": "episode-1"})["frames"]
    )
    assert other.cabinet.labels.events() == judged.cabinet.labels.events()
    assert other.cabinet.labels.current("episode-1").event_id == "event-two"
    again = ask(other.episodes.exports.take_in, {"data": answer["data"]})
    assert (again["added"], again["labels"]) == (0, 0)


def test_an_exact_copy_is_taken_in_the_same_way(judged: Studio, other: Studio) -> None:
    answer = ask(judged.episodes.exports.export, {"episode": "episode-1", "format": "zip"})
    assert ask(other.episodes.exports.take_in, {"data": answer["data"]})["episodes"] == [
        "episode-1"
    ]


def test_one_bad_episode_or_label_keeps_all_out(
    judged: Studio, other: Studio, make_trajectory: Callable[..., Trajectory]
) -> None:
    names = ["episode-1", "episode-2"]
    answer = ask(judged.episodes.exports.export, {"episodes": names, "format": "lerobot"})
    changed = make_trajectory("episode-2", actions=np.ones((16, 4), np.float32))
    other.cabinet.trajectories.add(changed)
    other.cabinet.labels.append(
        Label(event_id="event-two", episode_id="episode-2", outcome="unsure")
    )
    assert ask(other.episodes.exports.take_in, {"data": answer["data"]}) == {
        "episodes": [],
        "added": 0,
        "labels": 0,
        "problems": [
            "there is already another episode episode-2",
            "a label of episode-1: event id event-two was used for another label",
        ],
    }
    assert other.cabinet.trajectories.ids() == ["episode-2"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("data:;base64,UEs=", FOREIGN),
        ("data:;base64,", FOREIGN),
    ],
)
def test_a_foreign_file_is_said_in_the_report(other: Studio, data: str, problem: str) -> None:
    assert ask(other.episodes.exports.take_in, {"data": data})["problems"] == [problem]


def test_a_file_that_did_not_arrive_is_one_sentence(other: Studio) -> None:
    with pytest.raises(ValueError, match="the file did not arrive whole"):
        ask(other.episodes.exports.take_in, {"data": "data:;base64,UE!"})


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "label-studio"])
def test_labels_travel_as_files(judged: Studio, other: Studio, kind: str) -> None:
    data = judged.episodes.exports.log_file("labels", kind)
    take_in = other.episodes.exports.take_in_log
    assert take_in("labels", kind, data, dry_run=True)["added"] == 2
    found = take_in("labels", kind, data, dry_run=False)
    assert found == {"added": 2, "known": 0, "problems": []}
    assert other.cabinet.labels.events() == judged.cabinet.labels.events()


def test_an_import_that_fails_in_the_middle_leaves_nothing(judged: Studio, other: Studio) -> None:
    query = {"episodes": ["episode-1", "episode-2"], "format": "wmpo"}
    data = ask(judged.episodes.exports.export, query)["data"]
    space = other.cabinet.workspace
    space.label_twin.mkdir()  # labels cannot be written, and they come last
    with pytest.raises(OSError, match=r"labels\.jsonl"):
        ask(other.episodes.exports.take_in, {"data": data})
    assert other.cabinet.trajectories.ids() == []
    assert list(space.episodes.iterdir()) == []
    assert other.cabinet.labels.all() == []
    space.label_twin.rmdir()
    assert ask(other.episodes.exports.take_in, {"data": data})["added"] == 2
