"""The tree of a dream: what the loaded models imagined, as numbered places."""

import hashlib
import json
import threading
import time
from collections.abc import Sequence, Set
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from app.live.dream_settings import DreamSettings
from app.live.lent_gpu import LentGpu
from app.live.models import Models
from app.live.place import Place
from app.live.reel import SeenChunk
from app.live.steering import Steering
from app.player.media import encode
from engine.dream.draw import Draw
from engine.dream.rollout import to_trajectory
from engine.dream.tree import Node
from engine.protocols import ActionChunk
from engine.records.episodes import latent_drift
from engine.records.types import Trajectory

MAX_PLACES = 200  # frames, latents and pictures of a chunk take about a quarter of a megabyte


class Tree:
    """Places by number, the start being 0, and the models that imagine more of them.

    `propose`, `grow` and `nudged` run on the imagination thread only; the rest on any.

    Args:
        gpu: computes the chunks, where this process holds no GPU.

    Raises:
        ValueError: models that do not fit each other, the start or the task's judge.
    """

    def __init__(self, settings: DreamSettings, models: Models, gpu: LentGpu | None = None) -> None:
        self._settings = settings
        self._dreamer = dreamer = models.dreamer(settings)
        self._propose = partial(gpu.propose, settings) if gpu else dreamer.propose
        self._grow = partial(gpu.grow, settings) if gpu else dreamer.grow
        self._normalization = models.get(settings.policy).normalization
        self._placed = {
            checkpoint.role: placed
            for checkpoint in (settings.policy, settings.world_model, settings.reward_model)
            if (placed := models.placed(checkpoint))
        }
        frame = torch.from_numpy(settings.start.copy())
        row = (settings.start_id, settings.member)
        [start] = self._dreamer.start(frame[None], [row], settings.seed)
        self._lock = threading.Lock()
        self._places = {0: Place(id=0, parent=None, node=start, seen=None, final=False)}
        self._children: dict[int, dict[Draw, int]] = {0: {}}
        self._next = 1
        self._noises = 0

    @property
    def threshold(self) -> float:
        """The probability that counts as success."""
        return self._dreamer.threshold

    # Imagining

    def propose(self, place: Place, draw: Draw) -> ActionChunk:
        """What the policy would do next at a place, a batch of one; asked once, then known."""
        known = self.child(place.id, draw.changed({"overrides": ()}))
        if known is not None and known.node.chunk is not None:
            return known.node.chunk
        return self._propose([place.node], [draw])

    def grow(
        self, places: Sequence[Place], draws: Sequence[Draw], vary: str | None = None
    ) -> list[Place]:
        """The places that draws lead to; those not imagined before, in one batch.

        Args:
            vary: how the new places differ from their twins, where they begin a branch.

        Raises:
            ValueError: the tree is full.
        """
        began = time.monotonic()
        wanted = list(zip(places, draws, strict=True))
        fresh = {
            (place.id, draw): place for place, draw in wanted if self.child(place.id, draw) is None
        }
        if len(self._places) + len(fresh) > MAX_PLACES:
            raise ValueError(f"a dream can hold {MAX_PLACES} chunks in all its branches: undo some")
        if fresh:
            parents = [place.node for place in fresh.values()]
            nodes = self._grow(parents, [draw for _, draw in fresh])
            for parent, node in zip(fresh.values(), nodes, strict=True):
                self._add(parent, node, vary, began)
        found = [self.child(place.id, draw) for place, draw in wanted]
        return [place for place in found if place is not None]

    def nudged(
        self, place: Place, draw: Draw, dimension: int, amounts: Sequence[float]
    ) -> list[Draw]:
        """Draws of the policy's own actions but for one dimension, moved by raw amounts."""
        task = self._settings.task
        proposed = self.raw(self.propose(place, draw).actions[0].cpu().numpy())[:, dimension]
        draws = []
        for amount in amounts:
            moved = (proposed + amount).clip(task.action_low, task.action_high).tolist()
            table = {(step, dimension): number for step, number in enumerate(moved)}
            draws.append(self.steered(draw, Steering(mode="human", once=table)))
        return draws

    def steered(self, draw: Draw, steering: Steering) -> Draw:
        """A draw with a person's numbers in it."""
        settings = self._settings
        overrides = steering.overrides(
            self._normalization, settings.chunk_size, settings.task.action_dim
        )
        return draw.changed({"overrides": overrides})

    def raw(self, normalized: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Normalised actions [..., a] as the environment executes them."""
        task = self._settings.task
        raw: npt.NDArray[np.float32] = self._normalization.denormalize(normalized)
        return raw.clip(task.action_low, task.action_high)

    def trajectory(self, place: Place) -> Trajectory:
        """The path to a place as an episode; its id is a hash of its replay record."""
        settings = self._settings
        rollout = self._dreamer.rollout(place.node)
        draws = [node.draw for node in place.node.path if node.draw is not None]
        micro_batches = {
            "autoencoder": self._dreamer.world_model.micro_batch,
            "reward_model": self._dreamer.reward_model.micro_batch,
        }
        replay = settings.replay(draws, self.threshold, micro_batches)
        if self._placed:  # models that lie on the device in another way than usual
            replay["placed"] = self._placed
        digest = hashlib.sha256(json.dumps(replay, sort_keys=True).encode()).hexdigest()
        lineage = {name: replay[name] for name in ("policy", "world_model", "reward_model")}
        return to_trajectory(
            rollout,
            settings.task,
            settings.instruction,
            self._normalization,
            id=f"dream-{digest[:12]}-{len(rollout.normalized_actions)}",
            lineage=lineage | {"source": "dream", "created": time.time()},
            replay=replay,
        )

    # Finding

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

    def new_noises(self, count: int) -> range:
        """Numbers of variations that no branch of this dream has used."""
        with self._lock:
            self._noises += count
            return range(self._noises - count + 1, self._noises + 1)

    def _add(self, parent: Place, node: Node, vary: str | None, began: float) -> None:
        assert node.draw is not None
        number = self._next
        place = Place(
            id=number,
            parent=parent.id,
            node=node,
            seen=self._seen_chunk(number, node, vary, began),
            final=self._dreamer.is_final(node),
            vary=vary,
        )
        with self._lock:
            self._next += 1
            self._places[number] = place
            self._children[number] = {}
            self._children[parent.id][node.draw] = number

    def _seen_chunk(self, number: int, node: Node, vary: str | None, began: float) -> SeenChunk:
        assert node.chunk is not None and node.actions is not None and node.overridden is not None
        frames = [encode(frame) for frame in node.frames.cpu().numpy()]
        ends, probabilities, outcome = self._dreamer.windows(node)
        latents = torch.cat([node.path[0].latents[-1:], node.latents])
        drift = latent_drift(latents.float().cpu().numpy())[1:]
        return SeenChunk(
            frames=frames,
            ends=ends.tolist(),
            probabilities=[round(value, 4) for value in probabilities.tolist()],
            actions=self.raw(node.actions.cpu().numpy()).round(4).tolist(),
            entropy=node.chunk.entropy.mean().item(),
            outcome=outcome,
            pace=len(frames) / (time.monotonic() - began),
            node=number,
            driver="nudge" if vary == "nudge" else _driver(node.overridden),
            overridden=node.overridden.tolist(),
            drift=drift.round(4).tolist(),
        )


def _driver(overridden: torch.Tensor) -> str:
    if bool(overridden.all()):
        return "human"
    return "shared" if bool(overridden.any()) else "policy"
