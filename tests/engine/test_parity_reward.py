"""Every item of the reward, GRPO and clip vectors."""

from pathlib import Path

import pytest

from engine.parity.reward import CHECKS

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(
    ("kind", "num_items"),
    [("reward_videomae", 8), ("reward_success", 3), ("grpo", 22), ("dataset_clips", 4)],
)
def test_our_numbers_are_the_official_ones(kind: str, num_items: int) -> None:
    items = CHECKS[kind](GOLDEN / f"{kind}_a")
    assert [item for item in items if not item.passed] == []
    assert len(items) == num_items
