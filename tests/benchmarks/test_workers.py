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


@pytest.mark.parametrize("job", JOBS)
def test_share_of_the_time_of_one_process(job: str, tmp_path: Path) -> None:
    told: dict[int, dict[str, Any]] = {1: {}, 2: {}}
    seconds = {}
    for workers in (1, 2):
        events = told[workers]
        begin = perf_counter()
        metrics = do(
            job,
            tmp_path / str(workers),
            **JOBS[job],
            workers=workers,
            listener=lambda event, seen=events: seen.update(event.get("metrics", {})),
        )
        assert metrics is not None
        seconds[workers] = perf_counter() - begin
    print(f"\n{job}: {seconds[1]:.1f} s, two workers {seconds[2] / seconds[1]:.2f} of it")
    if job == "optimise":
        rates = [told[workers]["rollout/frames_per_second"] for workers in (1, 2)]
        gain = f"x{rates[1] / rates[0]:.2f}"
        print(f"second iteration: {rates[0]:.0f} and {rates[1]:.0f} frames/s, {gain}")
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
