"""What viewers see, by a clock that the test turns."""

import pytest

from app.live.reel import Reel, SeenChunk
from engine.records.types import Outcome

FAIL = Outcome(False, 6)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reel(clock: Clock) -> Reel:
    return Reel(
        "start", horizon=6, chunk_size=2, threshold=0.5, clock=clock, frames_per_second=10.0
    )


def chunk(number: int, outcome: Outcome = FAIL) -> SeenChunk:
    """Chunk `number` of two actions; windows of two frames end at every frame."""
    frames = 2 * number
    return SeenChunk(
        frames=[f"frame {frames - 1}", f"frame {frames}"],
        ends=list(range(2, frames + 2)),
        probabilities=[0.1] * frames,
        actions=[[0.5], [0.5]],
        entropy=2.0,
        outcome=outcome,
        pace=20.0,
    )


def test_it_begins_paused_at_the_start_frame(reel: Reel) -> None:
    seen = reel.pull(0)
    assert (seen["state"], seen["frames"], seen["next"]) == ("paused", ["start"], 1)
    assert (seen["actions"], seen["ends"], seen["outcome"]) == ([], [], None)


def test_nothing_is_wanted_before_somebody_runs_it(reel: Reel) -> None:
    assert not reel.wants_chunk


def test_frames_of_a_chunk_appear_one_by_one(reel: Reel, clock: Clock) -> None:
    reel.control("run")
    reel.append(0, chunk(1))
    assert reel.pull(0)["next"] == 2
    clock.now += 0.05
    assert reel.pull(0)["next"] == 2
    clock.now += 0.06
    assert reel.pull(0)["next"] == 3


def test_windows_and_actions_keep_step_with_the_frames(reel: Reel) -> None:
    reel.control("run")
    reel.append(0, chunk(1))
    seen = reel.pull(1)
    assert seen["frames"] == ["frame 1"]
    assert (len(seen["ends"]), len(seen["actions"]), len(seen["entropy"])) == (1, 1, 1)


def test_at_most_one_chunk_is_imagined_ahead(reel: Reel, clock: Clock) -> None:
    reel.control("run")
    assert reel.wants_chunk
    reel.append(0, chunk(1))
    assert reel.wants_chunk
    reel.append(0, chunk(2))
    assert not reel.wants_chunk
    clock.now += 0.21
    assert reel.pull(0)["next"] == 4
    assert reel.wants_chunk


def test_a_pause_holds_the_frames_back(reel: Reel, clock: Clock) -> None:
    reel.control("run")
    reel.append(0, chunk(1))
    reel.control("pause")
    clock.now += 5.0
    seen = reel.pull(0)
    assert (seen["state"], seen["next"]) == ("paused", 2)
    assert not reel.wants_chunk


def test_going_on_after_a_pause_does_not_jump(reel: Reel, clock: Clock) -> None:
    reel.control("run")
    reel.append(0, chunk(1))
    reel.append(0, chunk(2))
    reel.control("pause")
    clock.now += 5.0
    reel.control("run")
    assert reel.pull(0)["next"] == 3


def test_one_frame_is_one_frame(reel: Reel, clock: Clock) -> None:
    reel.control("frame")
    assert reel.wants_chunk
    reel.append(0, chunk(1))
    clock.now += 5.0
    seen = reel.pull(0)
    assert (seen["state"], seen["next"]) == ("paused", 2)


def test_one_chunk_goes_to_the_next_border(reel: Reel, clock: Clock) -> None:
    reel.control("frame")
    reel.append(0, chunk(1))
    reel.control("chunk")
    clock.now += 5.0
    seen = reel.pull(0)
    assert (seen["state"], seen["next"]) == ("paused", 3)


def test_it_is_done_at_the_horizon(reel: Reel, clock: Clock) -> None:
    reel.control("run")
    for number in (1, 2, 3):
        reel.append(0, chunk(number))
    assert not reel.wants_chunk
    clock.now += 5.0
    seen = reel.pull(0)
    assert (seen["state"], seen["next"]) == ("done", 7)
    assert seen["outcome"] == {"success": False, "end_step": 6}


def test_a_success_shows_when_its_frame_does_and_ends_the_dream(reel: Reel, clock: Clock) -> None:
    reel.control("run")
    reel.append(0, chunk(1, Outcome(True, 2)))
    assert reel.pull(0)["outcome"] is None
    clock.now += 0.11
    seen = reel.pull(0)
    assert (seen["state"], seen["outcome"]) == ("done", {"success": True, "end_step": 2})
    assert not reel.wants_chunk


def test_a_reset_goes_back_and_drops_the_chunk_under_way(reel: Reel) -> None:
    reel.control("run")
    reel.append(0, chunk(1))
    reel.control("reset")
    reel.append(0, chunk(2))
    seen = reel.pull(0)
    assert (seen["state"], seen["frames"], reel.epoch) == ("paused", ["start"], 1)


def test_a_failure_is_one_sentence_and_a_reset_clears_it(reel: Reel) -> None:
    reel.control("run")
    reel.fail(0, "the models do not fit")
    assert (reel.pull(0)["state"], reel.pull(0)["error"]) == ("failed", "the models do not fit")
    reel.control("run")
    assert reel.pull(0)["state"] == "failed"
    reel.control("reset")
    assert (reel.pull(0)["state"], reel.pull(0)["error"]) == ("paused", None)


def test_a_failure_of_an_older_epoch_is_not_shown(reel: Reel) -> None:
    reel.control("reset")
    reel.fail(0, "late")
    assert reel.pull(0)["state"] == "paused"


def test_in_a_hurry_everything_shows_at_once(reel: Reel) -> None:
    reel.hurry()
    for number in (1, 2, 3):
        assert reel.wants_chunk
        reel.append(0, chunk(number))
    assert reel.wait(0.0) == "done"


def test_chunks_count_as_seen_by_their_first_frame(reel: Reel) -> None:
    reel.control("frame")
    reel.append(0, chunk(1))
    reel.append(0, chunk(2))
    assert reel.seen_chunks == (0, 1)


def test_another_action_is_refused(reel: Reel) -> None:
    with pytest.raises(ValueError, match="action must be one of run, pause"):
        reel.control("fly")
