"""The jobs by name. Imported one at a time, because each drags in its own libraries."""

from collections.abc import Mapping
from importlib import import_module
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
    config: Config = import_module(f"engine.jobs.{job}").JobConfig.from_dict(values)
    return config


def run_job(job: str, values: Mapping[str, Any], run: Run) -> dict[str, Any] | None:
    """Run a job to its end; its metrics, or None where it was asked to end before."""
    config = job_config(job, values)
    metrics: dict[str, Any] | None = import_module(f"engine.jobs.{job}").run(config, run)
    return metrics
