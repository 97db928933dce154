"""Released checkpoints: added on the Models page, used together, imagined from an upload."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Page, expect

from engine.released.tasks import get_released
from tests.engine.released.official import write_release
from tests.storage.source_server import SourceServer

TASKS = ("coffee", "square", "stack_three", "three_piece_assembly", "aloha")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture
def models(page: Page) -> Page:
    page.goto("/models")
    expect(page.get_by_role("heading", name="Add a checkpoint")).to_be_visible()
    return page


@pytest.mark.soak  # a minute and a half each; tests/app/test_released.py adopts without a browser
@pytest.mark.parametrize("name", TASKS)
def test_a_release_is_adopted_used_together_and_imagined_from_an_upload(
    models: Page, tmp_path: Path, name: str
) -> None:
    task = get_released(name).task
    write_release(tmp_path / "checkpoint_files", name)
    models.get_by_label("Folder, file, or address").fill(str(tmp_path))
    models.get_by_label("Released for").first.select_option(name)
    called = f"official-{name}".replace("_", "-")
    models.get_by_label("Name in the catalogue").fill(called)
    if get_released(name).success_threshold is None:
        models.get_by_text("Success threshold", exact=True).click()
        models.get_by_label("of the reward model, where none was published").fill("0.5")
    models.get_by_role("button", name="Add it").press("Enter")
    rows = models.locator(".added li")
    expect(rows.filter(has_text=called)).to_have_count(3)
    for role in ("policy", "world-model", "reward-model"):
        joined = re.compile(rf"run/{called}-{role}.*/step-000001 is in the catalogue\.")
        expect(models.get_by_text(joined)).to_be_visible()
    for label in ("Policy", "World model", "Reward model"):
        chosen = re.compile(f"^run/{called}-")
        expect(models.get_by_label(label, exact=True)).to_have_value(chosen)
    expect(models.get_by_text("✓ window 8 frames")).to_be_visible()

    models.get_by_role("button", name="Use together").click()
    models.wait_for_url(re.compile("/imagine"))
    expect(
        models.get_by_text(f"compatible · 64 px · {task.action_dim}-D actions · chunks of 8")
    ).to_be_visible()
    expect(models.get_by_text(f"No start frames of {name} here")).to_be_visible()
    expect(models.get_by_text("choose a start, or upload an image")).to_be_visible()
    expect(models.get_by_label("Instruction")).to_have_value(task.instruction)
    expect(models.get_by_label("Horizon")).to_have_value(str(task.horizon))
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "start.png")
    models.locator("input[type=file]").set_input_files(tmp_path / "start.png")
    expect(models.get_by_role("radio", name="uploaded image")).to_be_checked()
    models.keyboard.press("e")
    expect(models.get_by_text(f"8 of {task.horizon} frames")).to_be_visible()


@pytest.mark.soak
def test_a_hostile_file_is_refused_in_a_sentence(models: Page, tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.system, (f"touch {marker}",))

    torch.save({"weight": Payload()}, tmp_path / "judge.pth")
    models.get_by_label("Folder, file, or address").fill(str(tmp_path / "judge.pth"))
    models.get_by_label("What it is").select_option("reward_model")
    models.get_by_role("button", name="Add it").click()
    expect(models.get_by_text(re.compile("unsafe-pickle: judge.pth"))).to_be_visible()
    assert not marker.exists()


def test_a_source_that_names_none_is_refused_in_place(models: Page) -> None:
    models.get_by_label("Source").fill("file:///etc/passwd")
    models.get_by_role("button", name="Plan the download").click()
    expect(models.get_by_text(re.compile("is not a source: folder:NAME"))).to_be_visible()


def test_a_download_is_planned_fetched_and_offered_for_adoption(
    models: Page, web: SourceServer, demo: Path
) -> None:
    source = next(path.parent for path in demo.glob("checkpoints/*reward*/manifest.json"))
    web.files = {f"/judge/{path.name}": path.read_bytes() for path in source.iterdir()}
    models.get_by_label("Source").fill(f"{web.url}/judge/")
    models.get_by_role("button", name="Plan the download").click()
    expect(models.get_by_text(re.compile(r"4 files, .* to fetch"))).to_be_visible()
    models.get_by_role("button", name="Download", exact=True).press("Enter")
    row = models.locator(".added li", has_text=web.url)
    expect(row.get_by_text("complete")).to_be_visible()
    expect(row.get_by_role("button", name="Adopt")).to_be_enabled()
    expect(row.get_by_role("textbox", name="Name")).to_be_editable()
