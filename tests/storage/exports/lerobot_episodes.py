"""Small episodes for the tests of LeRobot datasets."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from engine.records.types import Label, Outcome, Trajectory
from storage.events.labels import LabelEvent
from storage.exports.contents import LabelledEpisode

CAMERA = "observation.images.main"


def dream(number: int = 0, **changes: Any) -> Trajectory:
    """Four actions on 8 x 8 frames; a success in step 3; windows of two frames."""
    draw = np.random.default_rng(number)
    values: dict[str, Any] = {
        "id": f"dream-{number}",
        "task": "coffee-push",
        "start_id": 7,
        "instruction": f"push {number % 2}",
        "imagined": True,
        "outcome": Outcome(True, 3),
        "frames": draw.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8),
        "actions": draw.standard_normal((4, 4)).astype(np.float32),
        "arrays": {
            "window_ends": np.array([3, 5]),
            "window_probabilities": np.array([0.25, 0.75], np.float32),
            "overridden": np.array([[False] * 4, [True] * 4, [False] * 4, [False] * 4]),
            "latents": np.ones((5, 2, 1, 1), np.float32),
        },
        "lineage": {"policy": "p"},
        "replay": {"seed": 3},
    }
    return Trajectory(**values | changes)


def labelled(number: int = 0, **changes: Any) -> LabelledEpisode:
    first = Label(event_id=f"one-{number}", episode_id=f"dream-{number}", outcome="fail")
    second = dataclasses.replace(
        first, event_id=f"two-{number}", outcome="success", supersedes=first.event_id
    )
    events = [LabelEvent(label=n, seq=i, at=0.1, hash="h") for i, n in enumerate((first, second))]
    return LabelledEpisode(
        episode=dream(number, **changes), events=events, standing=second.event_id
    )


def silent(number: int, **changes: Any) -> LabelledEpisode:
    return LabelledEpisode(episode=dream(number, **changes))


def names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.*") if path.is_file())


def same(item: LabelledEpisode, wanted: LabelledEpisode) -> None:
    """Assert that nothing at all differs."""
    assert (item.events, item.standing) == (tuple(wanted.events), wanted.standing)
    one, other = dataclasses.asdict(item.episode), dataclasses.asdict(wanted.episode)
    arrays, others = one.pop("arrays"), other.pop("arrays")
    assert list(arrays) == list(others)
    for values, expected in [
        *zip(arrays.values(), others.values(), strict=True),
        *((one.pop(name), other.pop(name)) for name in ("frames", "actions")),
    ]:
        assert values.dtype == expected.dtype
        np.testing.assert_array_equal(values, expected)
    assert one == other
