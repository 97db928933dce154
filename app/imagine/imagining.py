"""Imagine's use cases: what a browser asks of a dream, checked and answered as plain JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from app.access import Limits
from app.imagine.permalinks import (
    frames_hash,
    read_context,
    read_draws,
    read_origin,
    read_token,
    token,
)
from app.imagine.starts import Starts
from app.live.dream import VARIATIONS
from app.live.dream_settings import DreamSettings
from app.live.dreams import Dreams
from app.models.catalogue import Together, task_of, together
from app.web.checks import (
    check_choice,
    check_flag,
    check_integer,
    check_names,
    check_number,
    check_text,
)
from engine.dream.replay import Origin, start_hash
from engine.records.tasks import Task, get_task
from engine.records.types import Trajectory
from storage.cabinet import Cabinet
from storage.checkpoints.catalogue import Checkpoint

REQUIRED = ("policy", "world_model", "reward_model")
OPTIONAL = (
    *("start_id", "from", "instruction", "seed", "denoising_steps", "temperature", "horizon"),
)
CHANGES = ("instruction", "seed", "denoising_steps", "temperature")
MAX_FUTURES = 8
IMAGINE_SECONDS = 300.0
ACTIONS = ("run", "pause", "frame", "chunk", "reset", "undo")


class Imagining:
    """Dreams by id; unknown ids are `LookupError`s, all else that is wrong a `ValueError`."""

    def __init__(self, cabinet: Cabinet, dreams: Dreams, starts: Starts, *, limits: Limits) -> None:
        self._cabinet = cabinet
        self._dreams = dreams
        self._starts = starts
        self._max_steps = limits.denoising_steps

    def open(self, settings: object) -> str:
        """A live rollout, paused at its start; its id.

        Settings: policy, world_model, reward_model (checkpoint ids), start_id or
        from {episode, frame?}, and instruction, seed, denoising_steps, temperature, horizon, which
        are the task's where they are missing.
        """
        return self._dreams.open(self.settings(settings))

    def pull(self, query: object) -> dict[str, Any]:
        """{dream, after?, epoch?, node?} -> what to show; never waits.

        `frames` begin at number `first`: at `after`, or at 0 where the dream jumped elsewhere since
        the viewer's `epoch`. With `node` it is the path to that node, without going there.
        """
        values = check_names(
            query, allowed=("dream", "after", "epoch", "node"), required=("dream",)
        )
        dream_id = str(values["dream"])
        after, epoch = _cursor(values)
        if values.get("node") is None:
            return {"dream": dream_id} | self._dreams.pull(dream_id, after, epoch)
        dream = self._dreams.get(dream_id)
        dream.reel.touch()
        path = dream.path(check_integer("node", values["node"], 0, 2**31))
        return {"dream": dream_id} | path.pull(after) | dream.readout()

    def act(self, query: object) -> dict[str, Any]:
        """{dream, action, after?, epoch?} -> what `pull` gives, the next chunk in it.

        run, pause, frame, chunk, reset, or undo: forget the last chunk and what came after it.
        """
        values = check_names(
            query,
            allowed=("dream", "action", "after", "epoch"),
            required=("dream", "action"),
        )
        return self._act(values, check_choice("action", values["action"], ACTIONS))

    def change(self, query: object) -> dict[str, Any]:
        """{dream, instruction?, temperature?, denoising_steps?, seed?} from the next chunk on."""
        values = check_names(query, allowed=("dream", *CHANGES), required=("dream",))
        dream = self._dreams.get(str(values["dream"]))
        task = dream.settings.task
        given = {name: values[name] for name in CHANGES if values.get(name) is not None}
        self._dreams.call(dream.change, {name: self._knob(name, given, task) for name in given})
        return {"dream": values["dream"]} | dream.readout()

    def propose(self, query: object) -> dict[str, Any]:
        """{dream} -> the policy's next chunk before it is executed, and what would be executed.

        {node, dims, actions [k][a] raw, normalized, entropy, entropies [k][a], executed,
        overridden, low [a], high [a]}, low and high being the raw numbers that can be reached.
        """
        values = check_names(query, allowed=("dream",), required=("dream",))
        dream = self._dreams.get(str(values["dream"]))
        dream.reel.touch()
        return {"dream": values["dream"]} | self._dreams.call(dream.propose)

    def steer(self, query: object) -> dict[str, Any]:
        """{dream, mode, actions?, hold?, gripper?, step?, after?, epoch?} -> who drives now.

        `app.live.steering.Steering.steered` says what the numbers mean. With `step` the chunk is
        executed, and the answer is that of `act`.
        """
        values = check_names(
            query,
            allowed=(*("dream", "mode", "actions", "hold", "gripper", "step", "after", "epoch"),),
            required=("dream", "mode"),
        )
        dream = self._dreams.get(str(values["dream"]))
        self._dreams.call(dream.steer, values)
        if check_flag("step", values.get("step", False)):
            return self._act(values, "chunk")
        return {"dream": values["dream"]} | dream.readout()

    def branch(self, query: object) -> dict[str, Any]:
        """{dream, node, vary, dimension?, amount?, count?} -> {branches, leaves}, node numbers.

        `count` futures that differ from the node's own by the policy's noise (policy), the world
        model's (world), or a raw amount in one dimension (nudge), imagined to their ends.
        """
        values = check_names(
            query,
            allowed=("dream", "node", "vary", "dimension", "amount", "count"),
            required=("dream", "node", "vary"),
        )
        vary = check_choice("vary", values["vary"], VARIATIONS)
        dream_id = str(values["dream"])
        task = self._dreams.get(dream_id).settings.task
        dimension, amount = 0, 0.0
        if vary == "nudge":
            dimension = _dimension(values.get("dimension"), task)
            span = task.action_high - task.action_low
            amount = check_number("amount", values.get("amount"), -span, span)
        first, leaves = self._dreams.branch(
            dream_id,
            check_integer("node", values["node"], 0, 2**31),
            vary,
            dimension=dimension,
            amount=amount,
            count=check_integer("count", values.get("count", 1), 1, MAX_FUTURES),
        )
        return {"dream": dream_id, "branches": first, "leaves": leaves}

    def select(self, query: object) -> dict[str, Any]:
        """{dream, node} -> what `pull` gives there, paused, with every frame."""
        values = check_names(query, allowed=("dream", "node"), required=("dream", "node"))
        dream_id = str(values["dream"])
        node = check_integer("node", values["node"], 0, 2**31)
        self._dreams.call(self._dreams.get(dream_id).select, node)
        return self.pull({"dream": dream_id})

    def tree(self, query: object) -> dict[str, Any]:
        """{dream} -> {current, nodes: `app.live.place.Place.record`}; node 0 is the start."""
        values = check_names(query, allowed=("dream",), required=("dream",))
        dream = self._dreams.get(str(values["dream"]))
        current = dream.reel.pull(0)["node"]
        return {"dream": values["dream"], "current": current, "nodes": dream.records()}

    def trajectory(self, query: object) -> Trajectory:
        """{dream, node?} -> the path as an episode, not stored yet."""
        query = {"dream": query} if isinstance(query, str) else query
        values = check_names(query, allowed=("dream", "node"), required=("dream",))
        node = values.get("node")
        dream = self._dreams.get(str(values["dream"]))
        number = None if node is None else check_integer("node", node, 0, 2**31)
        return self._dreams.call(dream.trajectory, number)

    def save(self, query: str | dict[str, Any]) -> str:
        """Keep the path to {dream, node?} (a bare id: what was seen) as an episode; its id.

        The same path twice gives the same id."""
        return self._cabinet.trajectories.add(self.trajectory(query))

    def imagine(self, settings: object) -> str:
        """Imagine an episode to its end and store it; its id."""
        dream_id = self.open(settings)
        self._dreams.complete(dream_id, seconds=IMAGINE_SECONDS)
        return self.save(dream_id)

    def permalink(self, query: object) -> dict[str, Any]:
        """{dream, node?} or {episode} -> {token}, from which `replay` imagines it again."""
        values = check_names(query, allowed=("dream", "node", "episode"))
        if ("episode" in values) == ("dream" in values):
            raise ValueError("a link needs a dream or an episode")
        if "episode" in values:
            episode = self._cabinet.trajectories.get(str(values["episode"]))
        else:
            episode = self.trajectory(query)
        link = token(episode)
        if self._starts.by_hash(start_hash(episode.frames[0])) is None:
            self._starts.keep(episode.frames[0])
        return {"token": link}

    def replay(self, query: object) -> dict[str, Any]:
        """{token} -> {dream, node, exact}: the dream, imagined again and paused at its end."""
        record = read_token(check_names(query, allowed=("token",), required=("token",))["token"])
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
            **{name: self._knob(name, record, task) for name in CHANGES},
        )
        draws = read_draws(
            settings.draw, record["draws"], chunk_size=chunk_size, action_dim=task.action_dim
        )
        check_integer("the number of chunks", len(draws), 1, settings.horizon // chunk_size)
        for draw in draws:
            check_integer("denoising_steps", draw.denoising_steps, 1, self._max_steps)
        dream_id = self._dreams.replay(settings, draws)
        again = frames_hash(self.trajectory({"dream": dream_id}))
        node = self._dreams.get(dream_id).reel.pull(0)["node"]
        return {"dream": dream_id, "node": node, "exact": again == record.get("frames")}

    def settings(self, settings: object) -> DreamSettings:
        """Settings of a new dream, with the task's where some are missing."""
        values = check_names(settings, allowed=(*REQUIRED, *OPTIONAL), required=REQUIRED)
        get = self._cabinet.checkpoints.get
        chosen = [get(values[role]) for role in REQUIRED]
        common = together(*chosen)
        chunk_size = common.chunk_size
        task = task_of(chosen, self._starts.task)
        task, start_id, start, origin = self._start(values, task, common)
        current = self._cabinet.thresholds.current(chosen[2].hash)
        return DreamSettings(
            policy=chosen[0],
            world_model=chosen[1],
            reward_model=chosen[2],
            task=task,
            start=start,
            start_id=start_id,
            horizon=_whole_chunks(values.get("horizon"), task, chunk_size),
            chunk_size=chunk_size,
            origin=origin,
            threshold=None if current is None else current.threshold,
            **{name: self._knob(name, values, task) for name in CHANGES},
        )

    def _act(self, values: Mapping[str, Any], action: str) -> dict[str, Any]:
        dream_id = str(values["dream"])
        after, epoch = _cursor(values)
        return {"dream": dream_id} | self._dreams.act(dream_id, action, after, epoch)

    def _knob(self, name: str, values: Mapping[str, Any], task: Task) -> Any:
        match name:
            case "instruction":
                text = check_text("instruction", values.get("instruction") or "", 200)
                return text or task.instruction
            case "seed":
                return check_integer("seed", values.get("seed", 0), 0, 2**53)
            case "denoising_steps":
                steps = values.get("denoising_steps", 4)
                return check_integer("denoising_steps", steps, 1, self._max_steps)
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
        self, values: Mapping[str, Any], task: Task, common: Together
    ) -> tuple[Task, int, npt.NDArray[np.uint8], Origin | None]:
        """(task, start id, first frame, origin) of the settings of a new dream.

        `task` is that of the models; a dream from a stored episode goes on with the episode's.
        """
        if values.get("from") is None:
            if "start_id" not in values:
                raise ValueError("start_id is missing: choose a start, or upload an image")
            start_id = check_integer("start_id", values["start_id"], -(2**53), 2**31)
            return task, start_id, self._starts.frame(task, start_id, common.image_size), None
        source = check_names(values["from"], allowed=("episode", "frame"), required=("episode",))
        episode = self._cabinet.trajectories.get(str(source["episode"]))
        last = len(episode.frames) - 1
        number = check_integer("frame", source.get("frame", 0), 0, last)
        frame, origin = episode.frames[number], Origin(episode.id, number)
        if number == 0 and episode.start_id >= 0:
            return get_task(episode.task), episode.start_id, frame, origin
        return get_task(episode.task), self._starts.keep(frame), frame, origin


def _cursor(values: Mapping[str, Any]) -> tuple[int, int | None]:
    after = check_integer("after", values.get("after", 0), 0, 2**31)
    epoch = values.get("epoch")
    return after, None if epoch is None else check_integer("epoch", epoch, 0, 2**31)


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
