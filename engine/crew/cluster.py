"""Workers that are actors of a Ray cluster. The one file that knows Ray.

Every node needs this studio and the checkpoints at the same paths as here.
"""

import logging
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from engine.crew.worker import Cast, Dead, Hands, Part

MISSING = "ray is not installed here: pip install -r requirements-scale.txt, or leave `ray` empty"
ANSWER, ROOM = 5.0, 60.0  # seconds until a cluster must answer, and must have room
LOOK = 5.0  # seconds without an answer after which one asks whether the cluster is still the same
ANEW = (
    "the Ray cluster was started anew and knows nothing of this run, which ends here: started "
    "again, it goes on from its last checkpoint"
)


@dataclass(frozen=True)
class InStore:
    """Tensors in the cluster's object store."""

    held: tuple[Any]  # the reference; Ray would fetch it for every part if it were not wrapped

    def get(self) -> dict[str, Tensor]:
        """The tensors, kept in memory as long as no others are asked for."""
        found: dict[str, Tensor] = _fetch(self.held[0])
        return found


@lru_cache(maxsize=1)
def _fetch(reference: Any) -> Any:
    return import_module("ray").get(reference)


@dataclass(eq=False)
class _Worker:
    actor: Any
    answer: Any = None  # the reference of the part it does


class Cluster:
    """A `Workplace` of Ray actors: one CPU each, and their share of the GPUs there are.

    Args:
        address: `auto` or host:port.
        workers: so many must have room at once.
        patience: seconds until they must have it.

    Raises:
        ValueError: in a sentence: no Ray here, no cluster there, another version, or no room.
    """

    def __init__(self, address: str, workers: int, cast: Cast, *, patience: float = ROOM) -> None:
        self._ray, self._cast, self._patience = library("ray"), cast, patience
        connect(self._ray, address)
        resources = self._ray.cluster_resources()
        self._needs: dict[str, float] = {"CPU": 1.0}
        if torch.cuda.is_available() and resources.get("GPU"):
            self._needs["GPU"] = min(1.0, resources["GPU"] / workers)
        self._group = self._reserve(address, workers, resources)
        self._workers: list[_Worker] = []
        self._home = self._ray.get_runtime_context().get_node_id()
        self._looked = monotonic()

    def engage(self) -> _Worker:
        """One more actor, in the room that is kept for this crew."""
        strategies = import_module("ray.util.scheduling_strategies")
        strategy = strategies.PlacementGroupSchedulingStrategy(placement_group=self._group)
        make = self._ray.remote(Hands).options(
            num_cpus=self._needs["CPU"],
            num_gpus=self._needs.get("GPU", 0.0),
            scheduling_strategy=strategy,
        )
        self._workers.append(_Worker(make.remote(self._cast)))
        return self._workers[-1]

    def hand(self, worker: _Worker, part: Part) -> None:
        """Send a part."""
        worker.answer = worker.actor.play.remote(part)

    def hear(self, busy: Sequence[_Worker], seconds: float) -> list[tuple[_Worker, Any]]:
        """Results that have come; those of the dead are their deaths.

        Raises:
            SystemExit: the cluster is another one: an attempt that was cut short, not a failed run.
        """
        waited = {worker.answer: worker for worker in busy}
        done, _ = self._ray.wait(list(waited), num_returns=1, timeout=seconds)
        if done:
            self._looked = monotonic()
        elif monotonic() > self._looked + LOOK:
            self._look()
        return [(waited[answer], self._result(waited[answer])) for answer in done]

    def share(self, tensors: Mapping[str, Tensor]) -> InStore:
        """Put them into the object store: they travel once to each node."""
        return InStore((self._ray.put(dict(tensors)),))

    def _look(self) -> None:
        """Ray itself waits for ever for actors of a cluster that is gone."""
        self._looked = monotonic()
        nodes = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        if self._home not in nodes:
            raise SystemExit(ANEW)

    def close(self) -> None:
        """End every actor and leave the cluster, which goes on."""
        for worker in self._workers:
            with suppress(Exception):  # an actor that is gone cannot be ended
                self._ray.kill(worker.actor)
        with suppress(Exception):
            import_module("ray.util").remove_placement_group(self._group)
        self._ray.shutdown()

    def _result(self, worker: _Worker) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(worker.answer)
        except (errors.RayActorError, errors.ObjectLostError) as error:
            self._workers.remove(worker)
            return Dead(str(error).splitlines()[0])

    def _reserve(self, address: str, workers: int, resources: dict[str, float]) -> Any:
        group = import_module("ray.util").placement_group([self._needs] * workers)
        if not group.wait(timeout_seconds=self._patience):
            import_module("ray.util").remove_placement_group(group)
            self._ray.shutdown()
            has = f"{resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs"
            raise ValueError(
                f"the Ray cluster at {address} has no room for {workers} workers: it has {has}, "
                "and others may hold them; ask for fewer workers or wait"
            )
        return group


def library(name: str) -> Any:
    """Ray itself.

    Raises:
        ValueError: it is not installed.
    """
    if find_spec(name) is None:
        raise ValueError(MISSING)
    return import_module(name)


def connect(ray: Any, address: str) -> None:
    """Join a cluster.

    Raises:
        ValueError: in a sentence: nothing answers, or it is of another version.
    """
    if address != "auto":
        _knock(address)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns of it
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    except ConnectionError as error:
        raise ValueError(f"no Ray cluster answers at {address}") from error
    except RuntimeError as error:
        ray.shutdown()  # it may be half connected
        raise ValueError(
            f"the Ray cluster at {address} cannot be used: {' '.join(str(error).split())}"
        ) from error


def _knock(address: str) -> None:
    """A wrong address is told in seconds; Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), ANSWER).close()
    except (OSError, ValueError) as error:
        raise ValueError(f"no Ray cluster answers at {address} (auto or HOST:PORT)") from error
