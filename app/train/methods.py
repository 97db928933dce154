"""What can be trained on the Train page: what the jobs say of themselves (`engine.runs.job`)."""

from typing import Any

from engine.runs.job import Job, Method
from engine.runs.registry import declared, job_names


def offered() -> dict[str, Job]:
    """The jobs of the page by name, in their order; this imports all jobs."""
    found = {job: declared(job) for job in job_names()}
    on_page = [job for job in found if found[job].methods]
    return {job: found[job] for job in sorted(on_page, key=lambda job: found[job].place)}


def methods() -> tuple[Method, ...]:
    """Every method of every job of the page."""
    return tuple(method for job in offered().values() for method in job.methods)


def get_method(name: str) -> Method:
    """The method of a name.

    Raises:
        ValueError: no such method.
    """
    for method in methods():
        if method.name == name:
            return method
    names = ", ".join(method.name for method in methods())
    raise ValueError(f"there is no method {name!r}; there are {names}")


def values_of(method: Method, size: str) -> dict[str, Any]:
    """The options of a method in a size; one without sizes has the same in all of them.

    Raises:
        ValueError: no such size.
    """
    if method.sizes and size not in method.sizes:
        raise ValueError(f"the size must be one of {', '.join(method.sizes)}, not {size!r}")
    return {**method.sizes.get(size, {}), **method.values}
