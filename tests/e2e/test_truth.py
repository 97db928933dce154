"""Evaluate and Fidelity: from a figure to its videos, on runs as their jobs leave them.

The file's name puts it behind the others: its episodes are no business of theirs.
"""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from engine.jobs.fidelity.fidelity_curves import agreement, curves
from engine.jobs.fidelity.fidelity_scores import Scores, real_verdicts
from engine.records.types import Outcome
from engine.runs.names import episode_name
from engine.runs.registry import job_config
from engine.runs.run_directory import RunDirectory
from tests.e2e.conftest import Server, episode
from tests.e2e.test_looks import NAMELESS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

WIDTH = "document.documentElement.scrollWidth"
CHUNK, DEPTH = 8, 24
ARMS = {"modest": [1, 1, 0, 0, 0, 0, 0, 0], "better": [1, 1, 1, 1, 1, 1, 1, 0]}


def begin(directory: Path, job: str, config: dict[str, Any]) -> RunDirectory:
    """A run that is held, as one on the command line is: the studio finds and follows it."""
    run = RunDirectory(directory)
    run.state("running")
    document = {"job": job, "config": job_config(job, config).to_dict()}
    (directory / "config.json").write_text(json.dumps(document))
    return run


def evaluated(root: Path, arm: str) -> RunDirectory:
    """An evaluation of eight starts, each with its video."""
    config = {"policy": f"/elsewhere/{arm}", "pool": "free", "episodes": 8, "record_episodes": 8}
    run = begin(root / f"evaluate-{arm}", "evaluate", config)
    for number, success in enumerate(ARMS[arm]):
        start = 2_000_000 + number
        run.record(
            dataclasses.replace(
                episode(number),
                id=episode_name("coffee-push", start, 0),
                start_id=start,
                imagined=False,
                outcome=Outcome(bool(success), 24),
                lineage={"use": "test", "source": "evaluate"},
            )
        )
    run.progress(8, 8)
    run.result({"evaluate/success_rate": sum(ARMS[arm]) / 8, "outcomes": ARMS[arm]})
    run.state("done")
    return run


def compared(root: Path) -> RunDirectory:
    """A fidelity run of four pairs: its curves are drawn from random scores, by the job's code."""
    run = begin(root / "fidelity-truth", "fidelity", {"world_model": "/elsewhere/world"})
    real = [dataclasses.replace(episode(n), imagined=False, id=f"real-{n}") for n in range(4)]
    kinds = ["imagined", "shuffled", "zero", "round_trip", "repeat"]
    names = [f"{kind}/{metric}" for kind in kinds for metric in ("psnr", "ssim")]
    judged = ["real", "imagined", "round_trip"]
    scores = Scores.empty(4, DEPTH, pixels=names, judged=judged, chunks=3, width=4)
    random = np.random.default_rng(0)
    for values in scores.pixels.values():
        values[:] = random.uniform(15.0, 30.0, values.shape)
    for name in judged:
        scores.verdicts[name][:] = real_verdicts(real)
        scores.features[name][:] = random.normal(size=(4, 3, 4))
    scores.verdicts["imagined"][1] = (1, 24)  # a false success
    for number, truth in enumerate(real):
        run.record(dataclasses.replace(truth, lineage={"use": "calibration", "source": "policy"}))
        success, end_step = scores.verdicts["imagined"][number]
        lineage = {
            "source": "fidelity",
            "real": truth.id,
            "real_run": run.directory.name,
            "real_success": truth.outcome.success,
            "real_end_step": truth.outcome.end_step,
            "threshold": 0.6,
            "psnr": scores.pixels["imagined/psnr"][number].tolist(),
        }
        outcome = Outcome(bool(success), int(end_step))
        run.record(
            dataclasses.replace(
                episode(number), id=f"pair-{number}", outcome=outcome, lineage=lineage
            )
        )
    verdicts = real_verdicts(real)
    found = curves(scores, verdicts, chunk_size=CHUNK, judged=["imagined"])
    means = {f"fidelity/mean_{name.replace('/', '_')}": 20.0 for name in names}
    metrics = means | agreement(scores.verdicts["imagined"], verdicts)
    run.result(metrics | {"curves": found, "notes": ["LPIPS is not measured here"]})
    run.state("done")
    return run


