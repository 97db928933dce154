"""Large libraries, loaded where a model is made: they take seconds, and a page should not wait."""

import threading
from importlib import import_module
from typing import Any

_LOADING = threading.RLock()  # their lazy modules break when two threads load them at once


def from_library(module: str, name: str) -> Any:
    """`from module import name`, by one thread at a time."""
    with _LOADING:
        return getattr(import_module(module), name)
