"""Alarms over curves written down by hand."""

from typing import Any

from app.train.alarms import Thresholds, alarms


def curve(*values: float) -> list[list[float]]:
    return [[step, value, step] for step, value in enumerate(values, start=1)]


def names(series: dict[str, Any], *, error: str | None = None, audits: Any = ()) -> list[str]:
    return [alarm["name"] for alarm in alarms(series, audits, error, Thresholds())]


def test_imagined_success_that_reality_does_not_follow_is_hacking() -> None:
    rising = curve(0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    flat, followed = [[1, 0.3, 1], [6, 0.32, 6]], [[1, 0.3, 1], [6, 0.65, 6]]
    [alarm] = alarms(
        {"rollout/success_rate": rising, "real/success_rate": flat}, (), None, Thresholds()
    )
    assert alarm["step"] == 6
    assert "+0.40 imagined, +0.02 real since iteration 1" in alarm["text"]
    assert names({"rollout/success_rate": rising, "real/success_rate": followed}) == []
    assert names({"rollout/success_rate": rising, "real/success_rate": flat[:1]}) == []


def test_people_who_see_fewer_successes_raise_the_same_alarm() -> None:
    audit = {"iteration": 4, "judged": 10, "succeeded": 5, "claimed": 8, "confirmed": 5}
    assert names({}, audits=[audit]) == ["reward hacking"]
    assert names({}, audits=[audit | {"succeeded": 7}]) == []
    assert names({}, audits=[audit | {"judged": 5, "claimed": 5, "succeeded": 0}]) == []


def test_entropy_drift_and_dropped_groups_are_watched() -> None:
    assert names({"rollout/entropy": curve(3.0, 3.0, 3.0, 1.0, 1.0, 1.0)}) == ["entropy collapse"]
    assert names({"rollout/entropy": curve(3.0, 3.0, 3.0, 2.0, 2.0, 2.0)}) == []
    assert names({"rollout/drift": curve(0.2, 0.2, 0.2, 0.4, 0.4, 0.4)}) == ["drift"]
    assert names({"rollout/drift": curve(0.2, 0.2, 0.2, 0.25)}) == []
    assert names({"grpo/kept_groups": curve(4, 0, 0, 0)}) == ["all groups dropped"]
    assert names({"grpo/kept_groups": curve(0, 0)}) == []
    assert names({"grpo/kept_groups": curve(0, 0, 0, 1)}) == []


def test_a_run_that_ended_in_no_number_says_so() -> None:
    error = "FloatingPointError: grpo/loss is not finite at step 3"
    assert names({}, error=error) == ["not finite"]
    assert names({}, error="there are no starts") == []