def fits(page: Page) -> None:
    """Also with results: every control has a name, and a phone scrolls only downwards."""
    assert page.evaluate(NAMELESS) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate(WIDTH) <= 390
    page.set_viewport_size({"width": 1440, "height": 900})


def test_from_a_figure_of_an_evaluation_to_the_videos_behind_it(page: Page, server: Server) -> None:
    page.goto("/evaluate")
    expect(page.get_by_text("Nothing was evaluated yet")).to_be_visible()
    runs = [evaluated(server.data / "runs", arm) for arm in ARMS]
    page.reload()
    expect(page.get_by_role("button", name="better, coffee-push: 87.5 %, 7 of 8")).to_be_visible()
    for run in runs:
        run.close()
    page.get_by_label("compared with").select_option("modest")
    expect(page.get_by_role("row", name=re.compile(r"^better.*\+62\.5"))).to_be_visible()
    assert page.locator(".results td > b").count() == 0  # eight starts show nothing
    page.get_by_role("button", name="only better succeeded: 5").click()
    expect(page.get_by_role("button", name=re.compile("^start 2,000,00"))).to_have_count(5)
    page.get_by_role("button", name="start 2,000,003: success, modest fail").click()
    pair = page.get_by_role("dialog", name="Two videos in step")
    expect(pair.get_by_role("img", name="modest frame")).to_be_visible()
    expect(pair.get_by_text("2 of 5")).to_be_visible()
    page.keyboard.press("n")
    expect(pair.get_by_text("start 2,000,004")).to_be_visible()
    page.keyboard.press("Escape")
    expect(pair).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("button", name="Report (Markdown)").click()
    assert "| better | 1 | +62.5 [" in Path(download.value.path()).read_text()
    page.get_by_label("Difference to see, points").fill("20")
    expect(page.get_by_text("To see 20 points you need 57 common starts")).to_be_visible()
    page.get_by_label("Episodes each").fill("500")
    expect(page.get_by_text("pool test has 400 starts; 500 from 0 are not in it")).to_be_visible()
    fits(page)


def test_from_a_point_of_fidelity_to_reality_beside_the_dream(page: Page, server: Server) -> None:
    run = compared(server.data / "runs")
    page.goto("/fidelity?run=fidelity-truth")
    expect(page.get_by_label("Fidelity run")).to_have_value("fidelity-truth")
    expect(page.get_by_role("figure", name="PSNR by frame depth")).to_be_visible()
    run.close()
    expect(page.get_by_text("LPIPS is not measured here")).to_be_visible()
    expect(page.get_by_text("1 of 2 real failures are dreamt as successes")).to_be_visible()
    expect(page.get_by_text("Real against imagined success by frame 24, the last")).to_be_visible()
    page.get_by_role("slider", name="Frame depth").fill("12")
    expect(page.get_by_text("Real against imagined success by frame 16")).to_be_visible()
    page.get_by_role("slider", name="Frame depth").fill("20")
    page.get_by_role("button", name="really fail, imagined success: 1 of 4").click()
    pair = page.get_by_role("dialog", name="Two videos in step")
    expect(pair.get_by_role("img", name="Reality frame")).to_be_visible()
    expect(pair.get_by_text("really failed, judged a success")).to_be_visible()
    left, right = (pair.get_by_role("img", name=f"{kind} frame") for kind in ("Dream", "Reality"))
    dream, reality = left.bounding_box(), right.bounding_box()
    assert dream is not None and reality is not None
    assert dream["y"] == reality["y"] and dream["x"] + dream["width"] <= reality["x"]
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Videos, the worst first").click()
    expect(pair.get_by_text("1 of 4")).to_be_visible()
    expect(pair.get_by_role("img", name="Dream frame")).to_have_attribute("data-frame", "20")
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="Episodes").select_option("failure")
    expect(page.get_by_text("n 2").first).to_be_visible()
    fits(page)
