"""The episode directory: `episode.npz` and `episode.json`, whole or absent (design.md §9)."""

import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from engine.records.texts import check_fields, check_unicode
from engine.records.types import Outcome, Trajectory

STAGES = "stages"  # the folder of a run that holds the directories of its stages
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

# All that json, zipfile and numpy were seen to raise when any one bit of an episode was flipped.
_UNREADABLE = (
    *(OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError),
    *(zipfile.BadZipFile, zlib.error),
)


class _Record:
    """The types of `episode.json`."""

    id: str
    task: str
    start_id: int
    instruction: str
    imagined: bool
    success: bool
    end_step: int
    num_actions: int
    lineage: Mapping[str, Any]
    replay: Mapping[str, Any]


class _Lineage:
    """The types of what the studio reads of a lineage; jobs may keep further values there."""

    run: str | None
    iteration: int | None
    member: int | None
    advantage: float | None
    reward: float | None
    threshold: float | None
    created: float | None
    policy: str | None
    world_model: str | None
    reward_model: str | None
    source: str | None


def check_record(record: Any) -> dict[str, Any]:
    """An episode's record itself, if an index can hold it and a page can show it.

    Raises:
        ValueError: a value is missing, of another type, or no Unicode.
    """
    if not isinstance(record, dict):
        raise ValueError("the record of an episode must be an object")
    missing = [name for name in _Record.__annotations__ if name not in record]
    if missing:
        raise ValueError(f"the record lacks {', '.join(missing)}")
    check_fields(_Record, record)
    check_fields(_Lineage, record["lineage"])
    check_unicode(record)
    check_episode_id(record["id"])
    return record


def check_episode_id(episode_id: str) -> str:
    """The id itself, if it can name a directory and nothing else.

    Raises:
        ValueError: anything but letters, digits, '-', '_' and '.', or longer than 128.
    """
    if not _ID.fullmatch(episode_id):
        raise ValueError(f"{episode_id!r} is not an episode id")
    return episode_id


def index_id(run: str | None, episode_id: str) -> str:
    """The studio-wide name of an episode: those of a run carry the run's id.

    Two runs of one config record episodes of the same names.
    """
    if run is None or episode_id.startswith(run):
        return episode_id
    return f"{run}.{episode_id}"


def write_episode(root: Path, trajectory: Trajectory) -> Path:
    """Write `root/<id>/`; an episode of that id that is already there is kept as it is."""
    directory = root / check_episode_id(trajectory.id)
    if directory.exists():
        return directory
    root.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=root, prefix=".partial-"))
    try:
        arrays: dict[str, Any] = dict(trajectory.arrays)
        arrays |= {"frames": trajectory.frames, "actions": trajectory.actions}
        with (partial / "episode.npz").open("wb") as stream:
            _write_arrays(stream, arrays)
            stream.flush()
            os.fsync(stream.fileno())
        with (partial / "episode.json").open("w") as stream:
            stream.write(json.dumps(episode_record(trajectory), indent=1) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        partial.chmod(0o755)
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return directory


def _write_arrays(stream: IO[bytes], arrays: Mapping[str, Any]) -> None:
    """An `.npz` packed quickly: a twentieth larger than packed well, in half the time."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(values), allow_pickle=False)


def episode_record(trajectory: Trajectory) -> dict[str, Any]:
    """What `episode.json` holds: everything but the arrays."""
    return {
        "id": trajectory.id,
        "task": trajectory.task,
        "start_id": trajectory.start_id,
        "instruction": trajectory.instruction,
        "imagined": trajectory.imagined,
        "success": trajectory.outcome.success,
        "end_step": trajectory.outcome.end_step,
        "num_actions": len(trajectory.actions),
        "lineage": dict(trajectory.lineage),
        "replay": dict(trajectory.replay),
    }


def read_episode(directory: Path) -> Trajectory:
    """The trajectory stored in an episode directory.

    Raises:
        ValueError: the directory is not a whole, readable episode.
    """
    try:
        record = check_record(json.loads((directory / "episode.json").read_text()))
        with np.load(directory / "episode.npz", allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return Trajectory(
            id=record["id"],
            task=record["task"],
            start_id=record["start_id"],
            instruction=record["instruction"],
            imagined=record["imagined"],
            outcome=Outcome(record["success"], record["end_step"]),
            frames=arrays.pop("frames"),
            actions=arrays.pop("actions"),
            arrays=arrays,
            lineage=record["lineage"],
            replay=record["replay"],
        )
    except _UNREADABLE as error:
        raise ValueError(f"{directory} is not a readable episode: {error}") from error


def read_record(directory: Path) -> dict[str, Any]:
    """`episode.json` of an episode directory, without its arrays.

    Raises:
        ValueError: there is no readable one.
    """
    try:
        record = check_record(json.loads((directory / "episode.json").read_text()))
    except _UNREADABLE as error:
        raise ValueError(f"{directory} is not a readable episode: {error}") from error
    return record


def read_windows(
    directory: Path,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]] | None:
    """(exclusive window ends, probabilities) as they were judged; None for an episode that was not.

    The frames are not read.

    Raises:
        ValueError: there are no readable arrays.
    """
    try:
        with np.load(directory / "episode.npz", allow_pickle=False) as archive:
            if not {"window_ends", "window_probabilities"} <= set(archive.files):
                return None
            return archive["window_ends"], archive["window_probabilities"]
    except _UNREADABLE as error:
        raise ValueError(f"{directory} is not a readable episode: {error}") from error


def list_episodes(root: Path) -> list[Path]:
    """The episode directories under a root, sorted by name."""
    return sorted(path.parent for path in root.glob("[!.]*/episode.json"))


def latent_drift(latents: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """How far imagined latents have wandered from their first frame's statistics, [t + 1].

    Latents [t + 1, c, h, w] are never encoded again, so errors stay in them. Per channel, mean and
    standard deviation over space are compared with those of frame 0; the root mean square over
    channels, in units of the latents, is 0 at the start and grows when a dream loses contrast,
    colour or sharpness, whatever moves in it.
    """
    values = np.asarray(latents, np.float64)
    mean, spread = values.mean(axis=(2, 3)), values.std(axis=(2, 3))
    change = (mean - mean[0]) ** 2 + (spread - spread[0]) ** 2
    drift: npt.NDArray[np.float64] = np.sqrt(change.mean(axis=1))
    return drift
