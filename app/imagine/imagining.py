"""Imagine's use cases: what a browser asks of a dream, checked and answered as plain JSON."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from app.access import Access
from app.imagine.permalinks import (
    frames_hash,
    read_context,
    read_draws,
    read_micro_batch,
    read_origin,
    read_token,
    token,
)
from app.imagine.questions import (
    ActDream,
    BranchDream,
    ChangeDream,
    DreamThreshold,
    Linked,
    OneDream,
    OpenDream,
    PathOf,
    PullDream,
    Replay,
    SelectNode,
    SteerDream,
)
from app.imagine.starts import Starts
from app.live.dream_settings import DreamSettings
from app.live.dreams import Dreams, View
from app.models.catalogue import Together, task_of, together
from app.web.checks import check_integer, check_number, check_text
from engine.dream.replay import Origin, start_hash
from engine.records.tasks import Task, get_task
from engine.records.types import Trajectory
from storage.cabinet import Cabinet
from storage.checkpoints.catalogue import Checkpoint

REQUIRED = ("policy", "world_model", "reward_model")
CHANGES = ("instruction", "seed", "denoising_steps", "temperature")
IMAGINE_SECONDS = 300.0


class DreamView(View):
    """A dream by its id, as its viewers see it."""

    dream: str


class Imagining:
    """Dreams by id; unknown ids are `LookupError`s, all else that is wrong a `ValueError`."""

    def __init__(self, cabinet: Cabinet, dreams: Dreams, starts: Starts, *, access: Access) -> None:
        self._cabinet = cabinet
        self._dreams = dreams
        self._starts = starts
        self._access = access

    def open(self, question: OpenDream) -> dict[str, str]:
        """{dream}: the id of a live rollout, paused at its start."""
        return {"dream": self._dreams.open(self.settings(question))}

    def pull(self, question: PullDream) -> DreamView:
        """What to show; never waits.

        `frames` begin at number `first`: at `after`, or at 0 where the dream jumped elsewhere since
        the viewer's `epoch`. With `node` it is the path to that node, without going there.
        """
        dream_id, after = question.dream, question.after
        if question.node is None:
            return {"dream": dream_id, **self._dreams.pull(dream_id, after, question.epoch)}
        dream = self._dreams.get(dream_id)
        dream.reel.touch()
        path = dream.path(question.node)
        return {"dream": dream_id, **path.pull(after), **dream.readout()}

    def act(self, question: ActDream) -> DreamView:
        """What `pull` gives, the next chunk in it."""
        return self._act(question, question.action)

    def change(self, question: ChangeDream) -> dict[str, Any]:
        """Other settings from the next chunk on."""
        dream = self._dreams.get(question.dream)
        values, task = question.to_dict(), dream.settings.task
        given = {name: values[name] for name in CHANGES if values[name] is not None}
        self._dreams.call(dream.change, {name: self._knob(name, given, task) for name in given})
        return {"dream": question.dream, **dream.readout()}

    def propose(self, question: OneDream) -> dict[str, Any]:
        """The policy's next chunk before it is executed, and what would be executed.

        {node, dims, actions [k][a] raw, normalized, entropy, entropies [k][a], executed,
        overridden, low [a], high [a]}, low and high being the raw numbers that can be reached.
        """
        dream = self._dreams.get(question.dream)
        dream.reel.touch()
        return {"dream": question.dream} | self._dreams.call(dream.propose)

    def steer(self, question: SteerDream) -> Mapping[str, Any]:
        """Who drives now; with `step` the chunk is executed, and the answer is that of `act`."""
        dream = self._dreams.get(question.dream)
        self._dreams.call(dream.steer, question.to_dict())
        if question.step:
            return self._act(question, "chunk")
        return {"dream": question.dream, **dream.readout()}

    def branch(self, question: BranchDream) -> dict[str, Any]:
        """{branches, leaves}, node numbers.

        `count` futures that differ from the node's own by the policy's noise (policy), the world
        model's (world), or a raw amount in one dimension (nudge), imagined to their ends.
        """
        dream_id, vary = question.dream, question.vary
        task = self._dreams.get(dream_id).settings.task
        dimension, amount = 0, 0.0
        if vary == "nudge":
            dimension = _dimension(question.dimension, task)
            span = task.action_high - task.action_low
            amount = check_number("amount", question.amount, -span, span)
        first, leaves = self._dreams.branch(
            dream_id,
            question.node,
            vary,
            dimension=dimension,
            amount=amount,
            count=question.count,
        )
        return {"dream": dream_id, "branches": first, "leaves": leaves}

    def select(self, question: SelectNode) -> DreamView:
        """What `pull` gives at a node, paused, with every frame."""
        self._dreams.call(self._dreams.get(question.dream).select, question.node)
        return self.pull(PullDream(dream=question.dream))

    def tree(self, question: OneDream) -> dict[str, Any]:
        """{current, nodes: `app.live.place.Place.record`}; node 0 is the start."""
        dream = self._dreams.get(question.dream)
        current = dream.reel.pull(0)["node"]
        return {"dream": question.dream, "current": current, "nodes": dream.records()}

    def trajectory(self, question: PathOf) -> Trajectory:
        """A path as an episode, not stored yet."""
        return self._dreams.call(self._dreams.get(question.dream).trajectory, question.node)

    def save(self, question: PathOf) -> dict[str, str]:
        """Keep a path as an episode: {episode}; the same path twice gives the same id."""
        episode = self.trajectory(question)
        if not self._cabinet.trajectories.find_all([episode.id]):
            self._access.spend("saved episodes")
        return {"episode": self._cabinet.trajectories.add(episode)}

    def finish(self, question: OpenDream) -> str:
        """Imagine a new dream to its end; its id."""
        dream = self.open(question)["dream"]
        try:
            self._dreams.complete(dream, seconds=IMAGINE_SECONDS)
        except BaseException:
            self._dreams.forget(dream)  # nobody knows its id
            raise
        return dream

    def forget(self, question: OneDream) -> None:
        """Make room: who began this dream does not want to see it."""
        with suppress(LookupError):
            self._dreams.get(question.dream)
            self._dreams.forget(question.dream)

    def imagine(self, question: OpenDream) -> str:
        """Imagine an episode to its end and store it; its id."""
        dream = self.finish(question)
        try:
            return self.save(PathOf(dream=dream))["episode"]
        finally:
            self._dreams.forget(dream)  # nobody looks at it again

    def save_threshold(self, question: DreamThreshold) -> dict[str, float]:
        """{threshold}: it counts for the dream's reward model, in new dreams and new runs."""
        model = self._dreams.get(question.dream).settings.reward_model
        saved = self._cabinet.thresholds.save(
            model.hash, question.threshold, note="set under a dream", measures={}
        )
        return {"threshold": saved.threshold}

    def permalink(self, question: Linked) -> dict[str, Any]:
        """{token}, from which `replay` imagines it again."""
        if (question.episode is None) == (question.dream is None):
            raise ValueError("a link needs a dream or an episode")
        if question.dream is not None:
            episode = self.trajectory(PathOf(dream=question.dream, node=question.node))
        else:
            episode = self._cabinet.trajectories.get(question.episode or "")
        link = token(episode)
        if self._starts.by_hash(start_hash(episode.frames[0])) is None:
            self._starts.keep(episode.frames[0])
        return {"token": link}

    def replay(self, question: Replay) -> dict[str, Any]:
        """{dream, node, exact}: the dream, imagined again and paused at its end."""
        record = read_token(question.token)
        chosen = [self._by_hash(role, record[role]) for role in REQUIRED]
        common = together(*chosen)
        chunk_size = common.chunk_size
        task = get_task(str(record["task"]))
        origin = read_origin(record.get("origin"))
        settings = DreamSettings(
            policy=chosen[0],
            world_model=chosen[1],
            reward_model=chosen[2],
            task=task,
            start=self._recorded_start(record, task, origin, common),
            start_id=check_integer("start_id", record["start_id"], -(2**53), 2**31),
            member=check_integer("member", record["member"], 0, 2**31),
            horizon=_whole_chunks(record["horizon"], task, chunk_size),
            chunk_size=chunk_size,
            origin=origin,
            threshold=_threshold(record.get("threshold")),
            context=read_context(record.get("context")),
            micro_batch=read_micro_batch(record.get("micro_batches")),
            **{name: self._knob(name, record, task) for name in CHANGES},
        )
        draws = read_draws(
            settings.draw, record["draws"], chunk_size=chunk_size, action_dim=task.action_dim
        )
        check_integer("the number of chunks", len(draws), 1, settings.horizon // chunk_size)
        for draw in draws:
            check_integer(
                "denoising_steps", draw.denoising_steps, 1, self._access.limits.denoising_steps
            )
        dream_id = self._dreams.replay(settings, draws)
        again = frames_hash(self.trajectory(PathOf(dream=dream_id)))
        node = self._dreams.get(dream_id).reel.pull(0)["node"]
        return {"dream": dream_id, "node": node, "exact": again == record.get("frames")}

    def settings(self, question: OpenDream) -> DreamSettings:
        """Settings of a new dream, with the task's where some are missing."""
        get, values = self._cabinet.checkpoints.get, question.to_dict()
        chosen = [get(values[role]) for role in REQUIRED]
        common = together(*chosen)
        chunk_size = common.chunk_size
        task = task_of(chosen, self._starts.task)
        task, start_id, start, origin = self._start(question, task, common)
        current = self._cabinet.thresholds.current(chosen[2].hash)
        return DreamSettings(
            policy=chosen[0],
            world_model=chosen[1],
            reward_model=chosen[2],
            task=task,
            start=start,
            start_id=start_id,
            horizon=_whole_chunks(question.horizon, task, chunk_size),
            chunk_size=chunk_size,
            origin=origin,
            threshold=None if current is None else current.threshold,
            micro_batch=chunk_size,
            **{name: self._knob(name, values, task) for name in CHANGES},
        )

    def _act(self, question: ActDream | SteerDream, action: str) -> DreamView:
        answer = self._dreams.act(question.dream, action, question.after, question.epoch)
        return {"dream": question.dream, **answer}

    def _knob(self, name: str, values: Mapping[str, Any], task: Task) -> Any:
        match name:
            case "instruction":
                text = check_text("instruction", values.get("instruction") or "", 200)
                return text or task.instruction
            case "seed":
                return check_integer("seed", values.get("seed", 0), 0, 2**53)
            case "denoising_steps":
                steps = values.get("denoising_steps", 4)
                return check_integer(
                    "denoising_steps", steps, 1, self._access.limits.denoising_steps
                )
            case _:
                return check_number("temperature", values.get("temperature", 1.0), 0.0, 5.0)

    def _by_hash(self, role: str, digest: object) -> Checkpoint:
        words = role.replace("_", " ")
        if digest is None:
            raise ValueError(f"the {words} of this dream was not kept as a checkpoint")
        try:
            return self._cabinet.checkpoints.by_hash(str(digest))
        except LookupError as error:
            raise ValueError(
                f"the {words} of this dream, checkpoint {str(digest)[:8]}, is not in this studio: "
                "register it first"
            ) from error

    def _recorded_start(
        self, record: Mapping[str, Any], task: Task, origin: Origin | None, common: Together
    ) -> npt.NDArray[np.uint8]:
        """The very frame that a replay record names by its hash."""
        digest = str(record["start_sha256"])
        kept = self._starts.by_hash(digest)
        if kept is not None:
            return kept
        if origin is not None:
            try:
                frame = self._cabinet.trajectories.get(origin.episode).frames[origin.frame]
            except (LookupError, ValueError) as error:
                raise ValueError(
                    f"this dream starts from a frame of {origin.episode}, which is not here"
                ) from error
        else:
            start_id = check_integer("start_id", record["start_id"], -(2**53), 2**31)
            frame = self._starts.frame(task, start_id, common.image_size)
        if start_hash(frame) != digest:
            raise ValueError(
                "the start frame of this dream looks different here, so it would not come out the "
                "same"
            )
        return frame

    def _start(
        self, question: OpenDream, task: Task, common: Together
    ) -> tuple[Task, int, npt.NDArray[np.uint8], Origin | None]:
        """(task, start id, first frame, origin) of the settings of a new dream.

        `task` is that of the models; a dream from a stored episode goes on with the episode's.
        """
        source, start_id = question.from_, question.start_id
        if source is None:
            if start_id is None:
                raise ValueError("start_id is missing: choose a start, or upload an image")
            return task, start_id, self._starts.frame(task, start_id, common.image_size), None
        episode = self._cabinet.trajectories.get(source.episode)
        number = check_integer("frame", source.frame, 0, len(episode.frames) - 1)
        frame, origin = episode.frames[number], Origin(episode.id, number)
        if number == 0 and episode.start_id >= 0:
            return get_task(episode.task), episode.start_id, frame, origin
        return get_task(episode.task), self._starts.keep(frame), frame, origin


def _threshold(value: object) -> float | None:
    return None if value is None else check_number("threshold", value, 0.0, 1.0)


def _dimension(value: object, task: Task) -> int:
    names = task.dimension_names
    if isinstance(value, str) and value in names:
        return names.index(value)
    if isinstance(value, int) and 0 <= value < len(names):
        return value
    raise ValueError(f"dimension must be one of {', '.join(names)}, not {value!r}")


def _whole_chunks(horizon: object, task: Task, chunk_size: int) -> int:
    most = task.horizon // chunk_size * chunk_size
    value = most if horizon is None else check_integer("horizon", horizon, 1, most)
    if value % chunk_size:
        raise ValueError(f"horizon {value} is not a multiple of the chunk size {chunk_size}")
    return value
