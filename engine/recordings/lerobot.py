"""LeRobotDataset v3.0 and v2.1, as LeRobot's own writers lay them out.

Of v3.0, tables and videos hold many episodes each, and `meta/episodes` says where each lies; of
v2.1, an episode is a file. Row i is the frame before action i.
"""

import functools
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from engine.recordings.description import Array, Cut, Episode, UnusableError, View, cut_frames
from engine.recordings.lerobot_places import Place, places_of
from engine.recordings.tables import (
    column_names,
    column_vectors,
    read_columns,
    read_json,
    row_groups,
)
from engine.recordings.video import Videos, look

INFO = "meta/info.json"
VERSIONS = ("v3.0", "v2.1", "v2.0")
ACTION, SUCCESS, REWARD = "action", "next.success", "next.reward"
LARGEST_PICTURE = 4096 * 4096


class LeRobotSource:
    """A dataset in a folder.

    Raises:
        UnusableError: what LeRobot itself would not write.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._videos = root, Videos()
        info = read_json(root / INFO, INFO)
        self._version = str(info.get("codebase_version"))
        if self._version not in VERSIONS:
            raise UnusableError(
                INFO, f"codebase_version is {self._version}, not one of {', '.join(VERSIONS)}"
            )
        self._features = _features(info)
        self._fps = _fps(info)
        self._places = places_of(root, info, self._version, self._cameras("video"))
        self._kept: tuple[str, Any] = ("", None)
        self._steps: tuple[str, tuple[Array, dict[str, Array]]] = ("", (np.zeros((0, 0)), {}))
        self._has = column_names(root / self._places[0].data, self._places[0].data)
        if ACTION not in self._has:
            raise UnusableError(self._places[0].data, "has no column action")
        names = self._cameras("video", "image")
        if not names:
            raise UnusableError(INFO, "there is no camera: recordings of states alone are not read")
        self._views = [self._view(name) for name in names]

    def check(self) -> None:
        for view in self._views:
            self._check_there(view)

    @property
    def kind(self) -> str:
        return f"LeRobot {self._version}"

    @property
    def fps(self) -> float | None:
        return self._fps

    @property
    def views(self) -> list[View]:
        return self._views

    @property
    def action_names(self) -> list[str]:
        return _names(self._features[ACTION].get("names"))

    @property
    def states(self) -> Mapping[str, int]:
        return {
            name: int(np.prod(feature["shape"]))
            for name, feature in self._features.items()
            if name.startswith("observation.") and feature["dtype"] not in ("video", "image")
        }

    @property
    def notes(self) -> list[str]:
        noted = [] if list((self._root / "meta").glob("*stats*")) else ["there are no statistics"]
        return noted + (["its rewards are shaped: they say no success"] if self._shaped else [])

    @property
    def success_found(self) -> str:
        if SUCCESS in self._has:
            return SUCCESS
        return REWARD if REWARD in self._has and not self._shaped else ""

    @property
    def count(self) -> int:
        return len(self._places)

    def episode(self, index: int) -> Episode:
        place, found = self._places[index], self.success_found
        success, at = None, None
        if found:
            hits = np.flatnonzero(self._rows(place)[1][found] > 0)
            success, at = bool(len(hits)), int(hits[0]) if len(hits) else None
        return Episode(
            name=str(place.number),
            steps=place.length,
            frames=place.length,
            instruction=place.instruction,
            success=success,
            succeeded_at=at,
        )

    def num_frames(self, index: int) -> int:
        return self._places[index].length

    def actions(self, index: int) -> Array:
        return self._rows(self._places[index])[0]

    def frames(self, index: int, view: str, cut: Cut | None = None) -> Iterator[Array]:
        place = self._places[index]
        if self._features[view]["dtype"] == "image":
            yield from cut_frames(self._pictures(place, view), cut)
            return
        name, start = place.videos[view]
        yield from self._videos.frames(
            self._root / name, name, start=start, fps=self._fps, count=place.length, cut=cut
        )

    def _cameras(self, *kinds: str) -> list[str]:
        return [name for name, about in self._features.items() if about["dtype"] in kinds]

    def _view(self, name: str) -> View:
        feature, place = self._features[name], self._places[0]
        if feature["dtype"] == "image":
            first = next(self._pictures(place, name))
            return View(name=name, height=first.shape[0], width=first.shape[1], stored="pictures")
        if name not in place.videos:
            raise UnusableError(f"episode {place.number}", f"the camera {name} is missing")
        video = place.videos[name][0]
        about = look(self._root / video, video)
        return View(name=name, height=about.height, width=about.width, stored=about.codec)

    def _check_there(self, view: View) -> None:
        """Every episode has the camera, in one size, and its video is long enough."""
        needed: dict[str, tuple[int, int]] = {}
        for place in self._places:
            if self._features[view.name]["dtype"] == "image":
                continue
            if view.name not in place.videos:
                raise UnusableError(f"episode {place.number}", f"the camera {view.name} is missing")
            video, start = place.videos[view.name]
            if not (self._root / video).is_file():
                raise UnusableError(video, f"is missing: episode {place.number} needs it")
            last = round(start * self._fps) + place.length
            needed[video] = max(needed.get(video, (0, 0)), (last, place.number))
        for video, (last, number) in needed.items():
            about = look(self._root / video, video)
            if (about.height, about.width) != (view.height, view.width):
                raise UnusableError(
                    video,
                    f"is {about.height}×{about.width}, other videos of {view.name} are "
                    f"{view.height}×{view.width}",
                )
            if about.frames < last:
                raise UnusableError(
                    video,
                    f"has {about.frames} frames, but episode {number} ends at {last}",
                )

    @functools.cached_property
    def _shaped(self) -> bool:
        """Whether rewards are other than 0 and 1, and nothing else says what succeeded."""
        if SUCCESS in self._has or REWARD not in self._has:
            return False
        return any(
            not np.isin(self._rows(place)[1][REWARD], (0.0, 1.0)).all() for place in self._places
        )

    def _rows(self, place: Place) -> tuple[Array, dict[str, Array]]:
        """Actions of an episode, and what else its rows say; the last table is kept."""
        if self._steps[0] != place.data:
            self._steps = (place.data, self._steps_of(place.data))
        values, beside = self._steps[1]
        rows = slice(place.first, place.first + place.length)
        own = beside["episode_index"][rows]
        if len(own) != place.length:
            raise UnusableError(place.data, f"ends before episode {place.number} does", len(values))
        if (own != place.number).any():
            at = place.first + int(np.argmax(own != place.number))
            raise UnusableError(place.data, f"is not of episode {place.number}", at)
        return values[rows], {name: column[rows] for name, column in beside.items()}

    def _steps_of(self, name: str) -> tuple[Array, dict[str, Array]]:
        wanted = [ACTION, "episode_index", *(n for n in (SUCCESS, REWARD) if n in self._has)]
        table = read_columns(self._root / name, name, wanted)
        beside = {
            column: column_vectors(table[column], f"{name}, {column}")[:, 0]
            for column in wanted
            if column != ACTION
        }
        if REWARD in beside and not np.isfinite(beside[REWARD]).all():
            at = int(np.argmax(~np.isfinite(beside[REWARD])))
            raise UnusableError(name, "the reward is not a number", at)
        return column_vectors(table[ACTION], f"{name}, {ACTION}"), beside

    def _pictures(self, place: Place, view: str) -> Iterator[Array]:
        first, last = place.first, place.first + place.length
        size: tuple[int, ...] | None = None
        for at, cell in self._cells(place.data, view, first, last):
            try:
                if not isinstance(cell, dict) or not cell.get("bytes"):
                    raise ValueError("its bytes are not in the table")
                frame = _picture(cell["bytes"])
            except (ValueError, OSError) as error:
                where = f"{place.data}, {view}"
                raise UnusableError(where, f"is no picture: {error}", at) from error
            size = size or frame.shape
            if frame.shape != size:
                raise UnusableError(f"{place.data}, {view}", "has another size", at)
            yield frame

    def _cells(self, name: str, column: str, first: int, last: int) -> Iterator[tuple[int, Any]]:
        """Rows of a column; the row group that was read last is kept for the next episode."""
        begin = 0
        for number, size in enumerate(_group_sizes(self._root / name, name)):
            if begin < last and begin + size > first:
                key = f"{name}/{column}/{number}"
                if self._kept[0] != key:
                    groups = row_groups(self._root / name, name, [column])
                    table = next(part for at, part in enumerate(groups) if at == number)
                    self._kept = (key, table[column])
                part = self._kept[1].slice(max(first - begin, 0), last - max(begin, first))
                for at, cell in enumerate(part, start=max(begin, first)):
                    yield at, cell.as_py()
            begin += size


def _group_sizes(path: Path, name: str) -> list[int]:
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            return [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        raise UnusableError(name, f"is damaged, or no Parquet file: {error}") from error


def _picture(data: bytes) -> Array:
    with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
        if image.width * image.height > LARGEST_PICTURE:
            raise ValueError(f"{image.height}×{image.width} is too large")
        return np.asarray(image.convert("RGB"))


def _features(info: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    features = info.get("features")
    if not isinstance(features, dict):
        raise UnusableError(INFO, "needs features")
    for name, about in features.items():
        shape = about.get("shape") if isinstance(about, dict) else None
        if not isinstance(shape, list) or not isinstance(about.get("dtype"), str):
            raise UnusableError(INFO, f"the feature {name} needs a dtype and a shape")
    if ACTION not in features:
        raise UnusableError(INFO, "there is no feature action")
    return features


def _fps(info: Mapping[str, Any]) -> float:
    fps = info.get("fps")
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0 < fps <= 1000:
        raise UnusableError(INFO, f"fps is {fps!r}, which is no pace")
    return float(fps)


def _names(given: Any) -> list[str]:
    """Names as a list, or as lists by what they are of."""
    if isinstance(given, dict):
        given = [name for part in given.values() if isinstance(part, list) for name in part]
    if not isinstance(given, list):
        return []
    return [str(name)[:64] for name in given]
