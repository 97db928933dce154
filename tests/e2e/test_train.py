"""Train: charts that keep the reader's zoom, a form that explains, a run that can be paused."""

import dataclasses
import json
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from app.runs.journal import living_worker
from engine.records.types import Outcome
from engine.runs.run_directory import RunDirectory
from tests.e2e.conftest import Server, episode

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

RANGE = "() => document.querySelector('#plot-success')._fullLayout.xaxis.range.map(Math.round)"
ASK_OFTEN = "() => setInterval(() => document.dispatchEvent(new CustomEvent('wmpo-runs')), 400)"
ZOOM = "() => Plotly.relayout('plot-success', {'xaxis.range': [1, 3]})"


def begin(page: Page, *, iterations: int) -> None:
    page.goto("/train")
    page.get_by_label("Iterations", exact=True).fill(str(iterations))
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


@pytest.mark.soak
def test_a_run_is_paused_killed_flipped_compared_and_stopped(page: Page, server: Server) -> None:
    begin(page, iterations=200)
    run = page.url.split("run=")[1].split("&")[0]
    points(page, 1)
    dock = page.get_by_role("banner").or_(page.locator("header")).first
    expect(dock).to_contain_text("WMPO, ")
    page.locator(".now").get_by_role("button", name="Pause").click()
    resume = page.locator(".now").get_by_role("button", name="Resume")
    expect(resume).to_be_visible()
    expect(page.locator(".now .tag")).to_have_text(
        re.compile(r"^\s*paused")
    )  # no iteration comes now

    done = (
        page.locator(".now")
        .get_by_text(re.compile(r"^iteration \d+ of 200$"))
        .inner_text()
        .split()[1]
    )
    expect(page.locator(".wall output").first).to_have_text(f"{done} of {done}")

    # A group of what it imagined so far: one verdict flipped, and all advantages are other ones.
    members = page.locator(".member .advantage")
    expect(members).to_have_count(2)
    expect(page.locator(".member canvas[data-frame]")).to_have_count(2)
    expect(page.locator(".member .credit")).to_have_count(2)
    before = members.all_inner_texts()
    page.get_by_role("button", name="Flip the verdict of member 0").click()
    expect(page.get_by_text("if your verdicts stood")).to_be_visible()
    assert members.all_inner_texts() != before
    page.get_by_role("button", name="Put back").click()
    expect(page.get_by_text("if your verdicts stood")).to_have_count(0)
    assert members.all_inner_texts() == before
    page.get_by_role("button", name="Flip the verdict of member 0").click()
    page.get_by_role("button", name="Keep as my labels").click()
    expect(page.get_by_text("saved as your label")).to_be_visible()
    expect(page.locator(".member .you")).to_have_count(1)
    expect(page.locator(".probe .mark").first).to_be_visible()
    way = page.get_by_role("link", name="Compare A/B")
    expect(way).to_have_attribute("href", f"label?mode=ab&run={run}")

    resume.click()
    told = page.locator(".events li").filter(has_text=re.compile(r"\brunning\b"))
    expect(told).to_have_count(2)
    worker = living_worker(server.data / "runs" / run)
    assert worker is not None
    os.kill(worker.pid, signal.SIGKILL)
    expect(told).to_have_count(3)
    expect(page.locator(".now .tag")).to_have_text(re.compile("running"))

    other = six_pairs(server.data / "runs" / "fidelity-beside")
    other.log(1, {"rollout/success_rate": 0.5})
    page.get_by_role("button", name=re.compile("^Compare with Fidelity, ")).click()
    differing = page.get_by_role("table", name="Options in which the runs differ")
    expect(differing).to_contain_text(re.compile(r"Fidelity, \d"))
    expect(differing.get_by_role("row").filter(has_text="group size")).to_contain_text("2")
    expect(page.locator(".toolbar .legend")).to_contain_text(re.compile(r"WMPO, .*Fidelity, "))
    assert "with=fidelity-beside" in page.url
    other.state("done")
    other.close()

    # A click on the curve's first point shows what was imagined then.
    points(page, 2)
    plot = page.locator("#plot-success .nsewdrag").first
    plot.hover(position={"x": 6, "y": 20})
    plot.click(position={"x": 4, "y": 20})
    expect(page.locator(".wall output").first).to_have_text(re.compile(r"^1 of "))

    page.get_by_role("button", name="Stop and save").click()
    expect(page.locator(".now .tag")).to_have_text(re.compile("done|cancelled"))

    # Its newest checkpoint is published to a folder: card first, then the place, then a refusal.
    page.get_by_role("button", name="Publish").first.click()
    dialog = page.get_by_role("dialog", name="Publish step")
    expect(dialog.get_by_role("status").first).to_contain_text("the model alone")
    dialog.get_by_label("Where to").select_option("Folder of this machine")
    dialog.get_by_text("Card", exact=True).click()
    expect(dialog.get_by_label("Card", exact=True)).to_contain_text("library_name: wmpo-studio")
    shelf = server.data / "shelf"
    dialog.get_by_label("Target").fill(str(shelf))
    dialog.get_by_role("button", name="Publish").click()
    expect(dialog.get_by_text(f"Published: {shelf}")).to_be_visible()
    assert (shelf / "README.md").is_file() and not (shelf / "state.safetensors").exists()
    dialog.get_by_label("Target").press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("there is already something at")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)


