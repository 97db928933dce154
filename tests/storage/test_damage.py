"""However the database or a log is damaged, the studio opens and lacks nothing acknowledged."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.records.types import Outcome, Trajectory
from storage.cabinet import open_cabinet
from storage.workspace import Workspace, open_workspace
from tests.storage.damage import OF_DATABASE, OF_LOGS, acknowledged, stock

# A few of every day; all of them are a drill.
DAILY = (
    *("bit 3 of the file flipped", "bit 1 of the WAL flipped", "the file ends in zeros"),
    *("metrics are gone", "a later DuckDB's", "the file is gone"),
    *("half a surrogate pair for an actor", "a place that another has", "no time"),
    *("an id that another event has", "a metric of text", "a state that is none"),
    *("the labels are cut", "views of text"),
)
ALL = {**OF_DATABASE, **OF_LOGS}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A stocked data directory, and what was acknowledged in it."""
    root = tmp_path_factory.mktemp("template")
    workspace = open_workspace(root / "data")
    frames = np.zeros((3, 4, 4, 3), np.uint8)
    trajectory = Trajectory(
        id="episode-1",
        task="coffee-push",
        start_id=300_000,
        instruction="push the mug",
        imagined=True,
        outcome=Outcome(True, 2),
        frames=frames,
        actions=np.zeros((2, 2), np.float32),
        lineage={"created": 1_000.0},
    )
    stock(workspace, root / "demo", trajectory)
    shutil.copytree(workspace.root, root / "looked at")
    cabinet = open_cabinet(Workspace(root / "looked at"), demo=root / "demo")
    wanted = acknowledged(cabinet)
    assert len(wanted["labels"]) == wanted["points"] == 40
    assert wanted["views"] and wanted["put aside"] and wanted["thresholds"]
    cabinet.close()
    yield workspace.root, wanted


def check(name: str, template: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    root, wanted = template
    workspace = Workspace(shutil.copytree(root, tmp_path / "data"))
    ALL[name](workspace)
    for _ in range(2):  # whatever was mended stays so
        cabinet = open_cabinet(workspace, demo=tmp_path / "demo")
        try:
            found = acknowledged(cabinet)
            if name == "views of text":
                found["views"] = wanted["views"]
            assert found["labels"] >= wanted["labels"]
            assert found | {"labels": wanted["labels"]} == wanted
            assert len(found["labels"]) <= len(wanted["labels"]) + 1
            assert cabinet.labels.log.first_broken_link() is None
            rebuilt = any(workspace.quarantine.iterdir())
            assert any("was rebuilt" in text for text in cabinet.troubles()) == rebuilt
            database = cabinet.database
            assert database.read("select count(*) as n from label_events") == [
                {"n": len(found["labels"])}
            ]
        finally:
            cabinet.close()


@pytest.mark.parametrize("name", DAILY)
def test_a_damaged_directory_opens_and_lacks_no_acknowledged_word(
    name: str, template: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    check(name, template, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in ALL if name not in DAILY])
def test_eighty_kinds_of_damage_stop_nothing(
    name: str, template: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    check(name, template, tmp_path)
