"""The tree of a dream as the screen knows it: numbered places, who drove them, how they ended."""

import threading
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from app.live.reel import SeenChunk
from engine.dream.tree import Draw, Node

MAX_PLACES = 200  # frames, latents and pictures of a chunk take about a quarter of a megabyte


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


class Tree:
    """Places by number, the start being 0; safe to use from any thread."""

    def __init__(self, start: Node) -> None:
        self._lock = threading.Lock()
        self._places = {0: Place(id=0, parent=None, node=start, seen=None, final=False)}
        self._children: dict[int, dict[Draw, int]] = {0: {}}
        self._next = 1
        self._noises = 0

    def get(self, place_id: int) -> Place:
        """The place of a number.

        Raises:
            LookupError: there is none, or it was undone.
        """
        with self._lock:
            if place_id not in self._places:
                raise LookupError(f"this dream has no node {place_id}")
            return self._places[place_id]

    def child(self, parent: int, draw: Draw) -> Place | None:
        """The place that a draw leads to, if it was imagined already."""
        with self._lock:
            found = self._children[parent].get(draw)
            return None if found is None else self._places[found]

    def new_ids(self, count: int) -> range:
        """Numbers for the next places.

        Raises:
            ValueError: the tree is full.
        """
        with self._lock:
            if len(self._places) + count > MAX_PLACES:
                raise ValueError(
                    f"a dream can hold {MAX_PLACES} chunks in all its branches: undo some"
                )
            self._next += count
            return range(self._next - count, self._next)

    def new_noises(self, count: int) -> range:
        """Numbers of variations that no branch of this dream has used."""
        with self._lock:
            self._noises += count
            return range(self._noises - count + 1, self._noises + 1)

    def add(self, place: Place) -> None:
        """Put a new place below its parent."""
        assert place.parent is not None and place.node.draw is not None
        with self._lock:
            self._places[place.id] = place
            self._children[place.id] = {}
            self._children[place.parent][place.node.draw] = place.id

    def path(self, place_id: int) -> list[Place]:
        """The places from the start to a place.

        Raises:
            LookupError: there is no such place.
        """
        path = [self.get(place_id)]
        while (parent := path[-1].parent) is not None:
            path.append(self.get(parent))
        return path[::-1]

    def drop(self, place_id: int) -> None:
        """Forget a place, if it is still there, and everything below it; the start stays."""
        with self._lock:
            place = self._places.get(place_id)
            if place is None or place.parent is None or place.node.draw is None:
                return
            del self._children[place.parent][place.node.draw]
            doomed = [place_id]
            while doomed:
                gone = doomed.pop()
                doomed += self._children.pop(gone).values()
                del self._places[gone]

    def records(self, *, chunk_size: int, hidden: Set[int] = frozenset()) -> list[dict[str, Any]]:
        """Every place that is not hidden, by number."""
        with self._lock:
            return [
                place.record(
                    leaf=not set(self._children[place.id].values()) - hidden,
                    chunk_size=chunk_size,
                )
                for place in self._places.values()
                if place.id not in hidden
            ]
