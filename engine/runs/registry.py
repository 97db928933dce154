"""The jobs by name: each module of `engine.jobs` is one, and each folder in it with a `job.py`."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

from engine.config import Config
from engine.runs.job import Finding, Job

if TYPE_CHECKING:  # it loads torch
    from engine.protocols import Run

JOBS = "engine.jobs"


def job_names() -> list[str]:
    """Every job, sorted; none is imported."""
    return list(_names_in(tuple(import_module(JOBS).__path__)))


@cache
def _names_in(places: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(found.name for found in iter_modules(places)))


def job_module(job: str) -> ModuleType:
    """`engine.jobs.JOB`, or its `job` where it is a folder."""
    name = f"{JOBS}.{job}"
    spec = find_spec(name)
    return import_module(f"{name}.job" if spec and spec.submodule_search_locations else name)


def declared(job: str) -> Job:
    """What a job says of itself in its `JOB`; one that says nothing is for the command line.

    Raises:
        ValueError: unknown job.
    """
    if job not in job_names():
        raise ValueError(f"unknown job {job!r}; known jobs: {', '.join(job_names())}")
    found: Job = vars(job_module(job)).get("JOB", Job())
    return replace(found, methods=tuple(replace(each, job=job) for each in found.methods))


def has_models(job: str) -> bool:
    """Whether a job places models on a device; one that is not known may."""
    return job not in job_names() or declared(job).has_models


def job_config(job: str, values: Mapping[str, Any]) -> Config:
    """The job's config from plain values.

    Raises:
        ValueError: unknown job, unknown option, or a value outside its range.
    """
    if job not in job_names():
        raise ValueError(f"unknown job {job!r}; known jobs: {', '.join(job_names())}")
    config: Config = job_module(job).JobConfig.from_dict(values)
    return config


def run_job(job: str, values: Mapping[str, Any], run: "Run") -> dict[str, Any] | None:
    """Run a job to its end; its metrics, or None where it was asked to end before."""
    config = job_config(job, values)
    for finding in objections(job, config):
        raise ValueError(finding.text)
    metrics: dict[str, Any] | None = job_module(job).run(config, run)
    return metrics


def objections(job: str, config: Config) -> list[Finding]:
    """What the job itself has against valid options: the same on Train and in a shell."""
    own = declared(job)
    found = [finding for finding in own.check(config) if finding.ok is False]
    values = config.to_dict()
    chosen = [method for method in own.methods if method.name == values.get("method")]
    for method in chosen:
        found += [
            Finding("method", False, f"{method.name} needs {method.needs}")
            for name in method.requires
            if not values.get(name)
        ]
    return found
