"""Models: choose three, see what they need, load them, use them together."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture
def models(page: Page) -> Page:
    page.goto("/models")
    expect(page.get_by_text(re.compile(r"Fits: .* free on the CPU, 8 rows"))).to_be_visible()
    return page


def test_three_models_are_chosen_loaded_and_used_together(models: Page) -> None:
    policy = models.get_by_label("Policy", exact=True)
    last = policy.locator("option[value^='demo/coffee-push']").last.get_attribute("value")
    policy.select_option(last)
    models.wait_for_url(lambda address: "policy=" in address)
    models.get_by_label("rollouts at once").fill("16")
    models.get_by_label("rollouts at once").blur()
    expect(models.get_by_text(re.compile("16 rows in float32"))).to_be_visible()
    expect(models.get_by_text("✓ chunk 8 actions")).to_be_visible()

    models.get_by_role("button", name="Load", exact=False).first.click()
    for role in ("policy", "world_model", "reward_model"):
        slot = models.locator(f"[data-role={role}]")
        expect(slot.get_by_text("loaded", exact=True)).to_be_visible()
    expect(models.get_by_text(re.compile(r"policy act .* ms"))).to_be_visible()

    models.get_by_role("button", name="Unload").click()
    expect(models.get_by_text("not loaded")).to_have_count(3)

    models.keyboard.press("i")
    models.wait_for_url(re.compile(r"/imagine\?policy="))
    label = last.split("/", 1)[1]
    expect(models.get_by_label("Policy")).to_have_value(label)
    models.get_by_role("navigation", name="Places").get_by_role("link", name="Train").click()
    chosen = models.get_by_label("Policy", exact=True)  # a chart is called policy entropy
    expect(chosen).to_have_value(re.compile(f"^{label}"))


def test_a_folder_that_is_no_checkpoint_is_refused_in_place(models: Page, tmp_path: Path) -> None:
    models.get_by_label("Folder, file, or address").fill(str(tmp_path / "nothing"))
    models.get_by_role("button", name="Add it").click()
    expect(models.get_by_text("there is no checkpoint directory")).to_be_visible()
    models.get_by_label("Folder, file, or address").fill(str(tmp_path))
    models.get_by_role("button", name="Add it").click()
    expect(models.get_by_text("holds none of the released folders of coffee")).to_be_visible()


@pytest.mark.soak
def test_a_folder_of_ours_passes_the_gate_and_takes_its_slot(models: Page, demo: Path) -> None:
    source = sorted(demo.glob("checkpoints/*/normalization.json"))[0].parent
    models.get_by_label("Folder, file, or address").fill(str(source))
    models.get_by_label("Name in the catalogue").fill("mine")
    models.get_by_role("button", name="Add it").click()
    expect(models.get_by_text("local/mine is in the catalogue.")).to_be_visible()
    expect(models.get_by_label("Policy", exact=True)).to_have_value("local/mine")
    expect(models.get_by_text("local folder")).to_be_visible()
