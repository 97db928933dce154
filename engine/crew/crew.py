"""Parts of a piece of work, done by this process or by several: the results are those of one.

Everything random about a part comes from what the part is, so who does it does not matter; a worker
that dies costs the part it did, which another does again.
"""

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from engine.config import knob
from engine.crew.cluster import Cluster
from engine.crew.processes import Processes
from engine.crew.worker import Cast, Dead, Part, Shared

AHEAD = 4  # parts a worker that are done before their turn: they wait in memory
MOST_DEATHS = 3
BREATH = 1.0  # seconds after which who waits for a part looks up


def workers_knob() -> Any:
    """How many work at once."""
    return knob(1, "Processes that work at once; the results are those of one", low=1)


def ray_knob() -> Any:
    """Where they are."""
    return knob("", "Ray cluster of the workers: auto or an address; empty: this machine")


@runtime_checkable
class Workplace(Protocol):
    """Where workers are; a worker is whatever `engage` gives."""

    def engage(self) -> Any:
        """One more worker, who gets its stage ready."""
        ...

    def hand(self, worker: Any, part: Part) -> None:
        """Give an idle worker a part."""
        ...

    def hear(self, busy: Sequence[Any], seconds: float) -> list[tuple[Any, Any]]:
        """(worker, result) of those who are done by then: an error to raise, or `Dead`."""
        ...

    def share(self, tensors: Mapping[str, Tensor]) -> Shared:
        """Tensors that every worker can get at; those shared before go."""
        ...

    def close(self) -> None:
        """Let every worker go; one in the middle of a part is not waited for."""
        ...


class Crew:
    """Workers that do parts, each at its own pace.

    Args:
        told: hears a sentence of every death.
    """

    def __init__(
        self, place: Workplace, workers: int, *, told: Callable[[str], None] = lambda _: None
    ) -> None:
        self._place, self._told = place, told
        self._deaths = 0  # since the last result
        self._busy: dict[Any, int | None] = {place.engage(): None for _ in range(workers)}

    def play(
        self, parts: Sequence[Part], *, waiting: Callable[[], object] = lambda: None
    ) -> Generator[Any, None, None]:
        """The results of the parts, in order.

        Args:
            waiting: called about once a second while a result is waited for.

        Raises:
            ValueError: three workers died one after the other.
        """
        left, done = deque(range(len(parts))), dict[int, Any]()
        for number in range(len(parts)):
            while number not in done:
                self._hand_out(parts, left, number + AHEAD * len(self._busy))
                done |= self._hear(left)
                waiting()
            found = done.pop(number)
            if isinstance(found, Exception):
                raise found
            yield found

    def share(self, tensors: Mapping[str, Tensor]) -> Shared:
        """Tensors for the parts to come, sent to each worker once."""
        return self._place.share(tensors)

    def close(self) -> None:
        """Let every worker go."""
        self._place.close()

    def _hand_out(self, parts: Sequence[Part], left: deque[int], end: int) -> None:
        for worker, number in list(self._busy.items()):
            if number is None and left and left[0] < end:
                self._busy[worker] = left.popleft()
                self._place.hand(worker, parts[self._busy[worker] or 0])

    def _hear(self, left: deque[int]) -> dict[int, Any]:
        done = {}
        busy = [worker for worker, number in self._busy.items() if number is not None]
        for worker, result in self._place.hear(busy, BREATH):
            number, self._busy[worker] = self._busy[worker], None
            assert number is not None
            if not isinstance(result, Dead):
                self._deaths, done[number] = 0, result
                continue
            del self._busy[worker]
            self._deaths += 1
            if self._deaths >= MOST_DEATHS:
                raise ValueError(f"{self._deaths} workers died one after the other: {result.why}")
            self._told(f"a worker died ({result.why}): another does its part again")
            left.appendleft(number)
            self._busy[self._place.engage()] = None
        return done


def open_crew(
    workers: int, ray: str, cast: Cast, *, told: Callable[[str], None] = lambda _: None
) -> Crew:
    """A crew of this machine, or of a Ray cluster; `cast` gets the stage of a worker ready.

    Raises:
        ValueError: no such cluster, one of another version or without room, or no Ray here.
    """
    if not ray:
        return Crew(Processes(cast), workers, told=told)
    return Crew(Cluster(ray, workers, cast), workers, told=told)


def perform(
    parts: Sequence[Part], cast: Cast, *, workers: int, ray: str = ""
) -> Generator[Any, None, None]:
    """The results of the parts, in order; nothing is done before it is asked for or about to be.

    Args:
        cast: gets the stage ready that parts are done on: in this process, where it is the only
            one, else in each of the others alone.

    Raises:
        ValueError: as `open_crew` and `Crew.play`.
    """
    if not parts:
        return
    if not ray and (workers == 1 or len(parts) < 2):
        with ExitStack() as stack:
            stage = cast()
            for thing in stage:
                if hasattr(thing, "close"):
                    stack.enter_context(closing(thing))
            yield from (part(*stage) for part in parts)
        return
    crew = open_crew(min(workers, len(parts)), ray, cast)
    try:
        yield from crew.play(parts)
    finally:
        crew.close()
