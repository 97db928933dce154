"""The retrain panel in a browser: freeze, start, the verdict and the differences, judging anew."""

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from playwright.sync_api import Browser, Page, expect

from app.live.models import Models
from app.reward.panel import retrain_panel
from app.studio import Studio
from app.ui import site as ui
from engine.records.types import Label
from storage.workspace import open_workspace
from tests.app.conftest import load_fake, make_demo
from tests.app.test_retraining import finish
from tests.e2e.conftest import episode

pytestmark = pytest.mark.e2e

CLIP = "journey-01"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """Two labelled episodes, and nobody who works off runs."""
    studio = Studio(
        open_workspace(tmp_path / "data"),
        demo=make_demo(tmp_path / "demo"),
        models=Models(load_fake),
        supervise=False,
    )
    for number, outcome in ((0, "success"), (1, "fail")):
        name = studio.cabinet.trajectories.add(episode(number))
        studio.cabinet.labels.append(
            Label(event_id=f"event-{number}", episode_id=name, outcome=outcome)
        )
    studio.train.training.start("optimise", {role: f"demo/{name}" for role, name in MODELS.items()})
    yield studio
    studio.close()


MODELS = {"policy": "base", "world_model": "world", "reward_model": "reward"}


@pytest.fixture
def panel(studio: Studio, browser: Browser) -> Iterator[Page]:
    """The panel on a page of its own."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        retrain_panel(studio.reward)
    address = ui.launch(blocks, data_directory=studio.data_directory)
    page = browser.new_page(base_url=address)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto("/")
    yield page
    page.close()
    blocks.close()
    assert problems == []


def newest(studio: Studio, job: str) -> str:
    return str(next(run["id"] for run in studio.runs.all() if run["job"] == job))


@pytest.mark.soak
def test_from_labels_to_a_verdict_to_flips(panel: Page, studio: Studio) -> None:
    expect(
        panel.get_by_text("2 labels stand: 1 success, 1 fail; 0 real, 2 imagined")
    ).to_be_visible()
    panel.get_by_role("button", name="Freeze").click()
    expect(panel.get_by_role("radio", name="2 labels")).to_be_checked()
    panel.get_by_role("button", name="Retrain", exact=True).click()
    expect(panel.locator(".training-run").get_by_text("queued")).to_be_visible()

    said = {"probability": 0.75, "success": True}
    row = {
        "episode": CLIP,
        "imagined": True,
        "gold": True,
        "human": False,
        "old": said,
        "new": said,
    }
    verdict = "worse: F1 on gold imagined clips fell"
    finish(
        studio,
        newest(studio, "train_reward"),
        {"disagreements": {"clips": 2, "rows": [row]}},
        {"gold/verdict": verdict, "gold/better": False, "gold/imagined_clips": 1},
    )
    expect(panel.get_by_text(verdict)).to_be_visible()
    expect(panel.get_by_text("differ: 1 of 2 clips")).to_be_visible()
    panel.get_by_role("button", name=f"Open {CLIP}").click()
    expect(panel.get_by_role("dialog")).to_contain_text(CLIP)
    panel.get_by_role("button", name="Close").click()

    panel.get_by_role("button", name="Re-judge", exact=True).click()
    expect(panel.locator(".judging-run").get_by_text("queued")).to_be_visible()
    member = {
        "episode": CLIP,
        "was_success": True,
        "success": False,
        "was_advantage": 0.5,
        "advantage": 0.0,
    }
    group = {
        "iteration": 1,
        "group": 300_001,
        "was_fate": "kept",
        "fate": "too_few_successes",
        "changed": True,
        "flipped": True,
        "members": [member],
    }
    finish(
        studio,
        newest(studio, "rejudge"),
        {"groups": {"groups": [group]}},
        {"rejudge/episodes": 8.0, "rejudge/groups": 1.0, "rejudge/groups_flipped": 1.0},
    )
    expect(panel.get_by_text("kept → dropped, too few successes")).to_be_visible()
    expect(panel.get_by_text("1 of 1 groups flip")).to_be_visible()
