"""A real worker with a small exact job, for the drills: `python drill_worker.py RUN_DIR`.

The job fits a linear model and records episodes, imagined and real. Its config: `steps`, `pace`
(seconds a step), `weights` (of the model), `episodes_every` (steps); `children` (starts a process
that would sleep for an hour); `clock_jumps` ({step: seconds
that the time of day is moved by}), `hog_at` (step at which it takes all memory it can get), within
`address_space` bytes or the memory control group `group`, where they are named.
"""

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.setpriority(os.PRIO_PROCESS, 0, 0)  # a drill is about kills: on a busy machine it would starve

import numpy as np
import torch
from torch import Tensor, nn

from engine.checkpoints import checkpoint
from engine.learning.training import FitConfig, fit
from engine.protocols import Run
from engine.records.types import Outcome, Trajectory
from engine.runs.run_directory import RunDirectory
from engine.runs.slot import Slot
from engine.seeding import generator, initialisation
from engine.worker import HELD, SLOT_VARIABLE, execute


def job(name: str, config: Mapping[str, Any], run: Run) -> dict[str, Any] | None:
    assert isinstance(run, RunDirectory)
    if config.get("children"):
        subprocess.Popen(["sh", "-c", "sleep 3600; exit", str(run.directory)])
    with initialisation(0, "drill"):
        model = nn.Linear(config.get("weights", 8), 1)

    def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        if step % config.get("episodes_every", 5) == 0:
            run.record(_episode(step))
        if str(step) in config.get("clock_jumps", {}):
            _move_clock(config["clock_jumps"][str(step)])
        if step == config.get("hog_at"):
            _hog(config)
        threading.Event().wait(config.get("pace", 0.0))
        x = torch.randn(4, model.in_features, generator=generator(0, "batch", step))
        return (model(x) - x.sum(dim=1, keepdim=True)).square().mean(), {}

    def save(directory: Path) -> None:
        checkpoint.write_model(directory, model, {"role": "drill"}, {"metrics": {}})

    fitted = FitConfig(
        steps=config["steps"],
        warmup_steps=2,
        log_every=config.get("log_every", 3),
        checkpoint_every=config.get("checkpoint_every", 4),
    )
    if not fit(model, batch_loss, run, fitted, prefix="drill", save=save):
        return None
    return {"drill/weight": float(model.weight.sum())}


def _episode(step: int) -> Trajectory:
    lineage = {"iteration": step, "use": "policy", "source": "policy", "policy": None}
    return Trajectory(
        id=f"episode-{step:06d}",
        task="coffee-push",
        start_id=200_000 + step,
        instruction="push the mug",
        imagined=step % 2 == 0,
        outcome=Outcome(True, 2),
        frames=np.full((3, 8, 8, 3), step % 256, np.uint8),
        actions=np.zeros((2, 4), np.float32),
        lineage=lineage,
    )


def _move_clock(seconds: float) -> None:
    """What somebody who sets the clock of the machine does, for this process alone."""
    honest = time.time
    time.time = lambda: honest() + seconds


def _hog(config: Mapping[str, Any]) -> None:
    if "group" in config:
        (Path(config["group"]) / "cgroup.procs").write_text("0")
    if "address_space" in config:
        resource.setrlimit(resource.RLIMIT_AS, (config["address_space"], resource.RLIM_INFINITY))
    taken = []
    while True:
        taken.append(torch.ones(2**24))


if __name__ == "__main__":
    place = os.environ.get(SLOT_VARIABLE)
    try:
        status, _ = execute(Path(sys.argv[1]), slot=Slot(Path(place)) if place else None, job=job)
    except BlockingIOError:
        status = HELD
    sys.exit(status)
