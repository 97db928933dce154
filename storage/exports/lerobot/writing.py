"""Episodes with their labels as a LeRobotDataset v3.0 (`lerobot_format` says what is where).

Frames of small episodes are PNGs inside the data file (dtype `image`, which the format knows), so
that they come back as they were; larger ones are one H.264 video, which is much smaller and lossy.
"""

import io
import json
import math
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from engine.records.episodes import episode_record
from engine.records.tasks import tasks as known_tasks
from engine.records.types import Frames, Trajectory
from storage.exports.contents import LabelledEpisode
from storage.exports.lerobot import layout
from storage.exports.lerobot.layout import CAMERA
from storage.exports.lerobot.stats import Stats, column_stats, image_stats, together
from storage.exports.pictures import FRAMES_PER_SECOND, write_mp4

# Readers jump to single frames: every other one is complete, and none refers to a later one.
_SEEKABLE = {"g": "2", "bf": "0"}
_CARD = """---
license: apache-2.0
task_categories: [robotics]
tags: [LeRobot]
configs:
- config_name: default
  data_files: data/*/*.parquet
---
A LeRobotDataset v3.0 of {episodes} episodes ({imagined} of them imagined by a world model), written
by WMPO Studio. Beyond the format: `imagined`; `reward_model.probability`, of the window that ends
with the next frame, NaN where none does; `human.success` (1, 0, or -1 where nothing was said);
`dream_broke`; `intervention`. The folder `wmpo/` holds what the format has no place for.
"""


def pack_lerobot(items: Iterable[LabelledEpisode], *, images: bool | None = None) -> bytes:
    """The dataset as a zip; see `write_lerobot`."""
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as root:
        write_lerobot(Path(root), items, images=images)
        with zipfile.ZipFile(buffer, "w") as archive:  # its files are compressed already
            for path in sorted(Path(root).rglob("*.*")):
                if path.is_file():
                    archive.write(path, path.relative_to(root).as_posix())
    return buffer.getvalue()


def write_lerobot(
    root: Path, items: Iterable[LabelledEpisode], *, images: bool | None = None
) -> None:
    """Write a dataset into an empty directory, episode by episode.

    Args:
        images: exact frames in the data file instead of a video; by default for small ones.

    Raises:
        ValueError: no episode, one without actions, or two of different shapes.
    """
    writer: _Writer | None = None
    for item in items:
        writer = writer or _Writer(root, item.episode, images)
        writer.add(item)
    if writer is None:
        raise ValueError("choose at least one episode")
    writer.finish()


