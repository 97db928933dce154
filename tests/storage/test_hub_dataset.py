"""A dataset of the Hub by its name in a shell, from a Hub on loopback."""

from pathlib import Path

import pytest

from engine.__main__ import main
from engine.records.episodes import list_episodes, read_episode
from storage.hub_dataset import fetched
from tests.engine.recordings.datasets import lerobot_v3
from tests.storage.source_server import Repository, SourceServer


def test_a_shell_imports_a_dataset_of_the_hub_at_its_revision_and_fetches_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    web, repository = SourceServer(), Repository()
    web.repositories["someone/drawer"] = repository
    root = lerobot_v3(tmp_path / "made", (4, 4), images=True)
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }
    commit = repository.commit(files)
    monkeypatch.setenv("HF_ENDPOINT", web.url)
    monkeypatch.setenv("WMPO_DATA_DIR", str(tmp_path / "data"))

    def taken(source: str) -> int:
        out = str(tmp_path / "out")
        return main(["import", source, "--out", out, "--set", "new_task=drawer"])

    assert taken("hf://datasets/someone/nothing") == 2
    assert "someone/nothing is not on the Hub" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    assert taken("hf://datasets/someone/drawer@main") == 0
    episodes = [read_episode(path) for path in list_episodes(tmp_path / "out" / "episodes")]
    assert [episode.id for episode in episodes] == ["drawer-000000-0", "drawer-000001-1"]
    assert {episode.lineage["revision"] for episode in episodes} == {commit}
    asked = sum("/resolve/" in path for _, path, _ in web.requests)
    assert asked == len(files)
    fetched(f"hf://datasets/someone/drawer@{commit}", tmp_path / "data/recordings", web.rules)
    assert sum("/resolve/" in path for _, path, _ in web.requests) == asked
    web.end()
