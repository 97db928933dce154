"""Episodes as files to take away, and taken back in."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.studio import Studio
from engine.types import Trajectory
from storage.exports.bundle import pack
from storage.workspace import open_workspace


def data_of(answer: dict[str, Any]) -> bytes:
    head, body = answer["data"].split(",")
    assert head == f"data:{answer['media_type']};base64"
    return base64.b64decode(body)


@pytest.mark.parametrize(
    ("kind", "name", "begins"),
    [
        ("mp4", "episode-1.mp4", b"\x00\x00\x00"),
        ("gif", "episode-1.gif", b"GIF89a"),
        ("png", "episode-1.png", b"\x89PNG"),
        ("zip", "episode-1.wmpo.zip", b"PK"),
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
    answer = studio.export_episode({"episode": "episode-1", "format": kind})
    assert answer["name"] == name
    assert data_of(answer).startswith(begins)


def test_an_exported_dream_is_taken_in_elsewhere_and_replays(
    studio: Studio, settings: dict[str, Any], demo: Any, tmp_path: Any
) -> None:
    dream = studio.open_dream(settings)
    studio.act_dream({"dream": dream, "action": "chunk"})
    episode = studio.save_dream({"dream": dream})
    exported = studio.export_episode({"episode": episode, "format": "zip"})
    other = Studio(open_workspace(tmp_path / "other"), demo=demo, supervise=False)
    assert other.import_episode(data_of(exported)) == episode
    assert other.import_episode(data_of(exported)) == episode
    assert other.clip(episode)["frames"] == studio.clip(episode)["frames"]
    assert other.permalink({"episode": episode}) == studio.permalink({"episode": episode})
    other.close()


def test_another_episode_of_the_same_name_is_refused(
    studio: Studio, make_trajectory: Callable[..., Trajectory]
) -> None:
    studio.cabinet.trajectories.add(make_trajectory())
    other = make_trajectory(actions=np.ones((16, 4), np.float32))
    with pytest.raises(ValueError, match="there is already another episode episode-1"):
        studio.import_episode(pack(other))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "avi"}, "format must be one of mp4, gif, png, zip"),
        ({"scale": 0}, "scale must be from 1 to 16"),
        ({"episode": "lost"}, "there is no episode lost"),
    ],
)
def test_a_bad_export_is_one_sentence(
    studio: Studio,
    make_trajectory: Callable[..., Trajectory],
    change: dict[str, Any],
    sentence: str,
) -> None:
    studio.cabinet.trajectories.add(make_trajectory())
    with pytest.raises(ValueError, match=sentence):
        studio.export_episode({"episode": "episode-1", "format": "gif"} | change)


def test_a_public_studio_takes_no_episodes(make_studio: Callable[..., Studio]) -> None:
    with pytest.raises(ValueError, match="a public studio takes no episodes"):
        make_studio(public=True).import_episode(b"PK")
