"""The loaded models of one dream and the tree of what they imagined."""

import hashlib
import json
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from app.live.dream_settings import DreamSettings
from app.live.models import Models
from app.live.reel import SeenChunk
from app.live.steering import Steering
from app.live.tree import Place, Tree
from app.player.media import encode
from engine.dream.replay import USUAL
from engine.dream.rollout import to_trajectory
from engine.dream.tree import Draw, Dreamer, Node
from engine.protocols import ActionChunk
from engine.records.episodes import latent_drift
from engine.records.types import Trajectory


class Imaginer:
    """Grows the tree of a dream; used on the imagination thread only, but for `tree`.

    Raises:
        ValueError: models that do not fit each other, the start or the task's judge.
    """

    def __init__(self, settings: DreamSettings, models: Models) -> None:
        self._settings = settings
        policy = models.get(settings.policy)
        world_model = models.get(settings.world_model)
        if settings.context != USUAL:
            world_model = world_model.with_context(settings.context)
        reward_model = models.get(settings.reward_model)
        own, chosen = reward_model.success_threshold, settings.threshold
        self._dreamer = Dreamer(
            policy,
            world_model,
            reward_model,
            rules=settings.task.judge,
            threshold=own if chosen is None else chosen,
            horizon=settings.horizon,
            row=(settings.start_id, settings.member),
        )
        self._normalization = policy.normalization
        self._placed = {
            checkpoint.role: placed
            for checkpoint in (settings.policy, settings.world_model, settings.reward_model)
            if (placed := models.placed(checkpoint))
        }
        start = self._dreamer.start(torch.from_numpy(settings.start.copy()), settings.seed)
        self.tree = Tree(start)

    @property
    def threshold(self) -> float:
        """The probability that counts as success."""
        return self._dreamer.threshold

    def propose(self, place: Place, draw: Draw) -> ActionChunk:
        """What the policy would do next at a place, a batch of one; asked once, then known."""
        known = self.tree.child(place.id, draw.changed({"overrides": ()}))
        if known is not None and known.node.chunk is not None:
            return known.node.chunk
        return self._dreamer.propose([place.node], [draw])

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
            (place.id, draw): place
            for place, draw in wanted
            if self.tree.child(place.id, draw) is None
        }
        numbers = self.tree.new_ids(len(fresh))
        if fresh:
            parents = [place.node for place in fresh.values()]
            nodes = self._dreamer.grow(parents, [draw for _, draw in fresh])
            for number, parent, node in zip(numbers, fresh.values(), nodes, strict=True):
                self.tree.add(
                    Place(
                        id=number,
                        parent=parent.id,
                        node=node,
                        seen=self._seen_chunk(number, node, vary, began),
                        final=self._dreamer.is_final(node),
                        vary=vary,
                    )
                )
        found = [self.tree.child(place.id, draw) for place, draw in wanted]
        return [place for place in found if place is not None]

    def steered(self, draw: Draw, steering: Steering) -> Draw:
        """A draw with a person's numbers in it."""
        settings = self._settings
        overrides = steering.overrides(
            self._normalization, settings.chunk_size, settings.task.action_dim
        )
        return draw.changed({"overrides": overrides})

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
        replay = settings.replay(draws, self.threshold)
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
