"""Train: charts that keep the reader's zoom, a form that explains, a run that can be paused."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from engine.run_directory import RunDirectory
from engine.types import Outcome
from tests.e2e.conftest import Server, episode

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

RANGE = "() => document.querySelector('#plot-success')._fullLayout.xaxis.range.map(Math.round)"
ZOOM = "() => Plotly.relayout('plot-success', {'xaxis.range': [1, 3]})"


def begin(page: Page, *, iterations: int) -> None:
    page.goto("/train")
    page.get_by_label("Iterations").fill(str(iterations))
    page.get_by_label("Groups", exact=True).fill("1")
    page.get_by_label("Group size").fill("2")
    page.get_by_role("button", name="More options").click()
    page.get_by_label("Max groups").fill("1")
    page.get_by_label("Horizon").fill("8")
    expect(page.locator(".now")).not_to_be_empty()
    shown = page.url  # of an earlier run, if there was one: its charts are not meant
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(lambda address: "run=" in address and address != shown)


def points(page: Page, count: int) -> None:
    page.wait_for_function(
        f"Number(document.querySelector('#plot-success')?.dataset.points) >= {count}"
    )


def test_the_zoom_survives_new_points_and_a_run_stops_when_asked(page: Page) -> None:
    begin(page, iterations=60)
    points(page, 1)
    page.evaluate(ZOOM)
    node = page.evaluate_handle("() => document.querySelector('#plot-success svg')")
    seen = int(page.evaluate("() => document.querySelector('#plot-success')?.dataset.points"))
    points(page, seen + 2)
    assert page.evaluate(RANGE) == [1, 3]
    assert page.evaluate("(old) => old === document.querySelector('#plot-success svg')", node)

    dock = page.get_by_role("banner").or_(page.locator("header")).first
    expect(dock).to_contain_text("optimise")
    page.get_by_role("button", name="Pause", exact=False).last.click()
    expect(page.get_by_role("button", name="Resume", exact=False).last).to_be_visible()
    page.get_by_role("button", name="Stop and save").click()
    expect(page.locator(".now .tag")).to_have_text(re.compile("done|cancelled"))


def test_a_wrong_option_is_refused_in_a_sentence(page: Page) -> None:
    page.goto("/train")
    page.get_by_label("Group size").fill("1")
    page.get_by_role("button", name="Start training").click()
    expect(
        page.get_by_text(re.compile("group_size must be at least 2|Value 1 is less"))
    ).to_be_visible()


def test_an_unknown_run_leaves_a_page_that_works(page: Page) -> None:
    page.goto("/train?run=long-gone")
    expect(page.get_by_role("button", name="Start training")).to_be_visible()
    page.wait_for_function("!location.search.includes('long-gone')")


def test_a_cell_of_a_fidelity_run_leads_to_its_episodes(page: Page, server: Server) -> None:
    directory = server.data / "runs" / "fidelity-1"
    run = six_pairs(directory)
    page.goto(f"/train?run={directory.name}")
    expect(page.get_by_text("running").first).to_be_visible()
    expect(page.get_by_text("balanced accuracy")).to_have_count(0)
    run.state("done")
    run.close()
    expect(page.get_by_text("balanced accuracy 63 %")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^Calibration"))).to_be_visible()
    page.get_by_role("link", name="really success, imagined fail: 1 of 6 pairs").click()
    shown = page.get_by_role("button", name=re.compile(r"^fidelity-1\.journey-03, "))
    expect(shown).to_be_visible()
    expect(page.get_by_text("1 episode", exact=True)).to_be_visible()
    expect(page.get_by_label("real twin")).to_have_value("success")


def six_pairs(directory: Path) -> RunDirectory:
    """A fidelity run that the studio finds as it finds one of the command line: still held."""
    pairs = [(True, True, 0.9)] * 3 + [(True, False, 0.4), (False, True, 0.7), (False, False, 0.1)]
    run = RunDirectory(directory)
    run.state("running")
    for number, (real, imagined, probability) in enumerate(pairs):
        lineage = {"source": "fidelity", "real": "r", "real_run": "held-out"}
        lineage |= {"real_success": real, "threshold": 0.5}
        probabilities = np.array([probability], np.float32)
        run.record(
            dataclasses.replace(
                episode(number),
                outcome=Outcome(imagined, 24),
                arrays={"window_ends": np.array([8]), "window_probabilities": probabilities},
                lineage=lineage,
            )
        )
    (directory / "config.json").write_text(json.dumps({"job": "fidelity", "config": {}}))
    return run
