"""Workers that start at once: forked from a process that has imported everything and drawn nothing
(a software renderer does not survive a fork). To be killed as any other process."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from engine.envs.gl import use_rendering
from engine.libraries import from_library
from engine.policy.model import LLAMA
from engine.runs.registry import job_module, job_names
from engine.worker import execute


def run(
    directory: Path,
    *,
    kill_at_event: int = 0,
    kill_at_metric: str = "",
    around: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> int | None:
    """Run the worker of a run directory in a process of its own; its exit status.

    Args:
        kill_at_event: the process kills itself when it has written so many; 0: never.
        kill_at_metric: or when it has written a metric whose name begins so; empty: never.
        around: what the process enters before it works.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, f"{__name__}_imports"])
    process = context.Process(target=_work, args=(directory, kill_at_event, kill_at_metric, around))
    process.start()
    process.join()
    return process.exitcode


def _work(
    directory: Path,
    kill_at_event: int,
    kill_at_metric: str,
    around: Callable[[], AbstractContextManager[None]],
) -> None:
    written = 0

    def listener(event: dict[str, Any]) -> None:
        nonlocal written
        written += 1
        names = event.get("metrics", ()) if kill_at_metric else ()
        if written == kill_at_event or any(name.startswith(kill_at_metric) for name in names):
            os.kill(os.getpid(), signal.SIGKILL)

    with around():
        status, _ = execute(directory, listener)
    os._exit(status)


def warm_up() -> None:
    """Import what jobs need and find out how to draw."""
    use_rendering()
    for job in job_names():
        job_module(job)
    import_module("engine.envs.simulators.metaworld")
    # What the models load when they are made; torch's compiler is loaded by its optimisers.
    for module in ("torch._dynamo", LLAMA):
        import_module(module)
    from_library("transformers", "VideoMAEForVideoClassification")
    from_library("diffusers", "AutoencoderKL")
