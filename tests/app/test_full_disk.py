"""A disk that fills up under a studio: it says so, refuses, keeps reading, and recovers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.data.keeping import uploads
from app.live.models import Models
from app.studio import Studio
from app.ui import site
from app.ui.wire import served_by
from engine.records.types import Trajectory
from storage.workspace import open_workspace
from tests.app.conftest import START, load_fake, make_demo
from tests.app.small_disk import small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 100 MB."""
    with small_disk(tmp_path / "disk", 100) as place:
        yield place


def fill(place: Path) -> None:
    """Leave not one byte."""
    with (place / "filler").open("wb", buffering=0) as filler:
        for size in (2**20, 4096, 1):
            try:
                while filler.write(bytes(size)):
                    pass
            except OSError:
                continue


@pytest.mark.slow
def test_a_studio_outlives_a_full_disk(
    disk: Path, tmp_path: Path, make_trajectory: Callable[..., Trajectory]
) -> None:
    studio = Studio(
        open_workspace(disk / "data"),
        demo=make_demo(tmp_path / "demo"),
        models=Models(load_fake),
        supervise=False,
    )
    blocks = site.build(studio, device="CPU", instruction="push", horizon=48)
    functions = {fn.__qualname__: fn for fn in served_by(blocks)}
    studio.cabinet.trajectories.add(make_trajectory("episode-1", start_id=START))

    def judge(number: int) -> Any:
        stroke = {"event_id": f"event-{number:04d}", "episode_id": "episode-1", "outcome": "fail"}
        return functions["label.judge"]({"strokes": [stroke]})

    def banner() -> list[str]:
        return list(functions["header.jobs"]({})["troubles"])

    try:
        assert judge(1)["acks"][0]["saved"] and studio.health.look()["ok"] and banner() == []
        fill(disk)
        refused = [judge(number) for number in range(2, 40)]
        # What still fits into blocks that are there is stored; nothing else is said to be.
        told = [one["refused"] for one in refused if "acks" not in one]
        assert len(told) > 20 and all("disk is full" in one for one in told), refused
        assert functions["label.said"]({"episode": "episode-1"})["labels"]
        assert functions["episodes.find"]({})["episodes"][0]["id"] == "episode-1"
        health = studio.health.look()
        assert not health["ok"] and health["episodes"] == 1
        assert "the disk is full" in banner()[0]
        (disk / "filler").unlink()
        assert studio.health.look()["ok"] and banner() == []
        assert all(judge(number)["acks"][0]["saved"] for number in range(2, 40))
        said = studio.episodes.judging.labels.history(limit=50)
        assert len(said) == 39
    finally:
        studio.close()


def test_what_browsers_sent_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "picture.png").write_bytes(bytes(100))
    found = uploads({"GRADIO_TEMP_DIR": str(tmp_path)})
    assert (found.kind, found.files, found.bytes) == ("uploads", 1, 100)
    assert uploads({}).files == 0