def test_the_zoom_survives_updates_and_charts_share_a_cursor(page: Page, server: Server) -> None:
    directory = server.data / "runs" / "written-by-hand"
    run = six_pairs(directory)
    run.log(1, {"rollout/success_rate": 0.1, "rollout/entropy": 3.0})
    page.goto(f"/train?run={directory.name}")
    points(page, 1)
    page.evaluate(ZOOM)
    page.evaluate(ASK_OFTEN)
    node = page.evaluate_handle("() => document.querySelector('#plot-success svg')")
    for step in range(2, 10):
        run.log(step, {"rollout/success_rate": step / 40, "rollout/entropy": 3.0})
        points(page, step)
    assert page.evaluate(RANGE) == [1, 3]
    assert page.evaluate("(old) => old === document.querySelector('#plot-success svg')", node)

    # One cursor for all charts: the other chart's line stands at the same step.
    page.locator("#plot-success .nsewdrag").first.hover()
    expect(page.locator(".chart .frame > i.at:not([hidden])")).to_have_count(2)
    expect(page.get_by_role("figure", name="success")).to_contain_text("imagined 0.05")
    page.get_by_label("X axis").select_option("time")
    page.get_by_label("Smoothing").fill("0.5")
    page.get_by_label("Logarithmic").check()
    points(page, 9)
    page.get_by_label("Logarithmic").uncheck()
    run.state("done")
    run.close()


def test_start_rests_while_a_check_fails_and_each_method_brings_its_own_form(page: Page) -> None:
    page.goto("/train")
    checks = page.get_by_role("list", name="Preflight")
    start = page.get_by_role("button", name="Start training")
    expect(checks).to_contain_text("compatible")
    expect(checks).to_contain_text("imagined frames/s on the CPU, an iteration of")
    expect(start).to_be_enabled()
    page.get_by_label("Group size").fill("1")
    expect(checks).to_contain_text("group_size must be at least 2")
    expect(start).to_be_disabled()
    page.get_by_label("Group size").fill("8")
    expect(start).to_be_enabled()

    page.get_by_label("demo", exact=True).check()
    expect(page.get_by_label("Iterations", exact=True)).to_have_value("48")
    page.get_by_label("DPO").check()
    expect(page.get_by_label("Beta")).to_be_visible()
    expect(page.get_by_label("Iterations", exact=True)).to_be_hidden()
    expect(checks).to_contain_text("choose the runs whose episodes are learnt from")
    expect(start).to_be_disabled()

    # The world model that WMPO dreams in is aligned here, too.
    page.get_by_label("Steps before").check()
    page.get_by_label("Align the world model").check()
    expect(page.get_by_label("Replay share")).to_have_value("0.35")
    expect(checks).to_contain_text("choose the runs whose episodes are learnt from")

    # A variant without what it needs does not run as another method. (A check of the method that
    # is no longer offered may be on its way.)
    page.get_by_label("Ablations").check()
    expect(page.get_by_label("WMPO from key frames")).to_be_checked()
    expect(checks).to_contain_text("WMPO from key frames needs the policy's own rollouts")
    expect(start).to_be_disabled()

    # The method without alignment takes no aligned world model, and gives it back afterwards.
    page.get_by_label("WMPO without alignment").check()
    expect(page.get_by_text("train one from demonstrations and play alone")).to_be_visible()
    expect(checks).to_contain_text("choose a world model")
    page.get_by_label("WMPO with an anchor").check()
    expect(checks).to_contain_text("compatible")
    expect(checks).to_contain_text("has seen a policy's own rollouts")


def test_a_run_is_renamed_noted_hidden_and_found_again(page: Page) -> None:
    page.goto("/train?run=recorded-wmpo")
    table = page.get_by_role("table", name="Runs")
    row = table.get_by_role("row").filter(has_text="WMPO, recorded")
    expect(row).to_contain_text("50 %")
    expect(row).to_contain_text("real")
    row.get_by_role("button", name="Rename").click()
    page.get_by_label("Name", exact=True).fill("WMPO, the shipped one")
    page.get_by_label("Tags").fill("shipped, first")
    page.get_by_role("button", name="Save").click()
    row = table.get_by_role("row").filter(has_text="WMPO, the shipped one")
    expect(row.locator(".tag")).to_have_text(["shipped", "first"])
    page.reload()
    expect(row).to_be_visible()
    row.get_by_role("button", name="Rename").click()
    page.get_by_label("Name", exact=True).fill("WMPO, recorded")
    page.get_by_role("button", name="Save").click()

    # One chart over the whole screen, and back.
    page.get_by_role("button", name="success over the whole screen").click()
    chart = page.get_by_role("figure", name="success", exact=True)
    box = chart.bounding_box()
    assert box is not None and box["width"] >= 1440
    page.keyboard.press("Escape")
    box = chart.bounding_box()
    assert box is not None and box["width"] < 720


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
