"""HDF5 files of robomimic, MimicGen and LIBERO: `data/demo_N` with actions and pictures in `obs`.

Row i is the frame before action i. Pictures are any dataset under `obs` that looks like some:
uint8 or shares of 1, channels first or last. Only the filter key that is asked for is read, and of
each recording one camera.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from engine.gate.formats.hdf5 import NotPlainError, plain_dataset, plain_group, plain_names
from engine.recordings.description import Array, Cut, Episode, UnusableError, View, cut_frames
from engine.recordings.video import as_bytes

MAGIC = b"\x89HDF\r\n\x1a\n"
MOST_DEMOS, MOST_NAMES = 100_000, 1_000
SMALLEST, LARGEST = 8, 4_096  # sides of a picture
DAMAGED = (OSError, RuntimeError, LookupError, TypeError)


class HDF5Source:
    """One file.

    Args:
        filter_key: name under `mask` of the recordings that are read; empty: all.

    Raises:
        UnusableError: it is damaged, or holds no recordings with pictures.
    """

    kind = "robomimic HDF5"

    def __init__(self, path: Path, filter_key: str = "") -> None:
        self._name = path.name
        try:
            self._file = h5py.File(path, "r", locking=False)
            self._data = plain_group(self._file, "data", "data")
            self._demos = self._chosen(filter_key)
            self._said = _words_of(self._data)
            self._views, self._first = self._find_views()
        except NotPlainError as wrong:
            place, reason = wrong.args
            raise UnusableError(f"{self._name}, {place}", reason) from wrong
        except DAMAGED as error:
            raise UnusableError(self._name, f"is damaged, or no HDF5 file: {error}") from error

    def check(self) -> None:
        for demo in self._demos:
            for view in self._views:
                size = _picture_size(self._pictures(demo, view.name))
                if size is None or size[:2] != (view.height, view.width):
                    place = f"{self._name}, data/{demo}/obs/{view.name}"
                    raise UnusableError(place, "has pictures of another size")
        for demo, rewards in zip(self._demos, self._rewards, strict=True):
            if rewards is not None and not np.isfinite(rewards).all():
                row = int(np.argmax(~np.isfinite(rewards)))
                place = f"{self._name}, data/{demo}/rewards"
                raise UnusableError(place, "the reward is not a number", row)

    @property
    def fps(self) -> float | None:
        return None

    @property
    def views(self) -> list[View]:
        return self._views

    @property
    def action_names(self) -> list[str]:
        return []

    @property
    def states(self) -> Mapping[str, int]:
        pictures = plain_group(self._demo(self._demos[0]), "obs", "obs")
        shapes = {name: pictures[name] for name in plain_names(pictures, "obs", MOST_NAMES)}
        return {
            name: int(np.prod(found.shape[1:]))
            for name, found in shapes.items()
            if isinstance(found, h5py.Dataset) and found.ndim <= 2
        }

    @property
    def notes(self) -> list[str]:
        noted = []
        if any(view.name in self._first for view in self._views):
            noted.append("channels come first in the file: they are moved last")
        if any("float" in view.stored for view in self._views):
            noted.append("pictures are shares of 1: they are rounded to 256 levels")
        if not any(rewards is not None for rewards in self._rewards):
            noted.append(
                "there are no rewards: the file holds demonstrations, which are kept when they "
                "succeed, so all count as successes"
            )
        elif not self.success_found:
            noted.append("the rewards are shaped: they do not say what succeeded")
        return noted

    @property
    def success_found(self) -> str:
        given = [rewards for rewards in self._rewards if rewards is not None]
        if not given:
            return "a file of demonstrations without rewards"
        sparse = all(np.isin(rewards, (0.0, 1.0)).all() for rewards in given)
        return "rewards" if sparse else ""

    @property
    def count(self) -> int:
        return len(self._demos)

    def num_frames(self, index: int) -> int:
        return len(self._pictures(self._demos[index], self._views[0].name))

    def actions(self, index: int) -> Array:
        return np.asarray(self._numbers(index, "actions"))

    def frames(self, index: int, view: str, cut: Cut | None = None) -> Iterator[Array]:
        yield from cut_frames(self._whole_frames(index, view), cut)

    def _whole_frames(self, index: int, view: str) -> Iterator[Array]:
        demo = self._demos[index]
        place = f"{self._name}, data/{demo}/obs/{view}"
        try:
            pictures = self._pictures(demo, view)
            for row in range(len(pictures)):
                frame = pictures[row]
                if view in self._first:
                    frame = np.moveaxis(frame, 0, -1)
                yield as_bytes(frame)
        except ValueError as error:
            raise UnusableError(place, error, row) from error
        except DAMAGED as error:
            raise UnusableError(place, f"is damaged: {error}") from error

    def episode(self, index: int) -> Episode:
        found, rewards = self.success_found, self._rewards[index]
        if not found:
            success, hit = None, None
        elif rewards is None:
            success, hit = (True, None) if found != "rewards" else (None, None)
        else:
            hits = np.flatnonzero(rewards > 0)
            success, hit = bool(len(hits)), int(hits[0]) if len(hits) else None
        return Episode(
            name=self._demos[index],
            steps=len(self._numbers(index, "actions")),
            frames=self.num_frames(index),
            instruction=self._said,
            success=success,
            succeeded_at=hit,
        )

    def _chosen(self, key: str) -> list[str]:
        demos = plain_names(self._data, "data", MOST_DEMOS)
        if not demos:
            raise NotPlainError("data", "no demonstration is there")
        for name in demos:
            if not (name.startswith("demo_") and name[5:].isascii() and name[5:].isdigit()):
                raise NotPlainError(
                    f"data/{name}", "is not a demonstration's name (demo_0, demo_1, …)"
                )
        if not key:
            return demos
        masks = plain_group(self._file, "mask", "mask")
        if key not in masks or not isinstance(masks[key], h5py.Dataset):
            known = ", ".join(plain_names(masks, "mask", MOST_NAMES))
            raise NotPlainError("mask", f"has no filter key {key!r}: {known}")
        names = {str(name, "utf-8") for name in masks[key][()].ravel().tolist()}
        return [demo for demo in demos if demo in names]

    def _demo(self, name: str) -> h5py.Group:
        return plain_group(self._data, name, f"data/{name}")

    def _pictures(self, demo: str, view: str) -> h5py.Dataset:
        place = f"data/{demo}/obs"
        try:
            pictures = plain_group(self._demo(demo), "obs", place)
            return plain_dataset(pictures, view, f"{place}/{view}")
        except NotPlainError as wrong:
            raise UnusableError(f"{self._name}, {wrong.args[0]}", wrong.args[1]) from wrong

    def _find_views(self) -> tuple[list[View], set[str]]:
        """The cameras of the first recording, which all must have in the same size."""
        place = f"data/{self._demos[0]}/obs"
        pictures = plain_group(self._demo(self._demos[0]), "obs", place)
        views, first = [], set()
        for name in plain_names(pictures, place, MOST_NAMES):
            found = plain_dataset(pictures, name, f"{place}/{name}")
            size = _picture_size(found)
            if size is None:
                continue
            height, width, channels_first = size
            views.append(View(name=name, height=height, width=width, stored=str(found.dtype)))
            first |= {name} if channels_first else set()
        if not views:
            raise NotPlainError(
                place, "there are no pictures: recordings of states alone are not read here"
            )
        return views, first

    @functools.cached_property
    def _rewards(self) -> list[Array | None]:
        return [self._rewards_of(demo) for demo in self._demos]

    def _numbers(self, index: int, part: str) -> Any:
        """The values of a dataset of one recording."""
        place = f"data/{self._demos[index]}/{part}"
        try:
            return plain_dataset(self._demo(self._demos[index]), part, place)[()]
        except NotPlainError as wrong:
            raise UnusableError(f"{self._name}, {wrong.args[0]}", wrong.args[1]) from wrong
        except DAMAGED as error:
            raise UnusableError(f"{self._name}, {place}", f"is damaged: {error}") from error

    def _rewards_of(self, demo: str) -> Array | None:
        group = self._demo(demo)
        if "rewards" not in group:
            return None
        place = f"data/{demo}/rewards"
        return np.asarray(plain_dataset(group, "rewards", place)[()], np.float64).ravel()


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 does."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def _picture_size(found: h5py.Dataset) -> tuple[int, int, bool] | None:
    """(height, width, channels first) of a dataset of pictures; None for others."""
    if found.ndim != 4 or not (found.dtype == np.uint8 or found.dtype.kind == "f"):
        return None
    _, one, two, three = found.shape
    sides = range(SMALLEST, LARGEST + 1)
    if three == 3 and one in sides and two in sides:
        return int(one), int(two), False
    if one == 3 and two in sides and three in sides:
        return int(two), int(three), True
    return None


def _words_of(data: h5py.Group) -> str:
    """The instruction that LIBERO keeps beside its demonstrations; empty where there is none."""
    try:
        about: Any = json.loads(data.attrs.get("problem_info", "{}"))
        said = about.get("language_instruction", "") if isinstance(about, dict) else ""
        return " ".join(said) if isinstance(said, list) else str(said)
    except (ValueError, TypeError):
        return ""
