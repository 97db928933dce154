"""One dream: a tree of chunks, a place in it, and the reel that shows the way there."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypedDict

import numpy as np

from app.live.dream_settings import DreamSettings
from app.live.lent_gpu import LentGpu
from app.live.models import Models
from app.live.place import Place
from app.live.reel import Reel
from app.live.steering import Steering
from app.live.tree import Tree
from app.player.media import encode
from engine.dream.draw import Draw
from engine.dream.replay import FIELDS
from engine.records.types import Trajectory

VARIATIONS = ("policy", "world", "nudge")
END = "this dream ends here: rewind, branch from an earlier node, or reset it"


class Readout(TypedDict):
    """Who drives a dream, and with which settings its next chunk will be drawn."""

    dims: list[str]
    last_window_counts: bool
    settings: dict[str, Any]
    steering: dict[str, Any]


class Dream:
    """What a policy and a person imagine chunk by chunk while people watch frame by frame.

    Its methods run on the imagination thread only; `reel`, `path`, `records` and `readout` may be
    used from any thread.
    """

    def __init__(
        self,
        settings: DreamSettings,
        models: Models,
        *,
        gpu: LentGpu | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._start = encode(settings.start)
        self._clock = clock
        self.reel = self._new_reel()
        self._models, self._gpu = models, gpu
        self._tree: Tree | None = None
        self._epoch = self.reel.epoch
        self._tip = 0
        self._ahead: set[int] = set()  # chunks imagined before anybody saw them
        self._draw = settings.draw
        self._steering = Steering()

    # Moving on

    def wake(self) -> None:
        """Load the models and encode the start, so that the first chunk comes sooner.

        Raises:
            ValueError: models that do not fit each other, the start or the task's judge.
        """
        self._awake()

    def advance(self) -> None:
        """Imagine, judge and encode the next chunk, or show the one that the same draw gave
        before; the first time, wake the models.

        Raises:
            ValueError: as `wake`, or the tree is full.
        """
        tree, here = self._awake(), self._here()
        if here.final:
            return
        [place] = tree.grow([here], [self._next_draw(here)])
        self._steering = self._steering.spent()
        self._tip = place.id
        self._ahead.add(place.id)
        assert place.seen is not None
        self.reel.append(self._epoch, place.seen)

    def foresee(self) -> None:
        """Imagine what the policy will do next before anybody asks, so that it then shows at once.

        Not where a person steers: they would wait for a chunk that nobody will see.
        """
        tree, here = self._awake(), self._here()
        if self._steering.mode == "human" or here.final or here.id != self._seen().id:
            return
        [place] = tree.grow([here], [self._next_draw(here)])
        self._ahead.add(place.id)

    def play(self, draw: Draw) -> None:
        """One more chunk by a given draw, as a replay does; `select` shows it."""
        [place] = self._awake().grow([self._here()], [draw])
        self._tip = place.id

    # Moving elsewhere

    def select(self, node: int | None = None) -> None:
        """Make a node (by default the last one played) the place to go on from; paused there.

        Raises:
            LookupError: no such node.
        """
        path = self._awake().path(self._tip if node is None else node)
        self._tip = path[-1].id
        self._epoch = self.reel.load([place.seen for place in path if place.seen is not None])

    def undo(self) -> None:
        """Go back by one chunk and forget it, with all that was imagined after it.

        Raises:
            ValueError: there is nothing to undo.
        """
        here = self._trim()
        if here.parent is None:
            raise ValueError("this is the start of the dream: there is nothing to undo")
        self.select(here.parent)
        self._awake().drop(here.id)

    def rest(self, hashes: Collection[str]) -> None:
        """Let go of the models, and of what they imagined, if one is among some hashes.

        A reset wakes them again.
        """
        models = (self.settings.policy, self.settings.world_model, self.settings.reward_model)
        if self._tree is not None and any(model.hash in hashes for model in models):
            self._tree, self._tip = None, 0
            self._ahead.clear()
            self.reel.fail(self.reel.epoch, "its models were unloaded: reset it to dream again")

    # Changing what comes next

    def change(self, changes: Mapping[str, Any]) -> None:
        """Other instruction, temperature, denoising steps or seed from the next chunk on."""
        self._trim()
        self._draw = self._draw.changed(changes)

    def steer(self, values: Mapping[str, Any]) -> None:
        """`app.live.steering.Steering.steered`, from the next chunk on."""
        task, chunk_size = self.settings.task, self.settings.chunk_size
        steering = self._steering.steered(values, task, chunk_size)
        self._trim()
        self._steering = steering

    def propose(self) -> dict[str, Any]:
        """What the policy would do next, and what would be executed; nothing moves.

        Raises:
            ValueError: the dream ends here.
        """
        tree, here = self._awake(), self._seen()
        if here.final:
            raise ValueError(END)
        draw = self._next_draw(here)
        chunk = tree.propose(here, draw)
        proposed = chunk.actions[0].cpu().numpy()
        numbers = np.full_like(proposed, np.nan)
        if draw.overrides:
            numbers[:] = np.array(draw.overrides, dtype=np.float32)  # None becomes NaN
        executed = np.where(np.isnan(numbers), proposed, numbers)
        unit = np.ones_like(proposed[0])
        return {
            "node": here.id,
            "dims": list(self.settings.task.dimension_names),
            "actions": tree.raw(proposed).round(4).tolist(),
            "normalized": proposed.round(4).tolist(),
            "entropy": round(chunk.entropy.mean().item(), 4),
            "entropies": chunk.entropy.cpu().numpy().reshape(proposed.shape).round(4).tolist(),
            "executed": tree.raw(executed).round(4).tolist(),
            "overridden": (~np.isnan(numbers)).tolist(),
            "low": tree.raw(-unit).round(4).tolist(),
            "high": tree.raw(unit).round(4).tolist(),
        }

    # Branching

    def begin_branch(
        self, node: int, vary: str, *, dimension: int, amount: float, count: int
    ) -> list[int]:
        """The first chunk of `count` futures of a node, imagined in one batch; their numbers.

        A varied noise stays with a branch to its end; the other noise is its twin's. Several
        nudges are spread evenly from -amount to amount.

        Raises:
            ValueError: the dream ends at the node, or nothing would vary.
            LookupError: no such node.
        """
        tree = self._awake()
        self._trim()
        place = tree.get(node)
        if place.final:
            raise ValueError(f"node {node} is the end of its branch: choose an earlier one")
        if vary == "policy" and self._draw.temperature == 0.0:
            raise ValueError(
                "at temperature 0 the policy does not draw: raise it to vary its noise"
            )
        draw = self._draw_after(place)
        if vary == "nudge":
            amounts = np.linspace(-amount, amount, count).tolist() if count > 1 else [amount]
            draws = tree.nudged(place, draw, dimension, amounts)
        else:
            name = {"policy": "policy_noise", "world": "world_noise"}[vary]
            fresh = tree.new_noises(count)
            draws = [draw.changed({name: noise}) for noise in fresh]
        return [found.id for found in tree.grow([place] * len(draws), draws, vary=vary)]

    def extend_branches(self, nodes: Sequence[int]) -> list[int]:
        """One more chunk for each branch that has not ended, in one batch; the new leaves."""
        tree = self._awake()
        places = [tree.get(node) for node in nodes]
        going = [place for place in places if not place.final]
        if not going:
            return list(nodes)
        grown = iter(tree.grow(going, [self._draw_after(place) for place in going]))
        return [place.id if place.final else next(grown).id for place in places]

    # Keeping and looking

    def trajectory(self, node: int | None = None) -> Trajectory:
        """The path to a node, by default that of the chunks that viewers have seen, as an episode.

        Its id is a hash of the replay record: the same dream saved twice is one episode.

        Raises:
            ValueError: nothing was imagined yet.
            LookupError: no such node.
        """
        tree = self._awake()
        place = self._seen() if node is None else tree.get(node)
        if place.parent is None:
            raise ValueError("nothing was imagined yet: run the dream before saving it")
        return tree.trajectory(place)

    def path(self, node: int) -> Reel:
        """The path to a node, all of it seen, without going there.

        Raises:
            LookupError: no such node.
        """
        if self._tree is None:
            raise LookupError(f"this dream has no node {node}")
        path = self._tree.path(node)
        reel = self._new_reel()
        reel.set_threshold(self._tree.threshold)
        reel.load([place.seen for place in path if place.seen is not None])
        return reel

    def records(self) -> list[dict[str, Any]]:
        """The tree, without chunks that nobody has seen yet."""
        if self._tree is None:
            return []
        hidden = self._ahead - self.reel.seen_nodes
        return self._tree.records(chunk_size=self.settings.chunk_size, hidden=hidden)

    def readout(self) -> Readout:
        """Who drives, and with which settings the next chunk will be drawn."""
        draw = asdict(self._draw)
        return {
            "dims": list(self.settings.task.dimension_names),
            "last_window_counts": self.settings.task.judge.last_window_counts,
            "settings": {name: draw[name] for name in FIELDS},
            "steering": self._steering.record(self.settings.task),
        }

    def _awake(self) -> Tree:
        if self._tree is None:
            self._tree = Tree(self.settings, self._models, self._gpu)
            self.reel.set_threshold(self._tree.threshold)
        return self._tree

    def _here(self) -> Place:
        """The last place imagined on the way; the start after a reset."""
        epoch = self.reel.epoch
        if epoch != self._epoch:
            self._tip, self._epoch = 0, epoch
        return self._awake().get(self._tip)

    def _seen(self) -> Place:
        """The last place on the way of which viewers have seen something."""
        path = self._awake().path(self._here().id)
        epoch, chunks = self.reel.seen_chunks
        return path[min(chunks, len(path) - 1) if epoch == self._epoch else 0]

    def _trim(self) -> Place:
        """`_seen`, with what was imagined ahead of the viewers thrown away."""
        seen = self._seen()
        self.reel.trim()
        self._tip = seen.id
        for node in self._ahead - self.reel.seen_nodes:
            self._awake().drop(node)
        self._ahead.clear()
        return seen

    def _draw_after(self, place: Place) -> Draw:
        """What the policy alone would do after a place: noises go on as they were."""
        before = place.node.draw
        if before is None:
            return self._draw
        return replace(self._draw, policy_noise=before.policy_noise, world_noise=before.world_noise)

    def _next_draw(self, place: Place) -> Draw:
        return self._awake().steered(self._draw_after(place), self._steering)

    def _new_reel(self) -> Reel:
        return Reel(
            self._start,
            horizon=self.settings.horizon,
            chunk_size=self.settings.chunk_size,
            threshold=self.settings.threshold
            or self.settings.reward_model.config.get("success_threshold"),
            clock=self._clock,
        )
