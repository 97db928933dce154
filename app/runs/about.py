"""What a run is called, and what people say of it: a name, a note, tags, whether lists omit it.

By itself it is called by its method and when it was started. What is said lies in its directory, so
it survives the database and goes with a copy. One process writes; what was read once is remembered,
because pages list all runs at every poll.
"""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from engine.config import Config, knob
from engine.records.durable import write_json_durably
from engine.runs.job import Method
from engine.runs.registry import declared

FILE = "about.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class About(Config):
    """What is said of a run; an empty name leaves it its own."""

    name: str = knob("", "in place of method and time", high=120)
    note: str = knob("", "anything worth knowing", high=2_000)
    tags: tuple[str, ...] = knob((), "words to find it by", high=20)
    hidden: bool = knob(False, "whether lists leave it out")


class Abouts:
    """What is said of runs, by the directory of each."""

    def __init__(self) -> None:
        self._known: dict[Path, About] = {}

    def of(self, directory: Path) -> About:
        """What is said of a run; nothing where its file cannot be read."""
        if directory not in self._known:
            self._known[directory] = _read(directory / FILE)
        return self._known[directory]

    def change(self, directory: Path, changes: Mapping[str, Any]) -> None:
        """Say something else of a run.

        Raises:
            ValueError: a text that is too long.
        """
        about = self.of(directory).replace(**changes)
        write_json_durably(directory / FILE, about.to_dict())
        self._known[directory] = about


def _read(path: Path) -> About:
    try:
        return About.from_dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return About()
    except (OSError, TypeError, ValueError) as error:
        logger.warning("%s cannot be read: %s", path, error)
        return About()


def method_of(job: str, config: Mapping[str, Any]) -> str:
    """The method of a run: what its options say, else the one whose values they are; or the job."""
    named = config.get("method")
    if isinstance(named, str) and named:
        return named
    fitting = [
        method
        for method in _methods(job)
        if all(
            config.get(name) == value for name, value in method.values.items() if name != "method"
        )
    ]
    if fitting:
        return max(fitting, key=lambda method: len(method.values)).name
    return job.replace("_", " ").capitalize()


def run_name(job: str, config: Mapping[str, Any], created: float) -> str:
    """Method and time, such as `WMPO, 29 Nov 16:28`."""
    moment = time.localtime(created)
    return f"{method_of(job, config)}, {moment.tm_mday} {time.strftime('%b %H:%M', moment)}"


@cache
def _methods(job: str) -> tuple[Method, ...]:
    try:
        return declared(job).methods
    except ValueError:  # of a version that had another job
        return ()
