"""An optional tracker beside the event log: it gets every metric, and can harm nothing.

`trackio` and `wandb` have the same three functions; whichever is named is imported when a run
begins. It works on a thread of its own, so that a tracker that fails or hangs stops nobody: its
first trouble becomes one alarm of the run, and from then on it is off.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from engine.config import knob

NONE = "none"
LOGGERS = (NONE, "trackio", "wandb")
PROJECT = "wmpo-studio"
MOST_WAITING = 1_000  # metric events that it may lag behind
FINISH_SECONDS = 10.0


class Logger(Protocol):
    """What trackio and wandb have in common."""

    def init(self, *, project: str, name: str, config: dict[str, Any], resume: str) -> object:
        """Begin the run of a name, or go on with it."""
        ...

    def log(self, metrics: dict[str, float], *, step: int) -> object:
        """Take the numbers of a step."""
        ...

    def finish(self) -> object:
        """End the run, everything sent."""
        ...


def logger_knob() -> Any:
    """The knob of a job whose metrics may go to a tracker."""
    return knob(NONE, "Tracker that gets the metrics as well, if it is installed", choices=LOGGERS)


def missing(name: str) -> str:
    """Why a tracker cannot be used here, in one sentence; empty where it can."""
    if name == NONE or find_spec(name) is not None:
        return ""
    return f"{name} is not installed here: pip install {name}, or choose none"


class Tracker:
    """Sends the metric events of a run to a tracker.

    Args:
        name: the module, of `LOGGERS`.
        complain: called once at most, on the thread of the run, with one sentence.
        finish_seconds: how long `close` waits for what is under way.
    """

    def __init__(
        self,
        name: str,
        run: str,
        config: Mapping[str, Any],
        complain: Callable[[str], None],
        *,
        finish_seconds: float = FINISH_SECONDS,
    ) -> None:
        self._name, self._complain, self._patience = name, complain, finish_seconds
        self._waiting: queue.Queue[tuple[int, dict[str, float]] | None] = queue.Queue(MOST_WAITING)
        self._trouble, self._off = "", False
        told = (run, dict(config))
        self._thread = threading.Thread(target=self._send, args=told, name="tracker", daemon=True)
        self._thread.start()

    def take(self, event: Mapping[str, Any]) -> None:
        """Send an event of the run, if it is one of metrics."""
        if self._off or event["kind"] != "metric":
            return
        try:
            self._waiting.put_nowait((event["step"], dict(event["metrics"])))
        except queue.Full:
            self._trouble = self._trouble or f"it is {MOST_WAITING} events behind"
        self._look()

    def close(self) -> None:
        """End the run there; a tracker that does not come to an end is left behind."""
        if not self._off:
            try:
                self._waiting.put(None, timeout=self._patience)
                self._thread.join(self._patience)
            except queue.Full:
                self._trouble = self._trouble or "it takes nothing any more"
        if self._thread.is_alive():
            self._trouble = self._trouble or f"it did not finish within {self._patience:g} s"
        self._look()

    def _look(self) -> None:
        if self._trouble and not self._off:
            self._off = True
            self._complain(f"metrics go to {self._name} no more: {self._trouble}")

    def _send(self, run: str, config: dict[str, Any]) -> None:
        try:
            if lacking := missing(self._name):
                raise ValueError(lacking)
            module: Any = import_module(self._name)
            logger: Logger = module
            logger.init(project=PROJECT, name=run, config=config, resume="allow")
            while (item := self._waiting.get()) is not None:
                logger.log(item[1], step=item[0])
            logger.finish()
        except Exception as error:  # whatever somebody else's code raises must not reach the run
            self._trouble = " ".join(str(error).split())[:300] or type(error).__name__


@contextmanager
def tracked(
    run: str,
    config: Mapping[str, Any],
    listen: Callable[[Callable[[dict[str, Any]], None]], None],
    complain: Callable[[str], None],
) -> Iterator[None]:
    """Send the metrics of a run to the tracker that its config names, if it names one.

    Args:
        listen: takes a function to be called with every event of the run.
    """
    name = config.get("logger", NONE)
    if name == NONE:
        yield
        return
    tracker = Tracker(str(name), run, config, complain)
    listen(tracker.take)
    try:
        yield
    finally:
        tracker.close()
