"""Episodes as a robomimic HDF5 file, the format of MimicGen's data as well.

Theirs: `data` (attributes total, env_args) holds `demo_0`, `demo_1`, … (attribute num_samples) with
    actions: float32 [t, a], raw.
    rewards: float32 [t], 1 at the end step of a success.
    dones: int64 [t], 1 there and in the last row.
    obs/agentview_image: uint8 [t, h, w, 3], the frame before each action.
`mask` names demonstrations by filter: imagined, real, success, human_success, dream_broke.

Ours, in `wmpo/demo_N`, which other readers pass over, so that an episode comes back exactly:
    record: JSON as bytes, the episode's record and what people said of it.
    arrays: an .npz as bytes, its other arrays.
    last_frame: uint8 [h, w, 3], for which the format has no row.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from engine.gate import sandbox
from engine.gate.formats.arrays import Array, npz, read_npz
from engine.gate.verdict import RefusedError
from engine.records.episodes import episode_record
from engine.records.tasks import get_task
from engine.records.types import Trajectory
from storage.exports import hdf5_arrays
from storage.exports.bundle import LARGEST
from storage.exports.contents import (
    UNKNOWN,
    Contents,
    LabelledEpisode,
    WrongError,
    gathered,
    item_from,
    labels_record,
    wrong_in,
)
from storage.exports.hdf5_arrays import CAMERA, DATA, OURS

MAGIC = b"\x89HDF\r\n\x1a\n"
GYM = 2  # robomimic's number for environments that are made by name


def write_robomimic(path: Path, items: Iterable[LabelledEpisode]) -> None:
    """Write a file, episode by episode.

    Raises:
        ValueError: no episode, one without actions, or episodes of two tasks.
    """
    task = ""
    masks: dict[str, list[str]] = {}
    total = number = 0
    with h5py.File(path, "w") as file:
        data, ours = file.create_group(DATA), file.create_group(OURS)
        for number, item in enumerate(items, start=1):
            episode, name = item.episode, f"demo_{number - 1}"
            if not len(episode.actions):
                raise ValueError(f"{episode.id} has no actions, which robomimic cannot hold")
            if task not in ("", episode.task):
                raise ValueError(
                    f"a robomimic file holds one task: {episode.id} is not of {task}, "
                    f"but of {episode.task}"
                )
            task = episode.task
            _put(data.create_group(name), episode)
            _keep(ours.create_group(name), item)
            total += len(episode.actions)
            for mask in _masks(item):
                masks.setdefault(mask, []).append(name)
        if not number:
            raise ValueError("choose at least one episode")
        data.attrs["total"] = total
        env = {"env_name": get_task(task).env or task, "type": GYM, "env_kwargs": {}}
        data.attrs["env_args"] = json.dumps(env)
        for mask, names in masks.items():
            file[f"mask/{mask}"] = np.array(names, "S")


def read_robomimic(path: Path, *, largest: int = LARGEST) -> Contents:
    """The episodes of a file that a studio wrote.

    Args:
        largest: most bytes that all arrays may have together.

    Raises:
        ValueError: it cannot be read at all.
    """
    try:
        arrays = _plain_arrays(path, largest)
    except WrongError as wrong:
        return Contents((), (wrong.problem,))
    demos: dict[str, dict[str, Array]] = {}
    kept: dict[str, dict[str, Array]] = {}
    for place, values in arrays.items():
        room, name, part = place.split("/", 2)
        (demos if room == DATA else kept).setdefault(name, {})[part] = values
    return gathered(
        (f"{DATA}/{name}", partial(_read, name, found, kept.get(name)))
        for name, found in demos.items()
    )


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 does."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def _plain_arrays(path: Path, largest: int) -> dict[str, Array]:
    """What `hdf5_arrays` finds in a file, by place."""
    beside = 2**24  # headers of the arrays, and the library's own memory many times over
    allowance = sandbox.Allowance(
        memory_bytes=3 * largest + 16 * beside,
        cpu_seconds=sandbox.decoding_seconds(path.stat().st_size),
        file_bytes=largest + beside,
    )
    with tempfile.TemporaryDirectory() as directory:
        room = Path(directory)
        target = room / "arrays.npz"
        arguments = [str(path.resolve()), str(target), str(largest)]
        try:
            answer = sandbox.run(hdf5_arrays.__name__, arguments, room=room, allowance=allowance)
        except RefusedError as refusal:
            raise ValueError(f"this HDF5 file {refusal.sentence}") from refusal
        if "place" in answer:
            raise WrongError(str(answer["place"]), answer["reason"])
        return read_npz(target, largest=largest + beside)


def _put(demo: h5py.Group, episode: Trajectory) -> None:
    demo.attrs["num_samples"] = len(episode.actions)
    for name, values in _columns(episode).items():
        demo[name] = values
    frames = episode.frames[:-1]
    demo.create_dataset(
        f"obs/{CAMERA}", data=frames, chunks=(1, *frames.shape[1:]), compression="gzip"
    )


def _keep(room: h5py.Group, item: LabelledEpisode) -> None:
    record = {"episode": episode_record(item.episode), "labels": labels_record(item)}
    room["record"] = np.frombuffer(json.dumps(record).encode(), np.uint8)
    room["arrays"] = np.frombuffer(npz(dict(item.episode.arrays)), np.uint8)
    room["last_frame"] = item.episode.frames[-1]


def _columns(episode: Trajectory) -> dict[str, Array]:
    steps = np.arange(1, len(episode.actions) + 1)
    ended = (steps == episode.outcome.end_step) & episode.outcome.success
    return {
        "actions": episode.actions,
        "rewards": ended.astype(np.float32),
        "dones": (ended | (steps == len(steps))).astype(np.int64),
    }


def _masks(item: LabelledEpisode) -> list[str]:
    label = item.label
    found = {
        "imagined": item.episode.imagined,
        "real": not item.episode.imagined,
        "success": item.episode.outcome.success,
        "human_success": label is not None and label.outcome == "success",
        "dream_broke": label is not None and bool(label.dream_broke),
    }
    return [name for name, there in found.items() if there]


def _read(
    name: str,
    found: Mapping[str, Array],
    kept: Mapping[str, Array] | None,
) -> LabelledEpisode:
    place = f"{DATA}/{name}"
    [camera] = (part for part in found if part.startswith("obs/"))
    frames, actions = found[camera], found["actions"]
    with wrong_in(f"{place}/{camera}"):
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise ValueError(f"must be uint8 [t, h, w, 3], not {frames.dtype} {list(frames.shape)}")
    with wrong_in(f"{place}/actions"):
        if actions.ndim != 2 or actions.dtype.kind != "f" or len(actions) != len(frames):
            raise ValueError(f"{list(actions.shape)} numbers do not fit {len(frames)} frames")
    if kept is None:
        raise WrongError(place, UNKNOWN)
    record = _record(f"{OURS}/{name}/record", kept["record"])
    with wrong_in(f"{OURS}/{name}/arrays"):
        arrays = read_npz(_bytes(kept["arrays"]), largest=LARGEST)
    with wrong_in(f"{OURS}/{name}/last_frame"):
        last = kept["last_frame"]
        if last.dtype != np.uint8 or last.shape != frames.shape[1:]:
            raise ValueError("it has another size than the frames before it")
    with wrong_in(f"{OURS}/{name}/record"):
        item = item_from(
            record["episode"],
            record["labels"],
            frames=np.concatenate([frames, last[None]]),
            actions=actions,
            arrays=arrays,
        )
    for part, values in _columns(item.episode).items():
        given = found.get(part)
        if given is None or not np.array_equal(given, values):
            raise WrongError(f"{place}/{part}", "differs from what the episode makes it")
    return item


def _record(place: str, values: Array) -> dict[str, Any]:
    with wrong_in(place):
        record = json.loads(_bytes(values))
        if not isinstance(record, dict) or not {"episode", "labels"} <= set(record):
            raise ValueError("it must be an object of an episode and its labels")
        return record


def _bytes(values: Array) -> bytes:
    if values.dtype != np.uint8 or values.ndim != 1:
        raise ValueError("it must be bytes")
    return values.tobytes()
