"""Our world model gives the reference vectors' numbers (tests/golden/README.md)."""

from pathlib import Path

import pytest

from engine.parity.world_model import CHECKS

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("kind", CHECKS)
def test_every_quantity_of_the_vectors_is_within_its_tolerance(kind: str) -> None:
    items = CHECKS[kind](GOLDEN / f"{kind}_a.json")
    assert items
    assert [item for item in items if not item.passed] == []
