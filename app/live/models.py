"""Loaded models by checkpoint hash. Used on the imagination thread only, except `loaded`."""

import dataclasses
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from app.live.dream_settings import DreamSettings
from engine.device import Placement, choose_device, default_placement, device_memory
from engine.dream.replay import USUAL
from engine.dream.tree import Dreamer
from storage.checkpoints.catalogue import Checkpoint

Load = Callable[[Path, Placement | None], Any]


def load_checkpoint(directory: Path, placement: Placement | None = None) -> Any:
    """The model of a checkpoint directory, placed as this machine's device wants it or as asked.

    The engine's model code drags in transformers and diffusers, which take seconds: it is
    imported at the first use, so that pages open at once.

    Raises:
        ValueError: its weights alone do not fit the device, or it cannot be loaded.
    """
    from engine.loading.models import load
    from engine.memory.planner import check_room, config_of

    device = choose_device()
    placement = placement or default_placement(device)
    if (directory / "config.json").is_file():  # the rest of the directory is checked while loading
        config = config_of(json.loads((directory / "config.json").read_text()))
        check_room(config, device_memory(device), placement)
    return load(directory, placement)


class Models:
    """Keeps the last few models in memory; a checkpoint that changed is another model."""

    def __init__(self, load: Load = load_checkpoint, *, capacity: int = 6) -> None:
        self._load = load
        self._capacity = capacity
        self._models: OrderedDict[str, Any] = OrderedDict()
        self._loaded: dict[str, tuple[Checkpoint, Placement | None]] = {}

    @property
    def loaded(self) -> list[Checkpoint]:
        """The checkpoints in memory; from any thread."""
        return [checkpoint for checkpoint, _ in self._loaded.values()]

    def get(self, checkpoint: Checkpoint, placement: Placement | None = None) -> Any:
        """The model of a checkpoint; a placement matters only if it is not loaded yet.

        Raises:
            ValueError: the checkpoint is gone, incomplete, changed, does not fit its config or the
                device.
        """
        if checkpoint.hash not in self._models:
            if not checkpoint.directory.is_dir():
                raise ValueError(f"the checkpoint {checkpoint.id} is not on the disk any more")
            self._models[checkpoint.hash] = self._load(checkpoint.directory, placement)
            self._loaded = self._loaded | {checkpoint.hash: (checkpoint, placement)}
            self.drop(list(self._models)[: -self._capacity])
        self._models.move_to_end(checkpoint.hash)
        return self._models[checkpoint.hash]

    def dreamer(self, settings: DreamSettings) -> Dreamer:
        """The three models of some settings, ready to dream.

        Raises:
            ValueError: as `get`, or models that do not fit each other or the task's judge.
        """
        policy, world_model = self.get(settings.policy), self.get(settings.world_model)
        frames = min(settings.micro_batch, world_model.micro_batch)  # a placement may allow fewer
        if settings.context != USUAL or frames:
            world_model = world_model.with_context(settings.context, frames)
        reward_model = self.get(settings.reward_model)
        own, chosen = reward_model.success_threshold, settings.threshold
        return Dreamer(
            policy,
            world_model,
            reward_model,
            rules=settings.task.judge,
            threshold=own if chosen is None else chosen,
            horizon=settings.horizon,
        )

    def placed(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """How a loaded model lies on its device, where that is not the machine's usual way."""
        _, placement = self._loaded.get(checkpoint.hash, (checkpoint, None))
        return dataclasses.asdict(placement) if placement else {}

    def drop(self, hashes: Iterable[str]) -> None:
        """Forget some models."""
        leaving = set(hashes)
        for digest in leaving:
            self._models.pop(digest, None)
        # A new dictionary, so that other threads never see one change under them.
        self._loaded = {d: entry for d, entry in self._loaded.items() if d not in leaving}
