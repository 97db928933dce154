"""Stores in a temporary data directory, and episodes small enough to read by eye."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.records.types import Outcome, Trajectory
from storage.cabinet import Cabinet, open_cabinet
from storage.database import Database
from storage.downloads.downloads import Downloads
from storage.workspace import Workspace, open_workspace
from tests.storage.source_server import SourceServer

Opener = Callable[..., Downloads]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "data")


@pytest.fixture
def database(workspace: Workspace) -> Iterator[Database]:
    database = Database(None, exports=workspace.exports)
    yield database
    database.close()


@pytest.fixture
def cabinet(workspace: Workspace, database: Database, tmp_path: Path) -> Iterator[Cabinet]:
    cabinet = open_cabinet(workspace, demo=tmp_path / "demo", database=database)
    yield cabinet
    cabinet.downloads.close()


@pytest.fixture
def server() -> Iterator[SourceServer]:
    """Sources on loopback."""
    server = SourceServer()
    yield server
    server.end()


@pytest.fixture
def opener(database: Database, workspace: Workspace, server: SourceServer) -> Iterator[Opener]:
    """Opens the downloads of one data directory, with arguments of a test's own."""
    opened: list[Downloads] = []

    def opener(**changes: object) -> Downloads:
        values = {"rules": server.rules, "token": lambda: None, "wait_seconds": 0.0}
        values["folders"] = workspace.folders
        opened.append(Downloads(database, workspace.downloads, **(values | changes)))
        return opened[-1]

    yield opener
    for downloads in opened:
        downloads.close()


@pytest.fixture
def downloads(opener: Opener) -> Downloads:
    return opener()


@pytest.fixture
def make_trajectory() -> Callable[..., Trajectory]:
    """A trajectory of two actions on 4x4 frames; keyword arguments replace its fields."""

    def make(episode_id: str = "episode-1", **changes: Any) -> Trajectory:
        values: dict[str, Any] = {
            "id": episode_id,
            "task": "coffee-push",
            "start_id": 300_000,
            "instruction": "push the mug",
            "imagined": True,
            "outcome": Outcome(True, 2),
            "frames": np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3),
            "actions": np.array([[0.5, -0.5], [0.25, 1.0]], np.float32),
            "arrays": {
                "window_ends": np.array([2, 3]),
                "window_probabilities": np.array([0.25, 0.75], np.float32),
            },
            "lineage": {"created": 1_000.0},
            "replay": {"seed": 7, "threshold": 0.5},
        }
        return Trajectory(**values | changes)

    return make
