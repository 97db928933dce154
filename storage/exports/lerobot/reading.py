"""A LeRobotDataset that a studio wrote, read back: everything checked, problems by file and row.

Whatever can be told from an episode itself is told again and compared with what the files say, so
that a column changed by hand is found, whichever it is.
"""

import io
import json
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from engine.records.types import Frames
from storage.exports.bundle import LARGEST, check_size, foreign_zip
from storage.exports.contents import (
    UNKNOWN,
    Contents,
    LabelledEpisode,
    Problem,
    WrongError,
    item_from,
)
from storage.exports.lerobot import layout
from storage.exports.lerobot.layout import CAMERA
from storage.exports.pictures import FRAMES_PER_SECOND

FOREIGN = "that is no LeRobot dataset exported from a studio (.lerobot.zip)"
NEEDED = (layout.INFO, layout.STATS, layout.TASKS, layout.EPISODES, layout.DATA, layout.OURS)
MOST_ROWS = 1_000_000
BESIDE = ("__MACOSX", ".git", ".DS_Store", "._")
_UNREADABLE = (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error)


def is_lerobot(data: bytes) -> bool:
    """Whether bytes are a zip with the record that every LeRobotDataset has."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(_inside(name, layout.INFO) for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def unpack_lerobot(data: bytes, *, largest: int = LARGEST) -> Contents:
    """The dataset of what `pack_lerobot` made, with what is wrong with it.

    Args:
        largest: most bytes that it may unpack to.

    Raises:
        ValueError: not such a file at all, or too large.
    """
    known = (*NEEDED, layout.VIDEO, layout.CARD)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        with foreign_zip(io.BytesIO(data), FOREIGN) as archive:
            members = _members(archive)
            if layout.OURS not in members:
                raise ValueError(UNKNOWN)
            if set(members) - set(known):
                raise ValueError(FOREIGN)
            check_size(archive, largest)
            for name, member in members.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(archive.read(member))
        try:
            return _Reader(root, largest).contents()
        except WrongError as wrong:
            return Contents((), (wrong.problem,))


def _inside(name: str, wanted: str) -> bool:
    return name == wanted or name.endswith(f"/{wanted}")


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Files by their path in the dataset; without the folder it was packed with, and without what
    systems and git put beside files."""
    files = [member for member in archive.infolist() if not member.is_dir()]
    heads = [member.filename for member in files if _inside(member.filename, layout.INFO)]
    root = min(heads, key=len, default="").removesuffix(layout.INFO)
    inside = {m.filename.removeprefix(root): m for m in files if m.filename.startswith(root)}
    return {
        name: member
        for name, member in inside.items()
        if not any(part.startswith(BESIDE) for part in name.split("/"))
    }


