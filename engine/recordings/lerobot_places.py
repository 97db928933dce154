"""Where each episode of a LeRobotDataset lies: table and rows, videos and seconds, instruction."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from engine.recordings.description import UnusableError
from engine.recordings.tables import column_names, read_columns, read_json_lines

EPISODES = "meta/episodes"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
OLD_EPISODES, OLD_TASKS = "meta/episodes.jsonl", "meta/tasks.jsonl"
OLD_DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
OLD_VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"


@dataclass(frozen=True, kw_only=True)
class Place:
    """An episode: rows `first … first + length` of a table; video and second by camera."""

    number: int
    length: int
    instruction: str
    data: str
    first: int
    videos: Mapping[str, tuple[str, float]]


def places_of(
    root: Path, info: Mapping[str, Any], version: str, cameras: Sequence[str]
) -> list[Place]:
    """Every episode, in order.

    Raises:
        UnusableError: an index that is damaged or contradicts itself.
    """
    places = _new(root, info, cameras) if version == "v3.0" else _old(root, info, cameras)
    if not places:
        raise UnusableError("meta/info.json", "it has no episode: record at least one")
    total = info.get("total_episodes")
    if isinstance(total, int) and total != len(places):
        raise UnusableError(
            "meta/info.json", f"says {total} episodes, but {len(places)} are listed"
        )
    return places


def _new(root: Path, info: Mapping[str, Any], cameras: Sequence[str]) -> list[Place]:
    files = sorted((root / EPISODES).glob("chunk-*/file-*.parquet"))
    if not files:
        raise UnusableError(EPISODES, "is missing")
    rows: list[tuple[str, int, dict[str, Any]]] = []
    for path in files:
        name = path.relative_to(root).as_posix()
        wanted = [
            column
            for column in column_names(path, name)
            if not column.startswith("stats/") and not column.startswith("meta/")
        ]
        rows += [
            (name, at, row) for at, row in enumerate(read_columns(path, name, wanted).to_pylist())
        ]
    begins: dict[str, int] = {}  # of a table, the dataset's row at which it begins
    found = []
    for name, at, row in rows:
        try:
            found.append(_place(info, cameras, row, begins))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UnusableError(name, f"cannot be an episode: {error}", at) from error
    return found


def _place(
    info: Mapping[str, Any], cameras: Sequence[str], row: Mapping[str, Any], begins: dict[str, int]
) -> Place:
    first, last = int(row["dataset_from_index"]), int(row["dataset_to_index"])
    length = int(row["length"])
    if length != last - first or length < 1:
        raise ValueError(f"its length is {length}, its rows are {first} to {last}")
    parts = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
    data = _path(info, "data_path", DATA, parts)
    begins.setdefault(data, first)
    videos = {}
    for camera in cameras:
        if row.get(f"videos/{camera}/file_index") is None:
            continue
        parts = {
            "video_key": camera,
            "chunk_index": row[f"videos/{camera}/chunk_index"],
            "file_index": row[f"videos/{camera}/file_index"],
        }
        start = float(row[f"videos/{camera}/from_timestamp"])
        videos[camera] = (_path(info, "video_path", VIDEO, parts), start)
    said = row.get("tasks") or [""]
    return Place(
        number=int(row["episode_index"]),
        length=length,
        instruction=str(said[0]),
        data=data,
        first=first - begins[data],
        videos=videos,
    )


def _old(root: Path, info: Mapping[str, Any], cameras: Sequence[str]) -> list[Place]:
    chunk = info.get("chunks_size")
    size = chunk if isinstance(chunk, int) and chunk > 0 else 1000
    found = []
    for at, row in enumerate(read_json_lines(root / OLD_EPISODES, OLD_EPISODES)):
        try:
            number, length = int(row["episode_index"]), int(row["length"])
            if length < 1:
                raise ValueError(f"its length is {length}")
            parts = {"episode_chunk": number // size, "episode_index": number}
            videos = {
                camera: _path(info, "video_path", OLD_VIDEO, parts | {"video_key": camera})
                for camera in cameras
            }
            said = row.get("tasks") or [""]
            place = Place(
                number=number,
                length=length,
                instruction=str(said[0]),
                data=_path(info, "data_path", OLD_DATA, parts),
                first=0,
                videos={
                    camera: (name, 0.0)
                    for camera, name in videos.items()
                    if (root / name).is_file()
                },
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnusableError(OLD_EPISODES, f"cannot be an episode: {error}", at) from error
        found.append(place)
    return found


def _path(info: Mapping[str, Any], name: str, usual: str, parts: Mapping[str, Any]) -> str:
    """A path inside the dataset, by its own pattern."""
    return _inside(name, str(info.get(name) or usual), tuple(parts.items()))


@functools.lru_cache(4096)  # many episodes share a file
def _inside(name: str, pattern: str, parts: tuple[tuple[str, Any], ...]) -> str:
    path = PurePosixPath(pattern.format(**dict(parts)))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name} leads out of the dataset")
    return str(path)