class _Writer:
    """A dataset as it grows; the first episode says what the frames and actions of all are."""

    def __init__(self, root: Path, first: Trajectory, images: bool | None) -> None:
        self._root = root
        self._shape = (first.frames.shape[1:], first.actions.shape[1])
        sides = first.frames.shape[1:3]  # a video of odd ones would lose a line
        small = max(sides) <= layout.LARGEST_EXACT or any(side % 2 for side in sides)
        self._images = small if images is None else images
        size = first.frames.shape[1:3] if self._images else layout.video_size(first.frames)
        self.features = layout.features(_names(first), tuple(size), images=self._images)
        self._schema = layout.data_schema(self.features)
        self._data = pq.ParquetWriter(self._path(layout.DATA), self._schema)
        self._ours = pq.ParquetWriter(self._path(layout.OURS), layout.OURS_SCHEMA)
        self._raw = root / ".frames"  # of the video, until all are there
        self._tasks: dict[str, int] = {}
        self._stats: list[dict[str, Stats]] = []
        self._rows: list[dict[str, Any]] = []
        self._frames = self._imagined = 0

    def add(self, item: LabelledEpisode) -> None:
        """Write one more episode."""
        episode, number, first = item.episode, len(self._rows), self._frames
        count = len(episode.actions)
        if not count:
            raise ValueError(f"{episode.id} has no actions, which a LeRobot dataset cannot hold")
        if (episode.frames.shape[1:], episode.actions.shape[1]) != self._shape:
            raise ValueError(
                "the episodes of a LeRobot dataset need frames of one size and actions of one "
                f"length: {episode.id} differs"
            )
        task = self._tasks.setdefault(episode.instruction, len(self._tasks))
        found = layout.columns(item, number=number, first=first, task_index=task)
        stats = {name: column_stats(values) for name, values in found.items()}
        stats[CAMERA] = image_stats(episode.frames[:-1])
        self._data.write_table(self._table(found, episode.frames[:-1]))
        self._ours.write_table(_ours(item, number))
        if not self._images:
            with self._raw.open("ab") as stream:
                stream.write(episode.frames[:-1].tobytes())
        self._frames += count
        self._imagined += episode.imagined
        self._stats.append(stats)
        self._rows.append(self._row(episode, first, stats))

    def finish(self) -> None:
        """Write what is known only at the end."""
        self._data.close()
        self._ours.close()
        if not self._images:
            size, path = self._shape[0][:2], self._path(layout.VIDEO)
            write_mp4(path, self._video(), size=size, options=_SEEKABLE)
            self._raw.unlink()
        pq.write_table(pa.Table.from_pylist(self._rows), self._path(layout.EPISODES))
        pq.write_table(tasks_table(list(self._tasks)), self._path(layout.TASKS))
        whole = {name: together([part[name] for part in self._stats]) for name in self._stats[0]}
        plain = {name: {key: v.tolist() for key, v in s.items()} for name, s in whole.items()}
        self._write(layout.STATS, json.dumps(plain, indent=4))
        self._write(layout.INFO, json.dumps(self._info(), indent=4))
        card = _CARD.format(episodes=len(self._rows), imagined=self._imagined)
        self._write(layout.CARD, card)

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": layout.CODEBASE_VERSION,
            "robot_type": None,
            "total_episodes": len(self._rows),
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": 1000,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "fps": FRAMES_PER_SECOND,
            "splits": {"train": f"0:{len(self._rows)}"},
            "data_path": layout.DATA_PATH,
            "video_path": None if self._images else layout.VIDEO_PATH,
            "features": self.features,
        }

    def _row(self, episode: Trajectory, first: int, stats: dict[str, Stats]) -> dict[str, Any]:
        """The episode's row of meta/episodes."""
        last = first + len(episode.actions)
        row: dict[str, Any] = {
            "episode_index": len(self._rows),
            "tasks": [episode.instruction],
            "length": len(episode.actions),
            "data/chunk_index": 0,
            "data/file_index": 0,
            "dataset_from_index": first,
            "dataset_to_index": last,
        }
        if not self._images:
            row[f"videos/{CAMERA}/chunk_index"] = row[f"videos/{CAMERA}/file_index"] = 0
            row[f"videos/{CAMERA}/from_timestamp"] = first / FRAMES_PER_SECOND
            row[f"videos/{CAMERA}/to_timestamp"] = last / FRAMES_PER_SECOND
        for name, found in stats.items():
            row |= {f"stats/{name}/{key}": value.tolist() for key, value in found.items()}
        return row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}

    def _table(self, found: layout.Columns, frames: Frames) -> pa.Table:
        arrays = []
        for field in self._schema:
            if field.name == CAMERA:
                pictures = [{"bytes": png(frame), "path": None} for frame in frames]
                arrays.append(pa.array(pictures, field.type))
            elif field.name == "action":
                flat = pa.array(found["action"].ravel())
                arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=field.type))
            else:
                arrays.append(pa.array(found[field.name], field.type))
        return pa.Table.from_arrays(arrays, schema=self._schema)

    def _video(self) -> Iterator[Frames]:
        shape, _ = self._shape
        with self._raw.open("rb") as stream:
            while data := stream.read(math.prod(shape)):
                yield np.frombuffer(data, np.uint8).reshape(shape)

    def _path(self, name: str) -> Path:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _write(self, name: str, text: str) -> None:
        self._path(name).write_text(text, encoding="utf-8")


def tasks_table(tasks: list[str]) -> pa.Table:
    """Instructions and their numbers; readers expect pandas to find an index named `task`."""
    index = {"name": "task", "field_name": "task", "pandas_type": "unicode"}
    number = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64"}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            number | {"numpy_type": "int64", "metadata": None},
            index | {"numpy_type": "object", "metadata": None},
        ],
    }
    columns = {"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks)}
    return pa.table(columns).replace_schema_metadata({"pandas": json.dumps(pandas)})


def png(frame: npt.NDArray[np.uint8]) -> bytes:
    """A frame [h, w, 3], exactly."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()


def _ours(item: LabelledEpisode, number: int) -> pa.Table:
    arrays = io.BytesIO()
    np.savez_compressed(arrays, allow_pickle=False, **dict(item.episode.arrays))
    row = {
        "episode_index": number,
        "record": json.dumps(episode_record(item.episode)),
        "arrays": arrays.getvalue(),
        "last_frame": png(item.episode.frames[-1]),
        "labels": json.dumps([event.to_dict() for event in item.events]),
        "standing": item.standing,
    }
    return pa.Table.from_pylist([row], schema=layout.OURS_SCHEMA)


def _names(episode: Trajectory) -> list[str]:
    task, dims = known_tasks().get(episode.task), episode.actions.shape[1]
    if task is not None and task.action_dim == dims:
        return list(task.dimension_names)
    return [f"a{index}" for index in range(dims)]
