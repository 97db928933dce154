"""The taxonomy of failures: words offered while judging, in an order of their own."""

import json
from collections.abc import Sequence
from pathlib import Path

from engine.records.durable import write_json_durably

DEFAULT = (
    *("missed", "slipped", "stopped short", "pushed past"),
    *("collided", "wrong object", "no motion", "other"),
)


class FailureModes:
    """Names of failures, kept in a file; labels keep the words they were given."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[str]:
        """The names, in order.

        Raises:
            ValueError: the file was spoiled by hand.
        """
        if not self._path.exists():
            return list(DEFAULT)
        try:
            return [str(name) for name in json.loads(self._path.read_text())["modes"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self._path.name} holds no list of failure modes") from error

    def replace(self, names: Sequence[str]) -> None:
        """Keep other names durably."""
        write_json_durably(self._path, {"modes": list(names)})
