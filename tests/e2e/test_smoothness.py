"""How smoothly three tabs play stored episodes, what a page costs that nobody touches or somebody
watches, and how long large curves take.

Run with `pytest -m soak -s tests/e2e/test_smoothness.py`. Nothing asserts a time.
"""

import itertools
import json
import math
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from engine.records.events import encode_line
from engine.runs.run_directory import RunDirectory
from tests.e2e.conftest import PATIENCE, Server

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

SECONDS = 20.0
PAGES = ["/", "/imagine", "/episodes", "/label?episode=journey-03", "/train"]
# Every frame as it is drawn: [milliseconds, number].
WATCH = """() => {
  window.drawn = [];
  const canvas = document.querySelector('.stage canvas');
  new MutationObserver(() => drawn.push([performance.now(), Number(canvas.dataset.frame)]))
    .observe(canvas, {attributeFilter: ['data-frame']});
}"""

# Milliseconds from each key to the next picture that is further than all it was pressed at.
STOPWATCH = """() => {
  window.waits = [];
  window.pressed = 0;
  let furthest = 0;
  const canvas = document.querySelector('.stage canvas');
  addEventListener('keydown', (event) => {
    if ('ei'.includes(event.key)) pressed = performance.now();
    if (event.key === 'r') furthest = 0;
  }, true);
  new MutationObserver(() => {
    const frame = Number(canvas.dataset.frame);
    if (pressed && frame > furthest) {
      waits.push(performance.now() - pressed);
      pressed = 0;
    }
    if (frame > furthest) furthest = frame;
  }).observe(canvas, {attributeFilter: ['data-frame']});
}"""


# Milliseconds from asking for all points anew until ten curves stand in the chart of success.
ASK_ANEW = """async (axis) => {
  const begin = performance.now();
  const select = document.querySelector('select[aria-label="X axis"]');
  select.value = axis;
  select.dispatchEvent(new Event('change'));
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const plot = document.querySelector('#plot-success');
  while (plot.data.filter((trace) => trace.x.length > 100).length < 20)
    await new Promise((resolve) => setTimeout(resolve, 5));
  const drawn = document.querySelector('.charts').dataset.milliseconds;
  const points = plot.data.reduce((sum, trace) => sum + trace.x.length, 0);
  return [performance.now() - begin, Number(drawn), points];
}"""


