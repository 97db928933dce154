"""What a run is called: its method, as Train offers it, and when it was started."""

import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from engine.runs.job import Method
from engine.runs.registry import declared


def method_of(job: str, config: Mapping[str, Any]) -> str:
    """The method of a run: what its options say, else the one whose values they are; or the job."""
    named = config.get("method")
    if isinstance(named, str) and named:
        return named
    fitting = [
        method
        for method in _methods(job)
        if all(
            config.get(name) == value for name, value in method.values.items() if name != "method"
        )
    ]
    if fitting:
        return max(fitting, key=lambda method: len(method.values)).name
    return job.replace("_", " ").capitalize()


def run_name(job: str, config: Mapping[str, Any], created: float) -> str:
    """Method and time, such as `WMPO, 29 Nov 16:28`."""
    moment = time.localtime(created)
    return f"{method_of(job, config)}, {moment.tm_mday} {time.strftime('%b %H:%M', moment)}"


@cache
def _methods(job: str) -> tuple[Method, ...]:
    try:
        return declared(job).methods
    except ValueError:  # of a version that had another job
        return ()
