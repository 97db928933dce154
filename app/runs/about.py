"""What people say of a run: its name, a note, tags, whether lists leave it out.

It lies in the run's directory, so it survives the database and goes with a copy. One process
writes; what was read once is remembered, because pages list all runs at every poll.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import Config, knob
from engine.records.durable import write_json_durably

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
