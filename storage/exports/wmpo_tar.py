"""Episodes as the WebDataset tar that the paper's code writes and trains from (method.md §5).

A sample is a key and its members. Theirs, as the official collector has them:
    video.npy: uint8 [steps + 1, h, w, 3], zeros after the episode's last frame.
    action.npy: float32 [steps, a], raw, zeros after the last action.
    responses.npy: int64 [chunks, l], the action tokens, where they are known.
    state_id.npy: the start (theirs is uint8 and overflows above 255; ours is int64).
    meta.json: {complete, finish_step, unique_id}.
Not written: the policy's prompt and processed pictures (input_ids, attention_mask, pixel_values),
which multiply the size and can be made again from frames and instruction.

Ours, which other readers pass over, so that an episode comes back exactly:
    wmpo.json: the episode's record and what people said of it.
    wmpo.npz: its other arrays.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.gate.formats.arrays import Array, npy, npz, read_npy, read_npz
from engine.records.episodes import episode_record
from engine.records.tasks import get_task
from engine.records.types import Trajectory
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

VIDEO, ACTION, TOKENS, STATE = "video.npy", "action.npy", "responses.npy", "state_id.npy"
META, RECORD, ARRAYS = "meta.json", "wmpo.json", "wmpo.npz"
NEEDED, OURS = (VIDEO, ACTION, STATE, META), (RECORD, ARRAYS)
# Members of the official release that say nothing beyond frames and instruction.
PASSED_OVER = ("input_ids.npy", "attention_mask.npy", "pixel_values.npy")
MOST_MEMBERS = 100_000
SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
FOREIGN = "that is no WMPO WebDataset tar"


def write_wmpo_tar(path: Path, items: Iterable[LabelledEpisode]) -> None:
    """Write a tar, episode by episode.

    Raises:
        ValueError: no episode.
    """
    count = 0
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, item in enumerate(items):
            for name, content in _members(item).items():
                about = tarfile.TarInfo(f"episode-{number:06d}.{name}")
                about.size = len(content)
                archive.addfile(about, io.BytesIO(content))
            count += 1
    if not count:
        raise ValueError("choose at least one episode")


def read_wmpo_tar(path: Path, *, largest: int = LARGEST) -> Contents:
    """The episodes of a tar that a studio wrote.

    Args:
        largest: most bytes that an episode's arrays may have, and all together.

    Raises:
        ValueError: not such a file at all, or too large.
    """
    try:
        with tarfile.open(path, "r:") as archive:  # never a compressed one
            samples = _samples(archive, largest)
            return gathered(
                (key, partial(_read, archive, key, found, largest))
                for key, found in samples.items()
            )
    except WrongError as wrong:
        return Contents((), (wrong.problem,))
    except (tarfile.TarError, EOFError, OSError, OverflowError) as error:
        raise ValueError(f"{FOREIGN}: {error}") from error


def is_tar(path: Path) -> bool:
    """Whether a file begins as a tar does."""
    with path.open("rb") as stream:
        return stream.read(262)[257:] == b"ustar"


def _members(item: LabelledEpisode) -> dict[str, bytes]:
    episode = item.episode
    steps = max(len(episode.actions), get_task(episode.task).horizon)
    video = np.zeros((steps + 1, *episode.frames.shape[1:]), np.uint8)
    action = np.zeros((steps, episode.actions.shape[1]), np.float32)
    video[: len(episode.frames)], action[: len(episode.actions)] = episode.frames, episode.actions
    record = {"episode": episode_record(episode), "labels": labels_record(item)}
    found = {VIDEO: npy(video), ACTION: npy(action)}
    if "tokens" in episode.arrays:
        found[TOKENS] = npy(episode.arrays["tokens"])
    return found | {
        STATE: npy(np.array(episode.start_id, np.int64)),
        META: json.dumps(_meta(episode)).encode(),
        RECORD: json.dumps(record).encode(),
        ARRAYS: npz(dict(episode.arrays)),
    }


def _meta(episode: Trajectory) -> dict[str, Any]:
    return {
        "complete": episode.outcome.success,
        "finish_step": episode.outcome.end_step,
        "unique_id": episode.id,
    }


def _samples(archive: tarfile.TarFile, largest: int) -> dict[str, dict[str, tarfile.TarInfo]]:
    """The members of each sample, by key.

    Folders, what macOS puts beside a file and members that are not ours say nothing of an episode:
    they are passed over.
    """
    samples: dict[str, dict[str, tarfile.TarInfo]] = {}
    for count, member in enumerate(archive):
        if count > MOST_MEMBERS:
            raise WrongError(member.name, f"there are more than {MOST_MEMBERS:,} members")
        path = member.name.removeprefix("./")
        if member.isdir() or path.rpartition("/")[2].startswith("._"):
            continue
        key, dot, name = path.partition(".")
        if not member.isreg() or member.issparse():
            raise WrongError(member.name, "is a link, a device or a folder, not a plain file")
        if not key or set(key) - SIGNS or not dot:
            raise WrongError(member.name, "is not the name of a sample's file")
        if name not in (*NEEDED, *OURS, TOKENS, *PASSED_OVER):
            continue
        if name in samples.setdefault(key, {}):
            raise WrongError(member.name, "is there twice")
        if name not in PASSED_OVER and member.size > largest:
            raise WrongError(member.name, f"there is more than {largest // 2**20} MB")
        samples[key][name] = member
    useful = [
        m.size for found in samples.values() for n, m in found.items() if n not in PASSED_OVER
    ]
    if sum(useful) > largest:
        raise ValueError(f"this tar unpacks to more than {largest // 2**20} MB")
    if not samples:
        raise ValueError(f"{FOREIGN}: it is empty")
    return samples


def _read(
    archive: tarfile.TarFile,
    key: str,
    found: Mapping[str, tarfile.TarInfo],
    largest: int,
) -> LabelledEpisode:
    def content(name: str) -> bytes:
        if name not in found:
            raise WrongError(f"{key}.{name}", "is missing")
        stream = archive.extractfile(found[name])
        data = stream.read() if stream else b""
        if len(data) != found[name].size:
            raise WrongError(f"{key}.{name}", "is cut off")
        return data

    def array(name: str, *, dims: int, kind: str) -> Array:
        with wrong_in(f"{key}.{name}"):
            values = read_npy(content(name))
            if values.ndim != dims or values.dtype.kind not in kind:
                raise ValueError(f"an array {list(values.shape)} of {values.dtype} cannot be it")
            return values

    def record(name: str) -> dict[str, Any]:
        with wrong_in(f"{key}.{name}"):
            values = json.loads(content(name))
            if not isinstance(values, dict):
                raise ValueError("it must be an object")
            return values

    video, action = array(VIDEO, dims=4, kind="u"), array(ACTION, dims=2, kind="f")
    start = int(array(STATE, dims=0, kind="iu"))
    meta = record(META)
    with wrong_in(f"{key}.{META}"):
        step = meta["finish_step"]
        if type(step) is not int or not 0 < step <= len(action):
            raise ValueError(f"finish_step {step!r:.40} is not one of {len(action)} steps")
        if type(meta["complete"]) is not bool:
            raise ValueError(f"complete must be true or false, not {meta['complete']!r:.40}")
    with wrong_in(f"{key}.{VIDEO}"):
        if len(video) != len(action) + 1:
            raise ValueError(f"{len(video)} frames do not fit {len(action)} actions")
    if not set(OURS) & set(found):
        raise WrongError(key, UNKNOWN)
    said = record(RECORD)
    with wrong_in(f"{key}.{ARRAYS}"):
        arrays = read_npz(content(ARRAYS), largest=largest)
    with wrong_in(f"{key}.{RECORD}"):
        count = said["episode"]["num_actions"]
        if type(count) is not int or not 0 < count <= len(action):
            raise ValueError(f"num_actions {count!r:.40} is not one of {len(action)} steps")
        item = item_from(
            said["episode"],
            said["labels"],
            frames=video[: count + 1],
            actions=action[:count],
            arrays=arrays,
        )
    _compare(key, item, video, action, {STATE: start, META: meta})
    if TOKENS in found:
        tokens = array(TOKENS, dims=2, kind="i")
        if not np.array_equal(tokens, arrays.get("tokens", np.zeros((0, 0)))):
            raise WrongError(f"{key}.{TOKENS}", "differs from the tokens of the episode")
    return item


def _compare(
    key: str, item: LabelledEpisode, video: Array, action: Array, given: Mapping[str, Any]
) -> None:
    """What the paper's code reads must say the same as what the studio reads."""
    episode = item.episode
    for name, value in {STATE: episode.start_id, META: _meta(episode)}.items():
        if given[name] != value:
            reason = f"is {given[name]!r:.80}, but the episode makes it {value!r:.80}"
            raise WrongError(f"{key}.{name}", reason)
    for name, values, count in (
        (VIDEO, video, len(episode.frames)),
        (ACTION, action, len(episode.actions)),
    ):
        if values[count:].any():
            raise WrongError(f"{key}.{name}", "goes on after the episode's end", count)
