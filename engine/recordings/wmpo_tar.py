"""WMPO's WebDataset tars, as the paper's collector writes them (method.md §5).

A sample has `video.npy` [steps + 1, h, w, 3], `action.npy` [steps, a], `meta.json` with `complete`
and `finish_step`, after which both are zeros. Folders, what macOS puts beside a file and members
of other names are passed over and counted.
"""

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.gate.formats.arrays import read_npy
from engine.recordings.description import Array, Cut, Episode, UnusableError, View, cut_frames

VIDEO, ACTION, META = "video.npy", "action.npy", "meta.json"
NEEDED = (VIDEO, ACTION, META)
MOST_MEMBERS, LARGEST = 1_000_000, 2**31


class TarSource:
    """One tar; never a compressed one.

    Raises:
        UnusableError: it is damaged, or lacks a part of a sample.
    """

    kind = "WMPO WebDataset tar"
    fps = None
    action_names: tuple[str, ...] = ()
    states: Mapping[str, int] = {}
    success_found = "complete in meta.json"

    def __init__(self, path: Path) -> None:
        self._name, self._passed_over = path.name, 0
        try:
            self._archive = tarfile.open(path, "r:")  # noqa: SIM115
            self._samples = self._find_samples()
        except (tarfile.TarError, EOFError, OSError, OverflowError) as error:
            raise UnusableError(self._name, f"is damaged, or no tar: {error}") from error
        if not self._samples:
            raise UnusableError(self._name, "holds no sample (video.npy, action.npy, meta.json)")
        self._keys = sorted(self._samples)
        self._last: tuple[str, Array] = ("", np.zeros(0))

    def check(self) -> None:
        first = self._video(self._keys[0]).shape[1:]
        for key in self._keys:
            if self._video(key).shape[1:] != first:
                raise UnusableError(f"{self._name}, {key}.{VIDEO}", "has pictures of another size")

    @property
    def views(self) -> list[View]:
        height, width = self._video(self._keys[0]).shape[1:3]
        return [View(name="video", height=height, width=width, stored="uint8")]

    @property
    def notes(self) -> list[str]:
        count = self._passed_over
        return [f"{count} other member{'s' * (count > 1)} passed over"] if count else []

    @property
    def count(self) -> int:
        return len(self._keys)

    def episode(self, index: int) -> Episode:
        key = self._keys[index]
        return Episode(
            name=key,
            steps=len(self.actions(index)),
            frames=self.num_frames(index),
            instruction="",
            success=self._meta(key)["complete"],
        )

    def num_frames(self, index: int) -> int:
        key = self._keys[index]
        return min(self._meta(key)["finish_step"] + 1, len(self._video(key)))

    def actions(self, index: int) -> Array:
        key = self._keys[index]
        return self._array(key, ACTION)[: self._meta(key)["finish_step"]]

    def frames(self, index: int, view: str, cut: Cut | None = None) -> Iterator[Array]:
        yield from cut_frames(self._video(self._keys[index])[: self.num_frames(index)], cut)

    def _find_samples(self) -> dict[str, dict[str, tarfile.TarInfo]]:
        found: dict[str, dict[str, tarfile.TarInfo]] = {}
        for count, member in enumerate(self._archive):
            if count > MOST_MEMBERS:
                raise UnusableError(self._name, f"has more than {MOST_MEMBERS:,} members")
            path = member.name.removeprefix("./")
            folder, _, base = path.rpartition("/")
            key, dot, kind = base.partition(".")
            if not member.isreg() or member.issparse():
                if not member.isdir():
                    raise UnusableError(f"{self._name}, {member.name}", "is a link or a device")
                continue
            if not key or not dot or kind not in NEEDED:
                self._passed_over += kind != "state_id.npy"
                continue
            sample = found.setdefault(f"{folder}/{key}" if folder else key, {})
            if kind in sample:
                raise UnusableError(f"{self._name}, {member.name}", "is there twice")
            if member.size > LARGEST:
                raise UnusableError(f"{self._name}, {member.name}", "is larger than 2 GB")
            sample[kind] = member
        return found

    def _content(self, key: str, kind: str) -> bytes:
        member = self._samples[key].get(kind)
        if member is None:
            raise UnusableError(f"{self._name}, {key}.{kind}", "is missing")
        stream = self._archive.extractfile(member)
        data = stream.read() if stream else b""
        if len(data) != member.size:
            raise UnusableError(f"{self._name}, {key}.{kind}", "is cut off")
        return data

    def _array(self, key: str, kind: str) -> Array:
        try:
            return read_npy(self._content(key, kind))
        except UnusableError:
            raise
        except ValueError as error:
            raise UnusableError(f"{self._name}, {key}.{kind}", error) from error

    def _video(self, key: str) -> Array:
        if self._last[0] == key:
            return self._last[1]
        video = self._array(key, VIDEO)
        if video.ndim != 4 or video.shape[-1] != 3 or video.dtype != np.uint8:
            raise UnusableError(
                f"{self._name}, {key}.{VIDEO}",
                f"must be uint8 [t, h, w, 3], not {video.dtype} {list(video.shape)}",
            )
        self._last = (key, video)
        return video

    def _meta(self, key: str) -> dict[str, Any]:
        place = f"{self._name}, {key}.{META}"
        try:
            meta: Any = json.loads(self._content(key, META))
            step, complete = meta["finish_step"], meta["complete"]
        except UnusableError:
            raise
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise UnusableError(place, f"needs finish_step and complete: {error}") from error
        if type(step) is not int or step < 1 or type(complete) is not bool:
            raise UnusableError(place, f"finish_step {step!r:.40}, complete {complete!r:.40}")
        return {"finish_step": step, "complete": complete}


class TarsSource:
    """Several tars as one dataset, one behind the other: the shards that a collector writes.

    Raises:
        UnusableError: as of each.
    """

    kind, fps = "WMPO WebDataset tars", None
    action_names: tuple[str, ...] = ()
    states: Mapping[str, int] = {}
    success_found = TarSource.success_found

    def __init__(self, paths: Sequence[Path]) -> None:
        self._tars = {path.stem: TarSource(path) for path in paths}
        self._places = [
            (stem, index) for stem, tar in self._tars.items() for index in range(tar.count)
        ]

    def check(self) -> None:
        sizes = {stem: (one.height, one.width) for stem, tar in self._tars.items()
                 for one in tar.views}  # fmt: skip
        for stem, tar in self._tars.items():
            tar.check()
            if sizes[stem] != sizes[next(iter(sizes))]:
                raise UnusableError(f"{stem}.tar", "has pictures of another size than the others")

    @property
    def views(self) -> list[View]:
        return next(iter(self._tars.values())).views

    @property
    def notes(self) -> list[str]:
        return [f"{stem}.tar: {note}" for stem, tar in self._tars.items() for note in tar.notes]

    @property
    def count(self) -> int:
        return len(self._places)

    def episode(self, index: int) -> Episode:
        stem, at = self._places[index]
        found = self._tars[stem].episode(at)
        return replace(found, name=f"{stem}/{found.name}")

    def num_frames(self, index: int) -> int:
        stem, at = self._places[index]
        return self._tars[stem].num_frames(at)

    def actions(self, index: int) -> Array:
        stem, at = self._places[index]
        return self._tars[stem].actions(at)

    def frames(self, index: int, view: str, cut: Cut | None = None) -> Iterator[Array]:
        stem, at = self._places[index]
        yield from self._tars[stem].frames(at, view, cut)


def is_tar(path: Path) -> bool:
    """Whether a file begins as a tar does."""
    with path.open("rb") as stream:
        return stream.read(262)[257:] == b"ustar"
