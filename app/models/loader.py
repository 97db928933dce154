"""Three models on the imagination thread: what they need of memory, loading and unloading."""

import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.live.dreams import Dreams
from app.models.catalogue import together
from app.rates import TooMuchError
from engine.device import DeviceMemory, Placement, choose_device, default_placement, device_memory
from engine.loading.warm_up import time_models
from engine.records.tasks import Task
from storage.checkpoints.catalogue import Checkpoint

if TYPE_CHECKING:
    from engine.memory.planner import MemoryPlan
    from engine.memory.speed import Speed

logger = logging.getLogger(__name__)

WARM_UP_STEPS = 4
Three = tuple[Checkpoint, Checkpoint, Checkpoint]


class Loader:
    """Loads three models at a time on the imagination thread, part by part, and unloads them.

    Args:
        pause: seconds before other models may be loaded.
        memory: what the device has; tests bring their own.
    """

    def __init__(
        self,
        dreams: Dreams,
        *,
        pause: float = 0.0,
        memory: Callable[[], DeviceMemory] = lambda: device_memory(choose_device()),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dreams = dreams
        self._models = dreams.models
        self._pause = pause
        self._memory = memory
        self._clock = clock
        self._lock = threading.Lock()
        self._status: dict[str, Any] = {"state": "idle", "parts": [], "error": None}
        self._timings: dict[tuple[str, ...], dict[str, float]] = {}
        self._last_load = -pause

    def plan(self, chosen: Three, *, rows: int, horizon: int) -> dict[str, Any]:
        """The memory plan of three checkpoints as `engine.memory.planner.MemoryPlan` gives it."""
        plan: dict[str, Any] = self._plan(chosen, rows, horizon).to_dict()
        return plan

    def speed(self, chosen: Three, *, denoising_steps: int, workers: int) -> "Speed":
        """How fast a batch of dreams in three checkpoints should be imagined on this machine.

        Raises:
            ValueError: their configs are not those of such models.
        """
        from engine.memory.planner import sizes_of
        from engine.memory.speed import planned_speed

        placement = default_placement(choose_device())
        sizes = sizes_of([checkpoint.config for checkpoint in chosen])
        return planned_speed(
            *sizes, placement=placement, denoising_steps=denoising_steps, workers=workers
        )

    def parameters(self, checkpoint: Checkpoint) -> int:
        """Numbers in a checkpoint's weights, from its config alone."""
        return self._weights(checkpoint, Placement())[0]

    def load(self, chosen: Three, task: Task, *, rows: int, as_proposed: bool) -> dict[str, Any]:
        """Begin to load three checkpoints that fit together and the device; the status then.

        Raises:
            ValueError: they do not fit, or another load is under way.
            TooMuchError: on a Space, too soon after the last one.
        """
        image_size = together(*chosen).image_size
        plan = self._plan(chosen, rows, task.horizon)
        fitting = plan if plan.fits else plan.proposal if as_proposed else None
        if fitting is None:
            raise ValueError(plan.sentence)
        placement = None if plan.fits else fitting.placement
        parts = [
            {"role": c.role, "id": c.id, "bytes": self._weights(c, plan.placement)[1]}
            for c in chosen
        ]
        with self._lock:
            self._check_turn()
            self._last_load = self._clock()
            waiting = [part | {"state": "waiting", "seconds": None} for part in parts]
            warm_up = {"role": "warm_up", "id": "", "bytes": 0, "state": "waiting", "seconds": None}
            self._status = {"state": "loading", "parts": [*waiting, warm_up], "error": None}
        kept = {checkpoint.hash for checkpoint in chosen} if placement is None else set()
        crowded = fitting.total > self._memory().free

        def make_room() -> None:
            others = {c.hash for c in self._models.loaded} - kept
            if crowded or placement is not None:
                self._dreams.release(others)

        steps: list[Callable[[], object]] = [
            functools.partial(self._models.get, checkpoint, placement) for checkpoint in chosen
        ]
        steps.append(functools.partial(self._warm_up, chosen, image_size, task))
        self._dreams.submit(make_room)
        self._dreams.submit(self._step, steps, 0)
        return self.status()

    def unload(self, checkpoints: Sequence[Checkpoint]) -> dict[str, Any]:
        """Take models out of memory; dreams of theirs stop with a sentence. The status then.

        Raises:
            ValueError: models are being loaded.
        """
        with self._lock:
            if self._status["state"] == "loading":
                raise ValueError("models are being loaded: wait until they are")
            self._status = {"state": "idle", "parts": [], "error": None}
        self._dreams.call(self._dreams.release, {c.hash for c in checkpoints})
        return self.status()

    def status(self) -> dict[str, Any]:
        """{state: idle | loading | ready | failed, parts, share, error, loaded, timings}."""
        with self._lock:
            status = self._status | {"parts": [dict(part) for part in self._status["parts"]]}
            timings = list(self._timings.items())
        parts = status["parts"]
        total = sum(part["bytes"] for part in parts)
        done = sum(part["bytes"] for part in parts if part["state"] == "done")
        return status | {
            "share": done / total if total else 0.0,
            "loaded": [
                {"role": c.role, "id": c.id, "hash": c.hash, "placed": self._models.placed(c)}
                for c in self._models.loaded
            ],
            "timings": [{"hashes": list(hashes), **values} for hashes, values in timings],
        }

    def _check_turn(self) -> None:
        if self._status["state"] == "loading":
            raise ValueError("models are being loaded already: wait until they are")
        left = self._last_load + self._pause - self._clock()
        if left > 0.0:
            raise TooMuchError(f"models were loaded a moment ago: wait {left:.0f} seconds", left)

    def _step(self, steps: Sequence[Callable[[], object]], index: int) -> None:
        """One part, then a place at the end of the thread's queue: dreams go on in between."""
        self._mark(index, state="loading")
        begin = time.monotonic()
        try:
            steps[index]()
        except (ValueError, LookupError, MemoryError, RuntimeError) as error:
            logger.exception("a model could not be loaded")
            plain = isinstance(error, (ValueError, LookupError))
            sentence = str(error) if plain else f"{type(error).__name__}: {error}"
            self._mark(index, state="failed")
            with self._lock:
                self._status |= {"state": "failed", "error": sentence}
            return
        self._mark(index, state="done", seconds=round(time.monotonic() - begin, 3))
        if index + 1 < len(steps):
            self._dreams.submit(self._step, steps, index + 1)
        else:
            with self._lock:
                self._status["state"] = "ready"

    def _mark(self, index: int, **changes: Any) -> None:
        with self._lock:
            self._status["parts"][index] |= changes

    def _warm_up(self, chosen: Three, image_size: int, task: Task) -> None:
        measured = time_models(
            *(self._models.get(checkpoint) for checkpoint in chosen),
            image_size=image_size,
            instruction=task.instruction,
            rules=task.judge,
            denoising_steps=WARM_UP_STEPS,
        )
        with self._lock:
            hashes = tuple(checkpoint.hash for checkpoint in chosen)
            self._timings[hashes] = measured | {"denoising_steps": WARM_UP_STEPS}

    def _plan(self, chosen: Three, rows: int, horizon: int) -> "MemoryPlan":
        from engine.memory.planner import plan, sizes_of

        placement = default_placement(choose_device())
        memory = self._memory()
        # What our own models take can be had back: they are these three, or make room for them.
        own = sum(self._weights(c, placement)[1] for c in self._models.loaded)
        free = min(memory.total, memory.free + own)
        return plan(
            *sizes_of([checkpoint.config for checkpoint in chosen]),
            device=replace(memory, free=free),
            placement=placement,
            rows=rows,
            horizon=horizon,
        )

    def _weights(self, checkpoint: Checkpoint, placement: Placement) -> tuple[int, int, int]:
        from engine.memory.components import weights_of
        from engine.memory.planner import config_of

        return weights_of(config_of(checkpoint.config), placement)
