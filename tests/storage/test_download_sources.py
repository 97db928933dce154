"""Downloads from web folders and buckets, and registered folders that stay where they are."""

from pathlib import Path

import pytest

from engine.records.manifest import write_manifest
from storage.downloads.downloads import Downloads
from tests.storage.conftest import Opener
from tests.storage.source_server import SourceServer
from tests.storage.test_downloads import FILES, OFFICIAL, complete, contents


@pytest.mark.parametrize("source", ["{url}/a/", "s3://bucket/a/", "gs://bucket/a/"])
def test_web_folders_and_buckets_are_fetched(
    downloads: Downloads, server: SourceServer, tmp_path: Path, source: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    write_manifest(folder)
    published = contents(folder)
    for place in ("/a/", "/bucket/a/"):
        server.files |= {f"{place}{name}": content for name, content in published.items()}
    key = complete(downloads, source.format(url=server.url))
    assert contents(downloads.folder(key)) == published


def test_a_registered_folder_is_used_where_it_is(opener: Opener, tmp_path: Path) -> None:
    folder = tmp_path / "released"
    for path, content in OFFICIAL.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    downloads = opener()
    source = downloads.register_folder("mine", folder)
    plan = downloads.plan(source, task="square")
    assert (len(plan.files), downloads.needed_bytes(plan)) == (4, 0)
    assert downloads.start(plan.key).state == "complete"
    later = opener()
    assert later.folder(plan.key) == folder
    assert later.parts(plan.key)["policy"] == folder / "checkpoint_files/SFT_models/square"
    later.remove(plan.key)
    assert len(contents(folder)) == len(OFFICIAL)


def test_a_registered_folder_that_changed_has_another_plan(
    downloads: Downloads, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.pth").write_bytes(b"one")
    source = downloads.register_folder("mine", folder)
    before = downloads.plan(source)
    downloads.start(before.key)
    (folder / "a.pth").write_bytes(b"longer")
    assert downloads.plan(source).key != before.key
    with pytest.raises(ValueError, match="is not complete"):
        downloads.folder(before.key)


def test_the_files_of_a_registered_folder_are_never_touched(opener: Opener, tmp_path: Path) -> None:
    downloads = opener()
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.pth").write_bytes(b"one")
    plan = downloads.plan(downloads.register_folder("mine", folder))
    (folder / "a.pth").write_bytes(b"longer")
    with pytest.raises(ValueError, match="folder:mine has changed since the plan"):
        downloads.start(plan.key)
    assert contents(folder) == {"a.pth": b"longer"}
    assert opener().all() == []


def test_an_unregistered_folder_is_refused(downloads: Downloads, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder is registered as 'mine'; registered: none"):
        downloads.plan("folder:mine")
    with pytest.raises(ValueError, match="there is no folder"):
        downloads.register_folder("mine", tmp_path / "nowhere")
