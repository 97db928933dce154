"""What a worker is, wherever it is: a stage that is made once, and parts that are done on it."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from engine.device import limit_threads

Stage = tuple[Any, ...]  # what a part is done with: an environment and an actor, or models
Part = Callable[..., Any]  # is given the stage, returns what is wanted of it
Cast = Callable[[], Stage]

PLAIN = (ValueError, LookupError, OSError)  # sentences for people; by others a worker dies


@dataclass(frozen=True)
class Dead:
    """What is heard of a worker that is gone."""

    why: str


@runtime_checkable
class Shared(Protocol):
    """Tensors that parts can carry to any worker at the cost of their name."""

    def get(self) -> dict[str, Tensor]:
        """The tensors; a worker fetches them once."""
        ...


class Hands:
    """One worker's stage and its parts; what goes wrong in plain words is said, not raised."""

    def __init__(self, cast: Cast) -> None:
        limit_threads()
        self._stage: Stage | Exception
        try:
            self._stage = cast()
        except PLAIN as error:  # said where the first part is asked for
            self._stage = error

    def play(self, part: Part) -> Any:
        """The part's result, or the error to raise where it was asked for."""
        if isinstance(self._stage, Exception):
            return self._stage
        try:
            return part(*self._stage)
        except PLAIN as error:
            return error

    def close(self) -> None:
        """Close what can be closed."""
        if isinstance(self._stage, Exception):
            return
        with ExitStack() as stack:
            for thing in self._stage:
                if hasattr(thing, "close"):
                    stack.enter_context(closing(thing))
