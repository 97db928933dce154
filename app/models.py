"""Loaded models by checkpoint hash. Used on the imagination thread only."""

from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from storage.checkpoints import Checkpoint


def load_checkpoint(directory: Path) -> Any:
    """The model of a checkpoint directory (`engine.loading.load`).

    The engine's model code drags in transformers and diffusers, which take seconds: it is
    imported at the first use, so that pages open at once.
    """
    return import_module("engine.loading").load(directory)


class Models:
    """Keeps the last few models in memory; a checkpoint that changed is another model."""

    def __init__(self, load: Callable[[Path], Any] = load_checkpoint, *, capacity: int = 6) -> None:
        self._load = load
        self._capacity = capacity
        self._models: OrderedDict[str, Any] = OrderedDict()

    def get(self, checkpoint: Checkpoint) -> Any:
        """The model of a checkpoint.

        Raises:
            ValueError: the checkpoint is gone, incomplete, changed, or does not fit its config.
        """
        if checkpoint.hash not in self._models:
            if not checkpoint.directory.is_dir():
                raise ValueError(f"the checkpoint {checkpoint.id} is not on the disk any more")
            self._models[checkpoint.hash] = self._load(checkpoint.directory)
            while len(self._models) > self._capacity:
                self._models.popitem(last=False)
        self._models.move_to_end(checkpoint.hash)
        return self._models[checkpoint.hash]
