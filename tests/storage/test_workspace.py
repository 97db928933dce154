"""The data directory."""

from pathlib import Path

import pytest

import storage
from storage.workspace import data_directory, open_workspace


def test_the_variable_names_the_data_directory() -> None:
    assert data_directory({"WMPO_DATA_DIR": "/data/studio"}) == Path("/data/studio")


def test_without_the_variable_the_home_directory_is_used() -> None:
    assert data_directory({}) == Path.home() / ".wmpo" / "studio"


def test_opening_makes_the_rooms(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "data")
    assert workspace.runs.is_dir()
    assert workspace.episodes.is_dir()
    assert workspace.exports.is_dir()


def test_a_directory_inside_the_checkout_is_refused() -> None:
    inside = Path(storage.__file__).parent / "data"
    with pytest.raises(ValueError, match="inside the program's own directory"):
        open_workspace(inside)
    assert not inside.exists()


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be used"):
        open_workspace(tmp_path / "file")
