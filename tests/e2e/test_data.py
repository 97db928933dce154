"""The Data page: files out and in, the label log, backup, sync, and snippets that run."""

import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from uuid import uuid4

import pytest
from gradio_client import Client
from playwright.sync_api import Locator, Page, expect

from storage.database import Database
from storage.downloads.sources import DEFAULT_RULES
from storage.events.preferences import Preference, PreferenceStore
from storage.exports.formats import read_episodes
from storage.upkeep.event_parts import push
from storage.upkeep.shelves import open_shelf
from tests.e2e.conftest import Server, episode

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name)


def test_episodes_go_out_and_what_is_wrong_with_a_file_is_said(page: Page, tmp_path: Path) -> None:
    page.goto("/data")
    export = card(page, "Export")
    export.get_by_label("kind").select_option("imagined")
    export.get_by_label("format").select_option("wmpo")
    expect(export.get_by_role("status")).to_have_text(re.compile(r"^\d+ episodes, about .* MB$"))
    with page.expect_download() as download:
        export.get_by_role("button", name="Export").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    found = {item.episode.id: item.episode for item in read_episodes(path, largest=2**30).episodes}
    assert found["journey-07"].frames.tobytes() == episode(7).frames.tobytes()

    taken = card(page, "Import")
    taken.get_by_label("File to import").set_input_files(without_meta(path, tmp_path / "bad.tar"))
    alert = taken.get_by_role("alert")
    expect(alert).to_contain_text("Nothing is imported")
    expect(alert).to_contain_text("episode-000000.meta.json: is missing")


def without_meta(path: Path, target: Path) -> Path:
    """The first sample of a tar, without its meta.json."""
    with tarfile.open(path) as source, tarfile.open(target, "w") as archive:
        for member in source:
            if member.name.startswith("episode-000000") and "meta" not in member.name:
                archive.addfile(member, source.extractfile(member))
    return target


def test_the_snippets_of_the_page_run_and_judge_nothing(page: Page, server: Server) -> None:
    page.goto("/data")
    expect(page.get_by_label("python example")).to_be_visible()
    python = page.get_by_label("python example").inner_text()
    curl = page.get_by_label("curl example").inner_text()
    assert server.address in python
    log = server.data / "labels.jsonl"
    before = log.read_bytes() if log.is_file() else b""
    ran = subprocess.run([sys.executable, "-c", python], capture_output=True, text=True, check=True)
    item, summary = ran.stdout.splitlines()
    assert item.startswith("next to judge: ")
    assert "'false_positives'" in summary
    ran = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)
    answer = json.loads(ran.stdout.partition("event: complete\ndata: ")[2])
    assert set(answer[0]) == {"item"}
    assert (log.read_bytes() if log.is_file() else b"") == before


def test_everything_of_somebody_is_undone(page: Page, server: Server) -> None:
    said = ("journey-21", "success", None, str(uuid4()), None, None, "by script", None, "me")
    Client(server.address, verbose=False).predict(*said, api_name="/label")
    page.goto("/data?actor=me")
    log = card(page, "Who said what")
    row = log.get_by_role("row").filter(has_text="by script")
    expect(row).to_contain_text("stands")
    log.get_by_role("button", name="Undo everything of me").click()
    log.get_by_role("button", name="Take back 1 label").click()
    expect(page.get_by_text("1 taken back")).to_be_visible()
    expect(row).to_contain_text("superseded by")
    expect(log.get_by_role("button", name="Undo everything of me")).to_have_count(0)


@pytest.mark.soak
def test_a_backup_a_proof_and_a_sync(page: Page, tmp_path: Path) -> None:
    page.goto("/data")
    space = card(page, "On the disk")
    space.get_by_role("button", name="Verify").click()
    expect(space.get_by_role("status")).to_have_text(
        "Rebuilt from its files, the database is equal."
    )

    backup = card(page, "Backup")
    backup.get_by_label("with checkpoints").uncheck()
    backup.get_by_role("button", name="Back up now").click()
    kept = backup.get_by_role("listitem").first
    kept.get_by_role("button", name="Check").click()
    expect(kept.get_by_role("status")).to_contain_text("whole and unchanged: ")
    with page.expect_download() as download:
        kept.get_by_role("button", name="Download").click()
    with tarfile.open(fileobj=io.BytesIO(download.value.path().read_bytes())) as archive:
        assert archive.getnames()[-1] == "manifest.json"
    kept.get_by_role("button", name="Restore…").click()
    kept.get_by_label("New folder").fill(str(tmp_path / "restored"))
    kept.get_by_role("button", name="Restore there").click()
    expect(kept.get_by_role("status")).to_contain_text("Start the studio with WMPO_DATA_DIR=")
    assert (tmp_path / "restored" / "studio.duckdb").is_file()

    sync = card(page, "Labels elsewhere")
    sync.get_by_label("Where").fill("nowhere at all")
    sync.get_by_role("button", name="Sync now").click()
    expect(sync.get_by_role("alert")).to_contain_text("is not a source")
    shared = tmp_path / "shared"
    elsewhere = PreferenceStore(Database(None, exports=tmp_path), tmp_path / "elsewhere.jsonl")
    elsewhere.append(Preference(event_id="of-eve-1", left="a", right="b", choice="left"))
    push(open_shelf(str(shared), rules=DEFAULT_RULES, token=None), elsewhere.log)
    sync.get_by_label("Where").fill(str(shared))
    sync.get_by_role("button", name="Take in from there").click()
    expect(sync.get_by_text("It holds 1 preference", exact=True)).to_be_visible()
    sync.get_by_role("button", name="Import").click()
    expect(sync.get_by_text("Imported: 1 preference", exact=True)).to_be_visible()
    sync.get_by_role("button", name="Sync now").click()
    counted = re.compile(r"^labels: \d+ there, 0 only here · preferences: [1-9]\d* there, 0 only")
    expect(sync.get_by_text(counted)).to_be_visible()
