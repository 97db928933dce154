"""ZeroGPU: a Space whose GPU is lent for one call at a time, in a process of its own.

The one place that knows the package `spaces`, which only such a Space has. The app holds no GPU
there and computes on the CPU; the chunks of dreams are computed where the GPU is. What goes there
and back is pickled, and nothing else is shared.
"""

import os
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec

from app.live.dream_settings import DreamSettings
from app.live.models import Load, Models, load_checkpoint
from engine.device import VARIABLE
from engine.dream.draw import Draw
from engine.dream.tree import Node
from engine.protocols import ActionChunk

SECONDS = 60  # of the GPU for a chunk; the first one loads its models there
ON_THE_CPU = (
    "this Space lends its GPU for one call at a time: dreams use it, but a run in the background "
    "computes on the CPU"
)
Lend = Callable[..., Callable[..., object]]


def is_lent(environ: Mapping[str, str]) -> bool:
    """Whether a GPU is lent here, call by call."""
    said = environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
    return said and find_spec("spaces") is not None


def lent_gpu(environ: MutableMapping[str, str]) -> "LentGpu | None":
    """The GPU that is lent here, if one is; to be called before anybody asks torch for CUDA."""
    if not is_lent(environ):
        return None
    environ[VARIABLE] = "cpu"
    return LentGpu(import_module("spaces").GPU)


class LentGpu:
    """Computes the chunks of dreams in the process that has the GPU, with models of its own.

    Args:
        lend: makes a function run there: `spaces.GPU`.
    """

    def __init__(self, lend: Lend, *, load: Load = load_checkpoint) -> None:
        models = Models(load)  # nothing is ever loaded into them on this side

        def compute(
            grows: bool, settings: DreamSettings, nodes: Sequence[Node], draws: Sequence[Draw]
        ) -> list[Node] | ActionChunk:
            os.environ.pop(VARIABLE, None)
            dreamer = models.dreamer(settings)
            if not grows:
                return dreamer.propose(nodes, draws)
            return [replace(new, parent=None) for new in dreamer.grow(nodes, draws)]

        # One function: another would be lent a process, and load models, of its own.
        self._compute = lend(compute, duration=SECONDS)

    def grow(
        self, settings: DreamSettings, nodes: Sequence[Node], draws: Sequence[Draw]
    ) -> list[Node]:
        """As `Dreamer.grow`, with the models of some settings."""
        found = self._compute(True, settings, nodes, draws)
        assert isinstance(found, list)
        return [replace(new, parent=node) for new, node in zip(found, nodes, strict=True)]

    def propose(
        self, settings: DreamSettings, nodes: Sequence[Node], draws: Sequence[Draw]
    ) -> ActionChunk:
        """As `Dreamer.propose`, with the models of some settings."""
        found = self._compute(False, settings, nodes, draws)
        assert isinstance(found, ActionChunk)
        return found
