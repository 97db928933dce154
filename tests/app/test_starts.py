"""First frames of dreams."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.imagine.starts import Starts
from app.live.simulator import Simulator
from app.web.questions import ask
from engine.data.starts import Starts as ShippedStarts
from engine.data.starts import save_starts
from engine.dream.replay import start_hash
from engine.records.tasks import POOLS, get_task
from tests.app.conftest import START
from tests.fakes import CountingEnv

TASK = get_task("coffee-push")


class StartEnv(CountingEnv):
    """Every start looks like its number."""

    def render(self) -> np.ndarray:
        return np.full((64, 64, 3), self.start_id % 256, np.uint8)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    simulator = Simulator(StartEnv)
    yield simulator
    simulator.close()


@pytest.fixture
def starts(demo: Path, tmp_path: Path, simulator: Simulator) -> Starts:
    return Starts(demo / "starts", tmp_path / "kept", simulator)


def test_shipped_starts_are_listed_with_their_picture(starts: Starts) -> None:
    first, second = ask(starts.shipped)["starts"]
    assert (first["start_id"], first["label"]) == (START, "start 300,000")
    assert second["image"].startswith("data:image/png;base64,")


def test_without_a_file_there_are_none(tmp_path: Path, simulator: Simulator) -> None:
    starts = Starts(tmp_path / "starts", tmp_path / "kept", simulator)
    assert ask(starts.shipped)["starts"] == []
    assert starts.task.name == "coffee-push"


def test_each_task_has_shipped_starts_of_its_own(
    demo: Path, tmp_path: Path, simulator: Simulator
) -> None:
    """Start ids are the same numbers in every task."""
    frames = np.full((1, 64, 64, 3), 9, np.uint8)
    plates = ShippedStarts("plate-slide", np.array([START + 1]), frames)
    save_starts(demo / "starts" / "plate-slide.npz", plates)
    starts = Starts(demo / "starts", tmp_path / "kept", simulator)
    assert [each["start_id"] for each in ask(starts.shipped)["starts"]] == [START, START + 1]
    [plate] = ask(starts.shipped, {"task": "plate-slide"})["starts"]
    assert plate["start_id"] == START + 1
    assert (starts.frame(get_task("plate-slide"), START + 1) == 9).all()
    assert (starts.frame(TASK, START + 1) == 100).all()
    found = starts.by_hash(start_hash(frames[0]))
    assert found is not None and (found == 9).all()


def test_a_shipped_start_needs_no_simulator(starts: Starts) -> None:
    assert (starts.frame(TASK, START + 1) == 100).all()


def test_another_start_is_rendered_and_remembered(starts: Starts) -> None:
    assert starts.known(TASK, 7) is None
    assert (starts.frame(TASK, 7) == 7).all()
    assert starts.known(TASK, 7) is not None


def test_an_upload_becomes_a_negative_start_of_the_task_s_size(starts: Starts) -> None:
    start_id = starts.add_upload(np.full((90, 120, 3), 50, np.uint8))
    assert start_id < 0
    assert start_id > -(2**53)
    assert starts.frame(TASK, start_id).shape == (64, 64, 3)


def test_models_see_an_upload_at_their_own_size(starts: Starts) -> None:
    left = np.zeros((700, 800, 3), np.uint8)
    left[:, :400] = 200
    start_id = starts.add_upload(left)
    frame = starts.frame(get_task("coffee"), start_id, 256)
    assert frame.shape == (256, 256, 3)
    assert (frame[:, :120] == 200).all()
    assert (frame[:, 136:] == 0).all()
    kept = starts.known(TASK, start_id)
    assert kept is not None
    assert kept.shape == (512, 512, 3)


def test_a_task_without_a_simulator_has_no_starts_but_uploads(starts: Starts) -> None:
    coffee = get_task("coffee")
    assert ask(starts.shipped, {"task": "coffee"})["starts"] == []
    page = starts.pool("test", offset=0, limit=4, task=coffee)
    assert (page["total"], page["starts"]) == (0, [])
    assert page["missing"] == "there is no simulator of coffee here: upload an image to start from"
    with pytest.raises(ValueError, match="not among the shipped ones, and there is no simulator"):
        starts.frame(coffee, START)


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


def test_uploads_and_rendered_starts_outlive_the_studio(
    demo: Path, tmp_path: Path, starts: Starts, simulator: Simulator
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    start_id = starts.keep(picture)
    starts.frame(TASK, 9)
    again = Starts(demo / "starts", tmp_path / "kept", simulator)
    np.testing.assert_array_equal(again.frame(TASK, start_id), picture)
    assert again.known(TASK, 9) is not None
    assert again.known(get_task("push"), 9) is None


def test_a_page_of_a_pool_is_rendered_as_it_is_asked_for(starts: Starts) -> None:
    page = starts.pool("test", offset=390, limit=24)
    assert (page["total"], len(page["starts"]), page["missing"]) == (400, 10, "")
    assert page["starts"][0]["start_id"] == POOLS["test"].start + 390
    assert starts.known(TASK, POOLS["test"].start + 389) is None


def test_an_unknown_pool_is_refused(starts: Starts) -> None:
    with pytest.raises(ValueError, match="pool must be one of demonstrations"):
        starts.pool("best", offset=0, limit=1)


def test_a_picture_unlike_every_start_is_warned_about(tmp_path: Path, simulator: Simulator) -> None:
    greys = np.arange(0, 50, 5, dtype=np.uint8)
    frames = np.zeros((10, 64, 64, 3), np.uint8) + greys[:, None, None, None]
    save_starts(tmp_path / "greys" / "g.npz", ShippedStarts("coffee-push", np.arange(10), frames))
    starts = Starts(tmp_path / "greys", tmp_path / "kept", simulator)
    assert starts.warning(starts.keep(np.full((64, 64, 3), 54, np.uint8))) == ""
    sentence = starts.warning(starts.add_upload(np.full((90, 120, 3), 145, np.uint8)))
    assert sentence.startswith("this picture is 100 grey levels away from the nearest")
    assert "within 5 of each other" in sentence
