"""Train: charts that keep the reader's zoom, a form that explains, a run that can be paused."""

import re

import pytest
from playwright.sync_api import Page, expect

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
    page.get_by_role("button", name="Start training").click()


def points(page: Page, count: int) -> None:
    page.wait_for_function(
        f"Number(document.querySelector('#plot-success').dataset.points) >= {count}"
    )


def test_the_zoom_survives_new_points_and_a_run_stops_when_asked(page: Page) -> None:
    begin(page, iterations=60)
    points(page, 1)
    page.evaluate(ZOOM)
    node = page.evaluate_handle("() => document.querySelector('#plot-success svg')")
    seen = int(page.evaluate("() => document.querySelector('#plot-success').dataset.points"))
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