def visit(browser: Browser, server: Server, path: str) -> Page:
    context = browser.new_context(base_url=server.address, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(path)
    return page


def metrics(session: CDPSession) -> dict[str, float]:
    found = session.send("Performance.getMetrics")["metrics"]
    return {metric["name"]: metric["value"] for metric in found}


def test_report_frames_of_three_tabs(browser: Browser, server: Server) -> None:
    """Twenty frames a second asked for: speed 2, the whole clip, its strips in view."""
    pages = [visit(browser, server, f"/label?episode=journey-{n:02d}") for n in (10, 11, 12)]
    for page in pages:
        expect(page.get_by_role("button", name="Pause the recording")).to_be_visible()
        page.keyboard.press("Shift+Space")
        page.keyboard.press("h")
        page.evaluate(WATCH)
    threading.Event().wait(SECONDS)
    for page in pages:
        drawn = page.evaluate("drawn")
        # A loop rests a little at its first frame: that gap is meant.
        gaps = sorted(
            later - earlier
            for (earlier, before), (later, after) in itertools.pairwise(drawn)
            if after > before > 0
        )
        assert len(gaps) > 100
        rate, p95 = 1000 * len(gaps) / sum(gaps), gaps[int(0.95 * len(gaps))]
        print(f"\n{rate:.1f} of 20 frames a second, p95 gap {p95:.0f} ms, longest {gaps[-1]:.0f}")
        page.context.close()


@pytest.mark.parametrize("path", PAGES)
def test_report_cost_of_an_idle_page(browser: Browser, server: Server, path: str) -> None:
    page = visit(browser, server, path)
    expect(page.get_by_role("button", name="Keys", exact=True)).to_be_visible()
    threading.Event().wait(5.0)  # the heartbeat of Gradio never rests: no "networkidle" comes
    if "label" in path:
        page.keyboard.press("Space")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    before = metrics(session)
    threading.Event().wait(SECONDS)
    after = metrics(session)
    busy, passed = (after[name] - before[name] for name in ("TaskDuration", "Timestamp"))
    assert passed > 0
    print(f"\n{path}: {100 * busy / passed:.2f} % of a core")
    page.context.close()


@pytest.mark.parametrize(("driver", "key"), [("policy", "e"), ("person", "i")])
def test_report_key_to_chunk(browser: Browser, server: Server, driver: str, key: str) -> None:
    """From the key that asks for a chunk to its first frame on the canvas."""
    page = visit(browser, server, "/imagine")
    expect(page.get_by_text("compatible · ")).to_be_visible()
    page.keyboard.press("e")  # the first chunk of all loads the models
    expect(page.get_by_text("8 of 48 frames")).to_be_visible()
    page.evaluate(STOPWATCH)
    for _ in range(5):
        page.keyboard.press("r")
        expect(page.get_by_text("0 of 48 frames")).to_be_visible()
        if driver == "person" and not page.get_by_text("you drive").is_visible():
            page.keyboard.press("m")
            expect(page.get_by_text("you drive")).to_be_visible()
        for chunk in range(1, 7):
            page.evaluate("pressed = 0")
            page.keyboard.press(key)
            expect(page.get_by_text(f"{8 * chunk} of 48 frames")).to_be_visible()
            threading.Event().wait(0.3)
            if page.get_by_text("finished").is_visible():
                break
    waits = sorted(page.evaluate("waits"))
    assert len(waits) > 10
    print(f"\n{driver}, {len(waits)} chunks: p50 {waits[len(waits) // 2]:.0f} ms, ", end="")
    print(f"p95 {waits[int(0.95 * len(waits))]:.0f} ms, longest {waits[-1]:.0f} ms")
    page.context.close()


NAMES = [
    *("rollout/success_rate", "real/success_rate", "rollout/drift", "rollout/entropy"),
    *("grpo/kept_groups", "grpo/all_fail_groups", "grpo/clip_fraction", "grpo/approx_kl"),
    *("grpo/gradient_norm", "rollout/frames_per_second"),
]
STEPS = 10_000  # of ten metrics each: 100,000 points a run
RUNS = [f"long-{number}" for number in range(10)]


def write_long_run(directory: Path) -> None:
    """What the worker of a finished run of `STEPS` steps would have left."""
    directory.mkdir()
    events: list[dict[str, Any]] = [{"kind": "state", "state": "running"}]
    for step in range(1, STEPS + 1):
        values = {name: 0.5 + 0.4 * math.sin(step / (300 + len(name))) for name in NAMES}
        events.append({"kind": "metric", "step": step, "metrics": values})
    events.append({"kind": "state", "state": "done"})
    with (directory / "events.jsonl").open("wb") as log:
        for seq, event in enumerate(events, start=1):
            common = {"seq": seq, "attempt": 1, "time": 1e9 + seq, "mono": float(seq)}
            log.write(encode_line(common | event))
    spec = {"job": "optimise", "config": {"seed": int(directory.name[-1])}}
    (directory / "config.json").write_text(json.dumps(spec))


def test_report_ten_runs_of_a_hundred_thousand_points(browser: Browser, server: Server) -> None:
    """From the question to the drawn charts; then what it costs to watch a run beside them."""
    for run in RUNS:
        write_long_run(server.data / "runs" / run)
    watched = RunDirectory(server.data / "runs" / "watched")
    watched.state("running")
    (watched.directory / "config.json").write_text(json.dumps({"job": "optimise", "config": {}}))
    page = visit(browser, server, "/train")
    for run in RUNS:  # all of it was taken in
        expect(page.locator(f".run-table tr:has([data-run={run}])")).to_contain_text("done")
    page.goto(f"/train?run={RUNS[0]}&with={','.join(RUNS[1:])}")
    expect(page.locator(".toolbar .legend span")).to_have_count(10)
    for axis in ("time", "iteration", "time", "iteration"):
        whole, drawn, points = page.evaluate(ASK_ANEW, axis)
        print(f"\n10 runs: {whole:.0f} ms from the question, {drawn:.0f} to draw, {points} points")

    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # not the waits for a core
    for beside in ("", ",".join(RUNS[1:])):
        page.goto(f"/train?run=watched&with={beside}")
        expect(page.get_by_role("figure", name="entropy")).to_be_visible()
        threading.Event().wait(5.0)
        busy, began = metrics(session)["TaskDuration"], time.monotonic()
        for step in range(1, 9):
            watched.log(step + 8 * bool(beside), dict.fromkeys(NAMES, 1.0 / step))
            threading.Event().wait(2.5)
        busy, passed = metrics(session)["TaskDuration"] - busy, time.monotonic() - began
        expect(page.get_by_role("figure", name="entropy")).to_contain_text("0.125")
        print(f"watching{' beside nine' * bool(beside)}: {100 * busy / passed:.2f} % of a core")
    watched.state("done")
    watched.close()
    page.context.close()
