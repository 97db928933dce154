"""A job that several processes of this machine learn together: torch's own engine (gloo, NCCL).

All run the same job on their share of every batch (`engine.ranks`). One that dies costs the steps
since the last checkpoint: all begin again there, bit for bit.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from engine.config import knob
from engine.crew.crew import MOST_DEATHS
from engine.crew.processes import end_with_parent, forking
from engine.device import Placement, limit_threads
from engine.protocols import Run
from engine.ranks import ranks
from engine.records.types import Trajectory

C = TypeVar("C")
Result = dict[str, Any] | None
WAIT = 10.0  # seconds a process gets to end by itself once another has left


def learners_knob() -> Any:
    """How many learn together."""
    return knob(
        1,
        "Processes that share each batch, on a GPU each where there are; results as of one",
        low=1,
    )


@dataclass(frozen=True, kw_only=True)
class Follower:
    """The `Run` of a process that follows: it reads what there is and says nothing."""

    placement: Placement
    latest: Path | None

    def log(self, step: int, metrics: Mapping[str, float | int]) -> None:
        """The leading process does."""

    def progress(self, done: int, total: int) -> None:
        """The leading process does."""

    def phase(self, name: str) -> None:
        """The leading process does."""

    def alarm(self, message: str) -> None:
        """The leading process does."""

    def record(self, episode: Trajectory) -> None:
        """The leading process does."""

    def store(self, episode: Trajectory) -> None:
        """The leading process does."""

    def publish(self, episode_id: str) -> None:
        """The leading process does."""

    def count_real(self, **_: object) -> None:
        """The leading process does."""

    def write_document(self, name: str, values: Mapping[str, Any]) -> None:
        """The leading process does."""

    def give_way(self) -> None:
        """The others wait for the leading process."""

    def workroom(self) -> Path:
        """Nothing is put there by a job that is learnt together."""
        raise NotImplementedError("only the leading process has a workroom")

    def episode_ids(self) -> dict[str, bool]:
        """Nothing is played here."""
        return {}

    def real_outcomes(self) -> dict[int, bool]:
        """Nothing is played here."""
        return {}

    def documents(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Only the leading process keeps them."""
        return {}

    @contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        """A place for the small files of a checkpoint, which goes again."""
        with tempfile.TemporaryDirectory(prefix="wmpo-follower-") as room:
            yield Path(room)

    def latest_checkpoint(self) -> Path | None:
        """That from which all go on."""
        return self.latest

    @property
    def stop_requested(self) -> bool:
        """Asked of the leading process alone (`engine.ranks.agreed`)."""
        return False

    @property
    def pause_requested(self) -> bool:
        """Asked of the leading process alone."""
        return False


class LostError(RuntimeError):
    """A process that learnt with this one is gone."""


def together(job: Callable[[C, Run], Result], config: C, run: Run, learners: int) -> Result:
    """What `job` returns of this process, run by several at once.

    Args:
        job: a function of a module, so that another process can find it.

    Raises:
        ValueError: fewer GPUs than processes, or processes that keep dying.
    """
    if learners == 1 or ranks() > 1:
        return job(config, run)
    if run.placement.where.type == "cuda" and torch.cuda.device_count() < learners:
        raise ValueError(
            f"{learners} processes learn on a GPU each, but this run sees "
            f"{torch.cuda.device_count()}; give it more or ask for fewer learners"
        )
    for _ in range(MOST_DEATHS):
        try:
            with _company(job, config, run, learners):
                return job(config, run)
        except LostError as lost:
            run.alarm(f"{lost}: all go on from the last checkpoint")
    raise ValueError(f"{MOST_DEATHS} processes that learnt together died one after the other")


@contextmanager
def _company(job: Callable[..., Result], config: Any, run: Run, learners: int) -> Iterator[None]:
    """The other processes follow as long as the block lasts."""
    context = forking(job)
    latest = run.latest_checkpoint()
    with tempfile.TemporaryDirectory(prefix="wmpo-ranks-", ignore_cleanup_errors=True) as room:
        meeting = Path(room) / "meeting"
        followers: list[BaseProcess] = []
        for number in range(1, learners):
            place = replace(run.placement, device=_device(run.placement, number))
            seen = Follower(placement=place, latest=latest)
            arguments = (job, config, seen, meeting, number, learners)
            followers.append(context.Process(target=_follow, args=arguments, daemon=True))
            followers[-1].start()
        try:
            _join(meeting, 0, learners, run.placement)
            yield
        except RuntimeError as error:  # of torch: the line to another is cut
            if lost := _dead(followers):
                raise LostError(lost) from error
            raise
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()
            for follower in followers:
                follower.join(0 if _dead(followers) else WAIT)
                follower.terminate()
                follower.join()


def _follow(
    job: Callable[..., Result],
    config: Any,
    run: Follower,
    meeting: Path,
    number: int,
    learners: int,
) -> None:
    end_with_parent()
    limit_threads()
    if run.placement.where.type == "cuda":
        torch.cuda.set_device(run.placement.where)
    _join(meeting, number, learners, run.placement)
    job(config, run)
    dist.destroy_process_group()


def _join(meeting: Path, number: int, learners: int, placement: Placement) -> None:
    """Meet the others; gloo finds them on the loopback alone."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    engine: Any = dist
    cuda = placement.where.type == "cuda"
    dist.init_process_group(
        backend="cpu:gloo,cuda:nccl" if cuda else "gloo",
        store=engine.FileStore(str(meeting), learners),
        rank=number,
        world_size=learners,
    )


def _device(placement: Placement, number: int) -> str:
    return f"cuda:{number}" if placement.where.type == "cuda" else placement.device


def _dead(followers: Sequence[BaseProcess]) -> str:
    """Of one that was ended or failed, a sentence; empty as long as all are well."""
    for number, follower in enumerate(followers, start=1):
        follower.join(0.5 if follower.exitcode is None else 0)
        if follower.exitcode:
            return f"process {number} of those that learn died (exit code {follower.exitcode})"
    return ""
