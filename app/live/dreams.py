"""Live rollouts with ids, on one imagination thread for all (design.md §6)."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from app.live.dream import END, Dream, Readout
from app.live.dream_settings import DreamSettings
from app.live.lent_gpu import LentGpu
from app.live.models import Models
from app.live.reel import Seen
from app.rates import TooMuchError
from app.visitors import Person, may_change, person
from engine.dream.draw import Draw
from engine.records.types import JudgeRules, Outcome, Trajectory
from engine.reward.judge import outcome
from storage.checkpoints.catalogue import Checkpoint

logger = logging.getLogger(__name__)

Value = TypeVar("Value")

ACT_SECONDS = 20.0
BRANCH_SECONDS = 60.0
SWEEP_SECONDS = 30.0


class View(Seen, Readout):
    """A dream as its viewers see it."""


class Dreams:
    """The registry of dreams and the thread they share.

    Every dream has at most one chunk in the thread's queue and joins its end again after it, so
    dreams take turns chunk by chunk. Nobody computes for a dream that nobody looks at.

    Args:
        models: those of every dream; used on that thread only.
        capacity: most dreams at once; when there are so many, one that nobody looked at for
            `spare_seconds` makes room, and where there is none, a new one is refused.
        idle_seconds: a dream unseen for so long is forgotten, whether or not another is opened.
        turn: entered for everything on the thread, one at a time: a background run gives way.
        most_of_one: how many dreams who asks may have; None: any number.
        gpu: computes their chunks, where this process holds no GPU.
    """

    def __init__(
        self,
        models: Models | None = None,
        *,
        capacity: int = 100,
        spare_seconds: float = 60.0,
        idle_seconds: float = 900.0,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
        most_of_one: Callable[[], int | None] = lambda: None,
        gpu: LentGpu | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._turn, self._most_of_one, self._gpu = turn, most_of_one, gpu
        self.models = models or Models()
        self._capacity = capacity
        self._spare_seconds = spare_seconds
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._dreams: dict[str, Dream] = {}
        self._owners: dict[str, Person] = {}
        self._queued: set[str] = set()
        self._thread = ThreadPoolExecutor(
            max_workers=1,
            thread_name_prefix="imagination",
            initializer=torch.set_num_threads,
            initargs=(1,),
        )
        self._closing = threading.Event()
        threading.Thread(target=self._sweep, name="idle dreams", daemon=True).start()

    def close(self) -> None:
        """Finish the chunk being imagined and end the threads."""
        self._closing.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def warm_up(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Load models before anybody asks; what cannot be loaded is said when it is used."""
        for checkpoint in checkpoints:
            self._enqueue(self.models.get, checkpoint).add_done_callback(_log_failure)

    def call(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """Run something on the imagination thread and wait for its value."""
        return self._enqueue(function, *arguments).result()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Run something on the imagination thread when its turn comes."""
        self._enqueue(function, *arguments).add_done_callback(_log_failure)

    def release(self, hashes: Collection[str]) -> None:
        """Take models out of memory, on the imagination thread; dreams that used one stop."""
        with self._lock:
            dreams = list(self._dreams.values())
        for dream in dreams:
            dream.rest(hashes)
        self.models.drop(hashes)

    def judge(
        self, reward_model: Checkpoint, frames: npt.NDArray[np.uint8], rules: JudgeRules
    ) -> tuple[list[int], list[float], Outcome]:
        """(window ends, probabilities, verdict) of a whole video [t, h, w, 3].

        Raises:
            ValueError: the reward model reads other windows than the rules ask for.
        """

        def look() -> tuple[list[int], list[float], Outcome]:
            model = self.models.get(reward_model)
            video = torch.from_numpy(np.ascontiguousarray(frames))[None]
            ends, probabilities = model.probabilities(video, rules)
            arrays = ends.numpy(), probabilities[0].numpy()
            found = outcome(*arrays, model.success_threshold, rules, len(frames))
            return ends.tolist(), probabilities[0].tolist(), found

        return self.call(look)

    def open(self, settings: DreamSettings) -> str:
        """A new dream, paused at its start frame; its id.

        Raises:
            TooMuchError: there are too many that somebody looks at.
        """
        dream_id = secrets.token_urlsafe(12)
        dream = Dream(settings, self.models, gpu=self._gpu, clock=self._clock)
        with self._lock:
            owner = person() or Person()
            self._make_room_among_own(owner)
            self._make_room()
            self._dreams[dream_id] = dream
            self._owners[dream_id] = owner
        self._submit(dream_id, dream, dream.wake)
        return dream_id

    def replay(self, settings: DreamSettings, draws: Sequence[Draw]) -> str:
        """A dream that has gone the way of some draws and is paused there; its id.

        Raises:
            ValueError: as `open`, or models that do not fit.
        """
        dream_id = self.open(settings)
        dream = self.get(dream_id)
        for draw in draws:
            dream.reel.touch()
            self.call(dream.play, draw)
        self.call(dream.select)
        return dream_id

    def act(
        self,
        dream_id: str,
        action: str,
        after: int,
        epoch: int | None = None,
        *,
        seconds: float = ACT_SECONDS,
    ) -> View:
        """Do one of `app.live.reel.ACTIONS`, or undo the last chunk; answers what follows.

        Args:
            seconds: longest wait for the next chunk; later it comes by `pull`.

        Raises:
            ValueError: another action, or nothing can follow.
            LookupError: no such dream.
        """
        dream = self.get(dream_id)
        if action == "undo":
            self.call(dream.undo)
            return self.pull(dream_id, after, epoch)
        if action in ("run", "frame", "chunk") and dream.reel.ended:
            raise ValueError(END)
        dream.reel.control(action, burst=True)
        self._go_on(dream_id, dream)
        dream.reel.wait_burst(seconds)
        seen = self.pull(dream_id, after, epoch)
        if seen["state"] == "paused" and action in ("frame", "chunk", "pause"):
            self._submit(dream_id, dream, dream.foresee)
        return seen

    def pull(self, dream_id: str, after: int, epoch: int | None = None) -> View:
        """What viewers may see, with the frames from number `after` on; never waits.

        Raises:
            LookupError: no such dream.
        """
        dream = self.get(dream_id)
        seen = dream.reel.pull(after, epoch)
        self._go_on(dream_id, dream)
        return {**seen, **dream.readout()}

    def branch(
        self,
        dream_id: str,
        node: int,
        vary: str,
        *,
        dimension: int,
        amount: float,
        count: int,
        seconds: float = BRANCH_SECONDS,
    ) -> tuple[list[int], list[int]]:
        """Futures of a node, imagined together to their ends; (first nodes, leaves).

        Other dreams take their turns between the chunks. After some seconds the leaves are where
        the futures are by then.

        Raises:
            ValueError: as `Dream.begin_branch`.
            LookupError: no such dream or node.
        """
        dream = self.get(dream_id)
        dream.reel.control("pause")
        begin = partial(dream.begin_branch, dimension=dimension, amount=amount, count=count)
        first = leaves = self.call(begin, node, vary)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            dream.reel.touch()
            longer = self.call(dream.extend_branches, leaves)
            if longer == leaves:
                break
            leaves = longer
        return first, leaves

    def complete(self, dream_id: str, *, seconds: float) -> None:
        """Imagine a dream to its end and wait for it.

        Raises:
            ValueError: it failed, or took longer than some seconds.
            LookupError: no such dream.
        """
        dream = self.get(dream_id)
        dream.reel.hurry()
        self._go_on(dream_id, dream)
        if dream.reel.wait(seconds) == "running":
            dream.reel.control("pause")
            raise ValueError(f"the dream was not finished within {seconds:.0f} seconds")
        error = dream.reel.pull(0)["error"]
        if error is not None:
            raise ValueError(error)

    def trajectory(self, dream_id: str) -> Trajectory:
        """The dream so far as an episode.

        Raises:
            ValueError: nothing was imagined yet.
            LookupError: no such dream.
        """
        return self.call(self.get(dream_id).trajectory)

    def get(self, dream_id: str) -> Dream:
        """The dream of an id.

        Raises:
            LookupError: no such dream, it was forgotten, or another visitor began it.
        """
        with self._lock:
            if dream_id not in self._dreams:
                raise LookupError("this dream is over: nobody looked at it for a while")
            if not may_change(self._owners[dream_id].name):
                raise LookupError("somebody else began this dream: begin your own")
            return self._dreams[dream_id]

    def forget(self, dream_id: str) -> None:
        """Let go of a dream that nobody will look at again, and of all that it imagined."""
        with self._lock:
            self._dreams.pop(dream_id, None)
            self._owners.pop(dream_id, None)

    def forget_unseen(self) -> int:
        """Let go of the dreams that nobody looked at for `idle_seconds`; how many there are."""
        oldest = self._clock() - self._idle_seconds
        with self._lock:
            idle = [name for name, dream in self._dreams.items() if dream.reel.last_seen < oldest]
        for name in idle:
            self.forget(name)
        return len(self._dreams)

    def _sweep(self) -> None:
        while not self._closing.wait(SWEEP_SECONDS):
            self.forget_unseen()

    def _enqueue(self, function: Callable[..., Value], *arguments: Any) -> "Future[Value]":
        def work() -> Value:
            with self._turn():
                return function(*arguments)

        return self._thread.submit(copy_context().run, work)  # who asks is known on the thread

    def _go_on(self, dream_id: str, dream: Dream) -> None:
        if dream.reel.wants_chunk:
            self._submit(dream_id, dream, dream.advance)

    def _submit(self, dream_id: str, dream: Dream, task: Callable[[], None]) -> None:
        with self._lock:
            if dream_id in self._queued or self._dreams.get(dream_id) is not dream:
                return
            self._queued.add(dream_id)
        epoch = dream.reel.epoch
        future = self._enqueue(task)
        asked = copy_context()  # of whoever wants this chunk, and so the one after it
        future.add_done_callback(
            lambda future: asked.run(self._after, dream_id, dream, epoch, future)
        )

    def _after(self, dream_id: str, dream: Dream, epoch: int, future: "Future[None]") -> None:
        with self._lock:
            self._queued.discard(dream_id)
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._go_on(dream_id, dream)
            return
        _log_failure(future)
        plain = isinstance(error, (ValueError, LookupError))
        sentence = str(error) if plain else f"the dream stopped: {type(error).__name__}: {error}"
        dream.reel.fail(epoch, sentence)

    def _make_room_among_own(self, owner: Person) -> None:
        """A visitor's new dream takes the place of their oldest, and one address, which may come by
        many names, has a quarter of all: nobody takes all there are.
        """
        self._owners = {name: who for name, who in self._owners.items() if name in self._dreams}
        most = self._most_of_one()
        if most is None:
            return
        self._keep_newest(most, lambda who: who.name == owner.name)
        if owner.place:
            crowd = max(most, self._capacity // 4)
            self._keep_newest(crowd, lambda who: who.place == owner.place)

    def _keep_newest(self, most: int, is_own: Callable[[Person], bool]) -> None:
        """Of some owners' dreams, make room for a new one among the `most` that they may have."""
        own = [name for name, who in self._owners.items() if is_own(who)]
        own.sort(key=lambda name: self._dreams[name].reel.last_seen)
        for name in own[: max(0, len(own) - most + 1)]:
            del self._dreams[name], self._owners[name]

    def _make_room(self) -> None:
        """Where there are too many dreams, the one unseen for longest goes.

        Raises:
            ValueError: every dream there is was looked at a moment ago.
        """
        if len(self._dreams) < self._capacity:
            return
        seen = {dream_id: dream.reel.last_seen for dream_id, dream in self._dreams.items()}
        unseen = min(seen, key=seen.__getitem__)
        if seen[unseen] < self._clock() - self._spare_seconds:
            del self._dreams[unseen]
        if len(self._dreams) >= self._capacity:
            raise TooMuchError(
                f"{self._capacity} dreams are being watched here already, which is as many as "
                "this studio takes: try again in a minute",
                self._spare_seconds,
            )


def _log_failure(future: "Future[Any]") -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        logger.error("on the imagination thread: %s", error, exc_info=error)