class _Reader:
    """One dataset on disk."""

    def __init__(self, root: Path, largest: int) -> None:
        self._root = root
        self._largest = largest
        for name in NEEDED:
            if not (root / name).is_file():
                raise WrongError(name, "is missing")
        self._info = self._json(layout.INFO)
        self._json(layout.STATS)
        self._images, self._size = self._check_info()
        self._schema = layout.data_schema(self._info["features"])
        self._data = self._table(layout.DATA, self._schema)
        self._ours = self._table(layout.OURS, layout.OURS_SCHEMA)
        self._rows = self._table(layout.EPISODES, None).to_pylist()
        self._tasks = self._read_tasks()

    def contents(self) -> Contents:
        """Every episode; one that is wrong does not hide what is wrong with the next."""
        problems: list[Problem] = []
        found: list[LabelledEpisode] = []
        counts = (self._ours.num_rows, len(self._rows), self._info["total_episodes"])
        if len(set(counts)) != 1:
            raise WrongError(layout.INFO, f"{counts[2]} episodes, but {counts[0]} are kept")
        if self._info["total_frames"] != self._data.num_rows:
            raise WrongError(
                layout.INFO, f"{self._info['total_frames']} rows, not {self._data.num_rows}"
            )
        video = None if self._images else self._video()
        first = 0
        for number in range(self._ours.num_rows):
            try:
                item, first = self._episode(number, first, video)
                found.append(item)
            except WrongError as wrong:
                problems.append(wrong.problem)
                length = self._rows[number].get("length")
                first += length if isinstance(length, int) and length > 0 else 0
        ids = [item.episode.id for item in found]
        problems += [
            Problem(layout.OURS, f"{name} is there twice", row)
            for row, name in enumerate(ids)
            if name in ids[:row]
        ]
        return Contents(() if problems else tuple(found), tuple(problems))

    def _episode(
        self, number: int, first: int, video: Frames | None
    ) -> tuple[LabelledEpisode, int]:
        """An episode and the row after its last."""
        kept = self._ours.slice(number, 1).to_pylist()[0]
        length = self._rows[number].get("length")
        rows = self._data.slice(first, length if isinstance(length, int) and length > 0 else 0)
        wanted = {"episode_index": number, "dataset_from_index": first}
        wanted["dataset_to_index"] = first + rows.num_rows
        for name, value in ({"length": rows.num_rows} | wanted).items():
            if self._rows[number].get(name) != value:
                given = self._rows[number].get(name)
                raise WrongError(layout.EPISODES, f"{name} is {given}, not {value}", number)
        try:
            last = picture(kept["last_frame"], self._frame_size(kept["last_frame"]))
            frames = self._frames(rows, first, video, last)
            item = _item(kept, frames, _actions(rows))
        except _UNREADABLE as error:
            raise WrongError(layout.OURS, error, number) from error
        self._compare(item, number, first, rows)
        return item, first + rows.num_rows

    def _compare(self, item: LabelledEpisode, number: int, first: int, rows: pa.Table) -> None:
        instruction = item.episode.instruction
        if instruction not in self._tasks:
            raise WrongError(layout.TASKS, f"{instruction!r} is missing")
        if self._rows[number].get("tasks") != [instruction]:
            raise WrongError(layout.EPISODES, f"tasks must be {[instruction]}", number)
        task = self._tasks.index(instruction)
        for name, values in layout.columns(
            item, number=number, first=first, task_index=task
        ).items():
            if name == "action":
                continue
            given = rows[name].to_numpy()
            same = (given == values) | ((given != given) & (values != values))
            if not same.all():
                at = int(np.argmin(same))
                reason = f"{name} is {given[at]}, but the episode makes it {values[at]}"
                raise WrongError(layout.DATA, reason, first + at)

    def _frames(self, rows: pa.Table, first: int, video: Frames | None, last: Frames) -> Frames:
        if video is not None:
            shown = np.zeros((rows.num_rows, *last.shape), np.uint8)
            height, width = self._size
            shown[:, :height, :width] = video[first : first + rows.num_rows]
            return np.concatenate([shown, last[None]])
        found = []
        for at, cell in enumerate(rows[CAMERA].to_pylist()):
            try:
                found.append(picture(cell["bytes"], self._size))
            except _UNREADABLE as error:
                reason = f"{CAMERA} is not a picture of this size"
                raise WrongError(layout.DATA, reason, first + at) from error
        return np.stack([*found, last])

    def _frame_size(self, data: bytes) -> tuple[int, int]:
        """Of the frames as they were: a video of odd sides lost a line."""
        if self._images:
            return self._size
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            size = (image.height, image.width)
        if (size[0] // 2 * 2, size[1] // 2 * 2) != self._size:
            raise ValueError("the last frame has another size than the video")
        return size

    def _video(self) -> Frames:
        """All frames [rows, h, w, 3] of the video."""
        path, (height, width) = self._root / layout.VIDEO, self._size
        if self._data.num_rows * height * width * 3 > self._largest:
            raise WrongError(layout.VIDEO, f"it unpacks to more than {self._largest // 2**20} MB")
        found = np.empty((self._data.num_rows, height, width, 3), np.uint8)
        number = 0
        try:
            with av.open(str(path)) as container:
                container.streams.video[0].codec_context.thread_count = 1  # one is all it may have
                for frame in container.decode(video=0):
                    if number == len(found) or (frame.height, frame.width) != self._size:
                        raise ValueError("it has other frames")
                    found[number] = frame.to_ndarray(format="rgb24", threads=1)
                    number += 1
        except (av.FFmpegError, ValueError, IndexError) as error:
            raise WrongError(
                layout.VIDEO, f"is not the video of these episodes: {error}"
            ) from error
        if number != len(found):
            raise WrongError(layout.VIDEO, f"has {number} frames, not {len(found)}")
        return found

    def _check_info(self) -> tuple[bool, tuple[int, int]]:
        """Whether frames are pictures, and their size; `features` must be what we would write."""
        try:
            version = self._info["codebase_version"]
            if version != layout.CODEBASE_VERSION:
                raise ValueError(f"codebase_version is {version}, not {layout.CODEBASE_VERSION}")
            described = self._info["features"]
            height, width, _ = described[CAMERA]["shape"]
            names, images = described["action"]["names"], described[CAMERA]["dtype"] == "image"
            wanted = layout.features(names, (height, width), images=images)
            for name in [*wanted, *described]:
                if described.get(name) != wanted.get(name):
                    raise ValueError(f"the feature {name} is not as a studio writes it")
            for name in ("total_episodes", "total_frames"):
                if type(self._info[name]) is not int:
                    raise ValueError(f"{name} must be a whole number")
            if self._info["fps"] != FRAMES_PER_SECOND:
                raise ValueError(f"fps is {self._info['fps']}, not {FRAMES_PER_SECOND}")
        except (AttributeError, *_UNREADABLE) as error:
            raise WrongError(layout.INFO, _words(error)) from error
        return images, (height, width)

    def _read_tasks(self) -> list[str]:
        table = self._table(layout.TASKS, None)
        if {"task", "task_index"} - set(table.column_names):
            raise WrongError(layout.TASKS, "needs the columns task and task_index")
        if table["task_index"].to_pylist() != list(range(table.num_rows)):
            raise WrongError(layout.TASKS, "task_index must count from 0")
        names: list[str] = table["task"].to_pylist()
        return names

    def _table(self, name: str, schema: pa.Schema | None) -> pa.Table:
        try:
            # Without a buffer ahead, for it takes threads, which the sandbox has none of.
            with pq.ParquetFile(self._root / name, pre_buffer=False) as file:
                about = file.metadata
                groups = [about.row_group(i).total_byte_size for i in range(about.num_row_groups)]
                if sum(groups) > self._largest or about.num_rows > MOST_ROWS:
                    raise ValueError(f"it unpacks to more than {self._largest // 2**20} MB")
                if schema is not None and not file.schema_arrow.equals(schema):
                    raise ValueError("its columns are not as a studio writes them")
                return file.read(use_threads=False)
        except (pa.ArrowException, *_UNREADABLE) as error:
            raise WrongError(name, error) from error

    def _json(self, name: str) -> dict[str, Any]:
        try:
            values = json.loads((self._root / name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise WrongError(name, f"is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise WrongError(name, "must be an object")
        return values


def picture(data: bytes, size: tuple[int, int]) -> Frames:
    """The frame [h, w, 3] of a PNG.

    Raises:
        ValueError, OSError: another picture, or none.
    """
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        if (image.height, image.width, image.mode) != (*size, "RGB"):
            raise ValueError("the picture has another size")
        return np.array(image)


def _actions(rows: pa.Table) -> Any:
    column = rows["action"].combine_chunks()
    if column.null_count or pc.list_flatten(column).null_count:
        raise ValueError("an action is missing")
    return pc.list_flatten(column).to_numpy().reshape(len(column), -1)


def _item(kept: dict[str, Any], frames: Frames, actions: Any) -> LabelledEpisode:
    record = json.loads(kept["record"])
    with zipfile.ZipFile(io.BytesIO(kept["arrays"])) as archive:
        check_size(archive, LARGEST)
    with np.load(io.BytesIO(kept["arrays"]), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    labels = {"events": json.loads(kept["labels"]), "standing": kept["standing"]}
    return item_from(record, labels, frames=frames, actions=actions, arrays=arrays)


def _words(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
