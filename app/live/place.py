"""A place in the tree of a dream as the screen knows it: its number, who drove, how it ended."""

from dataclasses import dataclass
from typing import Any

from app.live.reel import SeenChunk
from engine.dream.tree import Node


@dataclass(frozen=True, kw_only=True)
class Place:
    """A node with its number; `vary` says how a branch that begins here differs from its twin.

    Attributes:
        seen: how the chunk appears on screens; None at the start.
        final: whether its path ends here, by success or at the horizon.
    """

    id: int
    parent: int | None
    node: Node
    seen: SeenChunk | None
    final: bool
    vary: str | None = None

    def record(self, *, leaf: bool, chunk_size: int) -> dict[str, Any]:
        """The place as plain JSON values."""
        chunk = self.seen
        success = chunk is not None and chunk.outcome.success
        return {
            "id": self.id,
            "parent": self.parent,
            "chunk": self.node.depth,
            "num_frames": 1 + self.node.depth * chunk_size,
            "driver": None if chunk is None else chunk.driver,
            "verdict": ("success" if success else "fail") if self.final else None,
            "end_step": chunk.outcome.end_step if chunk is not None and self.final else None,
            "probability": max(chunk.probabilities, default=None) if chunk is not None else None,
            "leaf": leaf,
            "vary": self.vary,
        }
