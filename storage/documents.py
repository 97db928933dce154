"""Small JSON files of named values that people made: whole or absent, and the truth."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.records.durable import move_durably, write_json_durably
from engine.records.texts import check_unicode

logger = logging.getLogger(__name__)

Values = dict[str, Any]


class Document:
    """Values by name in one file.

    Args:
        first: the values of a studio that kept them elsewhere, before the file was there.
    """

    def __init__(self, path: Path, *, first: Callable[[], Values] = dict) -> None:
        self._path = path
        self._lock = threading.RLock()
        if path.exists():
            self._set_aside_if_spoiled()
        if not path.exists() and (values := first()):
            write_json_durably(path, values)

    def read(self) -> Values:
        """Every value by name; none while there is no file."""
        with self._lock:
            return _values(self._path) if self._path.exists() else {}

    def change(self, change: Callable[[Values], None]) -> Values:
        """Change the values and keep them durably; what they are then.

        Raises:
            ValueError: a value is no plain JSON, or `change` refuses.
            OSError: the disk is full: nothing was changed.
        """
        with self._lock:
            values = self.read()
            change(values)
            write_json_durably(self._path, values)
            return values

    def _set_aside_if_spoiled(self) -> None:
        try:
            _values(self._path)
        except ValueError as error:
            spoiled = self._path.with_name(f"{self._path.name}.spoiled-{int(time.time())}")
            logger.error("%s cannot be read (%s): it is kept as %s", self._path, error, spoiled)
            move_durably(self._path, spoiled)


def _values(path: Path) -> Values:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(values, Mapping):
        raise ValueError("it holds no object")
    check_unicode(values)
    return dict(values)
