"""What is done with recordings, by numbers worked by hand."""

from dataclasses import asdict

import numpy as np
import pytest

from engine.recordings.description import Description, View, cut_frames
from engine.recordings.plan import RecordingPlan as Plan
from engine.recordings.plan import (
    fitted,
    outcome_of,
    proposed_task,
    settled,
    shaped_actions,
    shaped_frame,
)
from engine.records.tasks import get_task


def found(**changes: object) -> Description:
    view = asdict(View(name="front", height=4, width=6, stored="uint8"))
    values = {
        "kind": "test",
        "fps": 10.0,
        "views": (view,),
        "action_names": ("dx", "grip"),
        "low": (-0.5, -1.0),
        "high": (0.25, 1.0),
        "histograms": ((1, 1, 1), (2, 0, 1)),
        "states": {},
        "instructions": {"go": 1, "come": 2},
        "lengths": (10, 9),
        "frames": (10, 9),
        "names": ("0", "1"),
        "said": ("go", "come"),
        "succeeded": (None, None),
        "succeeded_at": (None, None),
        "success_found": "",
    }
    return Description(**values | changes)


def test_a_plan_decides_what_has_one_answer() -> None:
    plan = settled(Plan(), found())
    assert (plan.camera, plan.crop, plan.success) == ("front", (0, 1, 4, 4), "nobody yet")
    assert settled(Plan(), found(success_found="rewards")).success == "flag"


@pytest.mark.parametrize(
    ("plan", "changes", "sentence"),
    [
        (Plan(camera="side"), {}, "no camera 'side': front"),
        (Plan(), {"views": 2 * found().views}, "several cameras"),
        (Plan(stride=2), {}, "needs to know how actions combine"),
        (
            Plan(stride=2, combine=("sum", "sum", "last")),
            {},
            "needs to know how actions combine",
        ),
        (Plan(success="flag"), {}, "nothing says what succeeded"),
        (Plan(), {"instructions": {"": 1}}, "have no instruction"),
    ],
)
def test_what_only_a_person_can_decide_is_asked_for(
    plan: Plan, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        settled(plan, found(**changes))


def test_displacements_add_up_over_a_stride_and_absolute_values_do_not() -> None:
    plan = settled(Plan(stride=3, combine=("sum", "last"), size=2), found())
    steps = np.stack([np.arange(8.0), 10.0 + np.arange(8.0)], axis=1)
    # 8 frames, every third: 0, 3, 6; the actions from 0 to 3 and from 3 to 6.
    np.testing.assert_array_equal(
        shaped_actions(plan, steps, 8), [[0 + 1 + 2, 12], [3 + 4 + 5, 15]]
    )
    frames = [np.full((4, 6, 3), number, np.uint8) for number in range(8)]
    kept = list(cut_frames(frames, plan.cut))
    assert [int(frame[0, 0, 0]) for frame in kept] == [0, 3, 6]
    assert all(frame.shape == (2, 2, 3) for frame in kept)


def test_a_frame_is_cropped_turned_and_averaged() -> None:
    frame = np.zeros((4, 6, 3), np.uint8)
    frame[:2, 1:3] = 200  # the left upper quarter of the square in the middle
    frame[0, 1] = 100
    for turn, (row, column) in {
        "as it is": (0, 0),
        "upside down": (1, 0),
        "half turn": (1, 1),
        "mirrored": (0, 1),
    }.items():
        plan = settled(Plan(turn=turn, size=2), found())
        small = shaped_frame(plan, frame)
        assert small[row, column, 0] == 175  # (100 + 3 * 200) / 4
        assert small.sum() == 3 * 175


def test_success_is_counted_in_kept_steps() -> None:
    plan = Plan(stride=3, success="flag")
    assert outcome_of(plan, True, 4, 5) == (True, 2)  # after the fifth step: frame 6
    assert outcome_of(plan, True, 14, 4) == (True, 4)  # the frames end before
    assert outcome_of(plan, True, None, 5) == (True, 5)
    assert outcome_of(plan, False, None, 5) == (False, 5)
    assert outcome_of(plan, None, None, 5) == (None, 5)
    assert outcome_of(Plan(success="last frame"), None, None, 5) == (True, 5)
    assert outcome_of(Plan(success="nobody yet"), True, 2, 5) == (None, 5)


def test_recordings_of_another_robot_are_refused_for_a_task_and_offered_as_a_new_one() -> None:
    plan = settled(Plan(), found())
    with pytest.raises(
        ValueError, match=r"have 2 action dimensions, the task coffee-push 4.*new_t"
    ):
        fitted(plan, found(), get_task("coffee-push"))
    task = proposed_task("mine", plan, found())
    assert (task.instruction, task.other_instructions) == ("come", ("go",))
    assert (task.box, task.unscaled, task.image_size, task.horizon) == ((-1.0, 1.0), (1,), 4, 16)
    assert fitted(plan, found(), task).size == 4


def test_sums_that_leave_the_box_are_seen_before_anything_is_read() -> None:
    plan = settled(Plan(stride=3, combine=("sum", "last")), found())
    task = proposed_task("mine", settled(Plan(), found()), found())
    with pytest.raises(ValueError, match=r"dx reaches from -1.5 to 0.75, outside the box"):
        fitted(plan, found(), task)
    assert proposed_task("mine", plan, found()).box is None
