"""What two workers gain over one process: `pytest -m soak -s tests/benchmarks/test_workers.py`.

Printed as the share of one process's time; the results themselves are compared in test_jobs.
"""

import os
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from tests.engine.tiny import do

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

DEMO = Path("storage/demo")
MODELS = {
    role: str(DEMO / "checkpoints" / f"coffee-push-{name}")
    for role, name in (("policy", "base"), ("world_model", "world"), ("reward_model", "judge"))
}
JOBS: dict[str, dict[str, Any]] = {
    "optimise": {
        **MODELS,
        "starts": str(DEMO / "starts" / "coffee-push.npz"),
        "iterations": 2,  # the first has the workers' start in it
        "groups": 16,
        "max_groups": 16,
        "group_size": 8,
        "record_groups": 0,
        "probe_starts": 0,
    },
    "collect": {"policy": MODELS["policy"], "source": "policy", "pool": "budget", "episodes": 32},
    "evaluate": {"policy": MODELS["policy"], "pool": "calibration", "episodes": 100},
}


ALONE = {"workers": 1}
OTHERS: dict[str, tuple[dict[str, int], ...]] = {
    "optimise": ({"workers": 2}, {"learners": 2}),
    "collect": ({"workers": 2},),
    "evaluate": ({"workers": 2},),
}


@pytest.mark.parametrize("job", JOBS)
def test_share_of_the_time_of_one_process(job: str, tmp_path: Path) -> None:
    whole, alone = timed(job, tmp_path / "alone", ALONE)
    print(f"\n{job}: {whole:.1f} s in one process")
    for number, among in enumerate(OTHERS[job]):
        seconds, told = timed(job, tmp_path / str(number), among)
        words = f"{among}: {seconds / whole:.2f} of it"
        if job == "optimise":
            rate, took = "rollout/frames_per_second", "time/iteration_seconds"
            words += (
                f"; second iteration {told[took]:.1f} of {alone[took]:.1f} s = "
                f"{told[took] / alone[took]:.2f}, {told[rate]:.0f} of {alone[rate]:.0f} frames/s = "
                f"x{told[rate] / alone[rate]:.2f}"
            )
        print(words)
    print(f"load of the machine {os.getloadavg()[0]:.1f}")


def timed(job: str, out: Path, among: dict[str, int]) -> tuple[float, dict[str, Any]]:
    """(seconds, the last metrics that the job told on its way)."""
    told: dict[str, Any] = {}
    begin = perf_counter()
    metrics = do(
        job,
        out,
        **JOBS[job],
        **among,
        listener=lambda event: told.update(event.get("metrics", {})),
    )
    assert metrics is not None
    return perf_counter() - begin, told
