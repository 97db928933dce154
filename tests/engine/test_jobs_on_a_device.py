"""Every job of the registry on an accelerator, and in bfloat16: nothing is left on the CPU, and
no dtype meets another it cannot compute with."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoints.checkpoint import write_json
from engine.records.events import read_events
from engine.runs.registry import job_config, job_names
from tests.engine import forked_worker
from tests.pretend_device import NAME, pretend_device

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ALL = [job for job in job_names() if job != "demo"]  # a study with stages of the full size
# In `make test` the one that imagines, judges and updates; every job is a drill.
QUICK = ("optimise",)


def work(
    directory: Path, job: str, options: dict[str, Any], placement: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """Run a job in a process of its own; what it returned."""
    directory.mkdir()
    config = job_config(job, options).to_dict()
    write_json(directory / "config.json", {"job": job, "config": config, "placement": placement})
    status = forked_worker.run(directory, **more)
    events = [event for _, event in read_events(directory / "events.jsonl")]
    failures = [event.get("traceback") for event in events if event["kind"] == "state"]
    assert status == 0, "\n".join(text for text in failures if text)
    [placed] = [event for event in events if event["kind"] == "placement"]
    assert placed["device"] == placement["device"]
    [result] = [event["metrics"] for event in events if event["kind"] == "result"]
    metrics: dict[str, Any] = result
    return metrics


def test_every_job_has_a_config_here(options: dict[str, dict[str, Any]]) -> None:
    assert set(options) == set(ALL)


@pytest.mark.parametrize(
    "job", [job if job in QUICK else pytest.param(job, marks=pytest.mark.soak) for job in ALL]
)
def test_a_job_on_a_device_finds_what_it_finds_on_the_cpu(
    options: dict[str, dict[str, Any]], job: str, tmp_path: Path
) -> None:
    far = work(tmp_path / "far", job, options[job], {"device": NAME}, around=pretend_device)
    near = work(tmp_path / "near", job, options[job], {"device": "cpu"})
    assert set(far) == set(near)
    for name, value in near.items():
        if isinstance(value, float) and "_per_second" not in name and "time/" not in name:
            assert math.isclose(far[name], value, rel_tol=1e-3, abs_tol=1e-3), name


@pytest.mark.soak
def test_dreams_judged_by_states_are_optimised_on_a_device(
    options: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    judged = {name: options["calibrate"][name] for name in ("world_model", "reward_model")}
    values = options["optimise"] | judged | {"iterations": 1, "real_every": 0}
    far = work(tmp_path / "far", "optimise", values, {"device": NAME}, around=pretend_device)
    near = work(tmp_path / "near", "optimise", values, {"device": "cpu", "dtype": "bfloat16"})
    assert far["rollout/frames"] == near["rollout/frames"] == 2 * 8


@pytest.mark.soak
@pytest.mark.parametrize("job", ["optimise", "clone"])
def test_adapters_are_trained_on_a_device(
    options: dict[str, dict[str, Any]], job: str, tmp_path: Path
) -> None:
    values = options[job] | {"economy": {"lora_rank": 2}}
    far = work(tmp_path / "far", job, values, {"device": NAME}, around=pretend_device)
    near = work(tmp_path / "near", job, values, {"device": "cpu"})
    assert set(far) == set(near)


@pytest.mark.parametrize(
    "job", [job if job in QUICK else pytest.param(job, marks=pytest.mark.soak) for job in ALL]
)
def test_a_job_works_in_bfloat16(
    options: dict[str, dict[str, Any]], job: str, tmp_path: Path
) -> None:
    work(tmp_path / "run", job, options[job], {"device": "cpu", "dtype": "bfloat16"})


@pytest.mark.gpu
@pytest.mark.parametrize("job", ALL)
def test_a_job_works_on_a_gpu(options: dict[str, dict[str, Any]], job: str, tmp_path: Path) -> None:
    assert torch.cuda.is_available()
    work(tmp_path / "run", job, options[job], {"device": "cuda", "dtype": "bfloat16"})
