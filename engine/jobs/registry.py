"""The jobs by name. Imported one at a time, because each drags in its own libraries."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from engine.config import Config
from engine.protocols import Run

JOBS = (
    "adopt",
    "collect",
    "clone",
    "train_autoencoder",
    "train_world_model",
    "train_reward",
    "optimise",
    "prefer",
    "choose",
    "evaluate",
    "fidelity",
    "rejudge",
    "learning_curve",
    "demo",
    "study",
)


def job_config(job: str, values: Mapping[str, Any]) -> Config:
    """The job's config from plain values.

    Raises:
        ValueError: unknown job, unknown option, or a value outside its range.
    """
    if job not in JOBS:
        raise ValueError(f"unknown job {job!r}; known jobs: {', '.join(JOBS)}")
    config: Config = job_module(job).JobConfig.from_dict(values)
    return config


def run_job(job: str, values: Mapping[str, Any], run: Run) -> dict[str, Any] | None:
    """Run a job to its end; its metrics, or None where it was asked to end before."""
    config = job_config(job, values)
    metrics: dict[str, Any] | None = job_module(job).run(config, run)
    return metrics


def job_module(job: str) -> ModuleType:
    """`engine.jobs.JOB`, or its `job` where it is a folder."""
    name = f"engine.jobs.{job}"
    spec = find_spec(name)
    return import_module(f"{name}.job" if spec and spec.submodule_search_locations else name)
