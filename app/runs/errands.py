"""Errands: work of seconds to minutes that somebody waits for, one at a time, with progress."""

import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypedDict

from app.visitors import may_change, visitor
from engine.config import Config, knob

logger = logging.getLogger(__name__)

MOST_WAITING, MOST_KEPT, MOST_FOLLOWED = 8, 50, 20
Progress = Callable[[int, int], None]  # (done, total); raises when the errand is to stop
Work = Callable[[Progress], dict[str, Any]]


class ErrandRecord(TypedDict):
    """An errand, as far as it is."""

    id: str
    kind: str
    title: str
    unit: str
    state: str
    done: int
    total: int
    result: dict[str, Any]
    error: str
    at: float


class ErrandRecords(TypedDict):
    """Errands, the newest first."""

    errands: list[ErrandRecord]


class StoppedError(Exception):
    """The errand was called off."""


@dataclass
class _Errand:
    """One errand, as far as it is."""

    id: str
    kind: str
    title: str
    unit: str
    owner: str = field(default_factory=visitor)
    state: str = "queued"
    done: int = 0
    total: int = 0
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    at: float = field(default_factory=time.time)
    stop: threading.Event = field(default_factory=threading.Event)

    def progress(self, done: int, total: int) -> None:
        """Note how far it is."""
        self.done, self.total = done, total
        if self.stop.is_set():
            raise StoppedError


@dataclass(frozen=True, kw_only=True)
class Follow(Config):
    """Which errands."""

    ids: tuple[str, ...] | None = knob(None, "their ids; without them all", high=MOST_FOLLOWED)


@dataclass(frozen=True, kw_only=True)
class Cancel(Config):
    """An errand that is to stop."""

    id: str = knob(help="its id")


class Errands:
    """Runs errands on one thread; the last `MOST_KEPT` are remembered until the studio closes.

    Args:
        guest: who asks sees only what they began themselves, and by its id.
    """

    def __init__(self, *, guest: bool = False) -> None:
        self._guest = guest
        self._errands: OrderedDict[str, _Errand] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="errand")
        self._lock = threading.Lock()

    def close(self) -> None:
        """Call everything off and wait for the one at work to end."""
        for errand in list(self._errands.values()):
            errand.stop.set()
        self._thread.shutdown(cancel_futures=True)

    def start(self, kind: str, title: str, work: Work, *, unit: str = "") -> ErrandRecord:
        """Queue an errand; its record.

        Args:
            work: gives the errand's result as plain values; its `ValueError` and `LookupError` are
                sentences for whoever asked.
            unit: what is counted: bytes, episodes, or nothing.

        Raises:
            ValueError: too many wait already.
        """
        errand = _Errand(id=uuid.uuid4().hex, kind=kind, title=title, unit=unit)
        with self._lock:
            live = [one for one in self._errands.values() if one.state in ("queued", "running")]
            if len(live) >= MOST_WAITING:
                raise ValueError(f"{len(live)} things are waiting already: try again in a moment")
            self._errands[errand.id] = errand
            ended = [one.id for one in self._errands.values() if one not in (*live, errand)]
            for name in ended[: max(0, len(self._errands) - MOST_KEPT)]:
                del self._errands[name]
        self._thread.submit(self._run, errand, work).add_done_callback(partial(_ended, errand))
        return _record(errand)

    def all(self) -> list[ErrandRecord]:
        """Every errand, the newest first."""
        return [_record(errand) for errand in reversed(list(self._errands.values()))]

    def follow(self, question: Follow) -> ErrandRecords:
        """{errands}: those of the ids that are known."""
        if question.ids is None:
            return {"errands": [] if self._guest else self.all()}
        known = [one for one in reversed(list(self._errands.values())) if one.id in question.ids]
        return {"errands": [_record(one) for one in known if may_change(one.owner)]}

    def get(self, name: str) -> ErrandRecord:
        """One errand: {id, kind, title, unit, state, done, total, result, error, at}.

        Raises:
            LookupError: there is none of this id (any more).
        """
        return _record(self._find(name))

    def cancel(self, question: Cancel) -> ErrandRecord:
        """Ask an errand to stop at its next step; its record.

        Raises:
            LookupError: there is none of this id.
        """
        errand = self._find(question.id)
        errand.stop.set()
        return _record(errand)

    def _find(self, name: str) -> _Errand:
        errand = self._errands.get(name)
        if errand is None or not may_change(errand.owner):
            raise LookupError("the studio no longer knows this errand: start it again")
        return errand

    def _run(self, errand: _Errand, work: Work) -> None:
        errand.state = "running"
        try:
            errand.progress(0, 0)
            errand.result = work(errand.progress)
            errand.state = "done"
        except StoppedError:
            errand.state = "cancelled"
        except (ValueError, LookupError) as error:
            errand.state, errand.error = "failed", str(error)
        except OSError as error:
            logger.exception("the errand %s failed", errand.title)
            errand.state, errand.error = (
                "failed",
                f"the disk or the network failed: {error.strerror or error}",
            )


def _ended(errand: _Errand, future: "Future[None]") -> None:
    """A defect is logged and not hidden; an errand that never began was called off."""
    if future.cancelled():
        errand.state = "cancelled"
    elif (error := future.exception()) is not None:
        logger.error("the errand %s failed", errand.title, exc_info=error)
        errand.state, errand.error = "failed", "something went wrong here: the log says what"


def _record(errand: _Errand) -> ErrandRecord:
    return {
        "id": errand.id,
        "kind": errand.kind,
        "title": errand.title,
        "unit": errand.unit,
        "state": errand.state,
        "done": errand.done,
        "total": errand.total,
        "result": errand.result,
        "error": errand.error,
        "at": errand.at,
    }
