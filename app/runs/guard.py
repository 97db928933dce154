"""The trouble of one run is its own: it is said there, and the others go on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from storage.runs.runs import RunStore

logger = logging.getLogger(__name__)


class Guard:
    """Keeps what goes wrong with one run from stopping the care for all of them."""

    def __init__(self, runs: RunStore) -> None:
        self._runs = runs
        self._said: dict[str, str] = {}

    @contextmanager
    def of(self, run_id: str) -> Iterator[None]:
        """Whatever is raised inside is logged once, and told as the error of the run."""
        try:
            yield
        except Exception as error:
            self._say(run_id, error)
        else:
            self._said.pop(run_id, None)

    def _say(self, run_id: str, error: Exception) -> None:
        sentence = f"the studio cannot look after it: {type(error).__name__}: {error}"[:500]
        if self._said.get(run_id) == sentence:
            return
        self._said[run_id] = sentence
        logger.error("run %s: %s", run_id, sentence, exc_info=error)
        try:
            state = self._runs.get(run_id).state
            self._runs.set_state(run_id, state, sentence)
        except Exception as other:  # the database itself: the next round tries again
            del self._said[run_id]
            logger.error("run %s: its trouble could not be kept: %s", run_id, other)
