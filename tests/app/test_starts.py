"""First frames of dreams."""

from pathlib import Path

import numpy as np
import pytest

from app.starts import Starts
from engine.tasks import Task, get_task
from tests.app.conftest import START

TASK = get_task("coffee-push")


@pytest.fixture
def starts(demo: Path) -> Starts:
    def render(task: Task, start_id: int) -> np.ndarray:
        return np.full((task.image_size, task.image_size, 3), start_id % 256, np.uint8)

    return Starts(demo / "starts.npz", render=render)


def test_shipped_starts_are_listed_with_their_picture(starts: Starts) -> None:
    first, second = starts.shipped()
    assert (first["start_id"], first["label"]) == (START, "start 300,000")
    assert second["image"].startswith("data:image/png;base64,")


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    starts = Starts(tmp_path / "starts.npz")
    assert starts.shipped() == []
    assert starts.task.name == "coffee-push"


def test_a_shipped_start_needs_no_simulator(starts: Starts) -> None:
    assert (starts.frame(TASK, START + 1) == 100).all()


def test_another_start_is_rendered_and_remembered(starts: Starts) -> None:
    assert starts.known(7) is None
    assert (starts.frame(TASK, 7) == 7).all()
    assert starts.known(7) is not None


def test_an_upload_becomes_a_negative_start_of_the_task_s_size(starts: Starts) -> None:
    start_id = starts.add_upload(np.full((90, 120, 3), 50, np.uint8))
    assert start_id < 0
    assert start_id > -(2**53)
    assert starts.frame(TASK, start_id).shape == (64, 64, 3)


def test_the_same_image_is_the_same_start(starts: Starts) -> None:
    image = np.full((64, 64, 3), 9, np.uint8)
    assert starts.add_upload(image) == starts.add_upload(image)


def test_an_image_with_transparency_or_in_grey_is_taken(starts: Starts) -> None:
    assert starts.add_upload(np.zeros((64, 64, 4), np.uint8)) == starts.add_upload(
        np.zeros((64, 64), np.uint8)
    )


@pytest.mark.parametrize(
    "image",
    [
        None,
        "picture.png",
        np.zeros((64, 64, 3), np.float32),
        np.zeros((64, 64, 2), np.uint8),
        np.zeros(64, np.uint8),
        np.array(["text"]),
    ],
)
def test_what_is_no_image_is_refused(starts: Starts, image: object) -> None:
    with pytest.raises(ValueError, match="that is no image: upload a PNG"):
        starts.add_upload(image)


@pytest.mark.parametrize("shape", [(8, 64, 3), (64, 5000, 3), (0, 0, 3)])
def test_an_image_too_small_or_too_large_is_refused(starts: Starts, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="16 to 4096 pixels a side"):
        starts.add_upload(np.zeros(shape, np.uint8))


def test_an_upload_that_is_gone_is_told_so(starts: Starts) -> None:
    with pytest.raises(ValueError, match="upload it again"):
        starts.frame(TASK, -5)
