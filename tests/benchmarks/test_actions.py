"""From an action to its imagined chunk, asked as a page asks: `pytest -m soak tests/benchmarks -s`.

Numbers are printed; nothing asserts a time.
"""

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from app.studio import Studio
from app.web.questions import ask
from storage.workspace import open_workspace

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

SETTINGS = {
    "policy": "demo/coffee-push-base",
    "world_model": "demo/coffee-push-world",
    "reward_model": "demo/coffee-push-judge",
    "seed": 1,
}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio(open_workspace(tmp_path), demo=Path("storage/demo"), supervise=False)
    yield studio
    studio.close()


def _chunks(
    studio: Studio, dream: str, *, steered: bool = False, pause: float = 0.5
) -> Iterator[float]:
    """Milliseconds from each action to its answer, some seconds apart, until the dream ends."""
    seen: dict[str, Any] = {"next": 1, "state": "paused"}
    while seen["state"] == "paused":
        Event().wait(pause)
        query = {"dream": dream, "after": seen["next"]}
        began = perf_counter()
        if steered:
            person = {"mode": "human", "actions": {"x": 0.5}, "step": True}
            seen = ask(studio.imagine.dreams.steer, query | person)
        else:
            seen = ask(studio.imagine.dreams.act, query | {"action": "chunk"})
        yield 1e3 * (perf_counter() - began)
        assert len(seen["frames"]) == seen["chunk_size"]


def _report(name: str, times: list[float]) -> None:
    print(
        f"\n{name}: p50 {np.percentile(times, 50):.0f} ms, p95 {np.percentile(times, 95):.0f} ms, "
        f"most {max(times):.0f} ms of {len(times)}"
    )


def test_an_action_to_its_chunk(studio: Studio) -> None:
    def dream(start: int) -> str:
        return ask(studio.imagine.dreams.open, SETTINGS | {"start_id": 300_000 + start})["dream"]

    began = perf_counter()
    first = dream(0)
    ask(studio.imagine.dreams.act, {"dream": first, "action": "chunk"})
    print(f"\nfirst chunk of all, models loaded on the way: {perf_counter() - began:.1f} s")
    for name, options in {
        "a step of the policy, half a second after the last": {},
        "a step of the policy, at once after the last": {"pause": 0.0},
        "a step of a person": {"steered": True},
    }.items():
        times = [t for n in range(1, 6) for t in _chunks(studio, dream(n), **options)]
        _report(name, times)
    for start in (11, 12):
        ask(studio.imagine.dreams.act, {"dream": dream(start), "action": "run"})
    _report("a step of the policy beside two dreams that run", list(_chunks(studio, dream(13))))


def test_eight_futures(studio: Studio) -> None:
    dream = ask(studio.imagine.dreams.open, SETTINGS | {"start_id": 300_000})["dream"]
    ask(studio.imagine.dreams.act, {"dream": dream, "action": "chunk"})
    began = perf_counter()
    found = ask(
        studio.imagine.dreams.branch, {"dream": dream, "node": 0, "vary": "policy", "count": 8}
    )
    print(f"\neight futures to their ends: {perf_counter() - began:.1f} s")
    assert len(found["leaves"]) == 8
