"""Plain arrays out of an HDF5 file from anybody; runs in the gate's sandbox (`robomimic` asks).

HDF5 can point anywhere (external links, virtual datasets, external storage), ask for code (filters
are plugins), and its C library has a history of crashes on damaged files. So it is read by a child
that may be killed, by names that the format fixes; every object on the way must be a plain one, and
nothing is read before all sizes are known. Only light modules are imported here.
"""

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from storage.exports.foreign_arrays import KINDS

DATA, OURS, CAMERA = "data", "wmpo", "agentview_image"
ARRAYS = ("actions", "rewards", "dones")
OUR_ARRAYS = ("record", "arrays", "last_frame")
MOST_DEMOS, MOST_NAMES = 10_000, 1_000


class _NotPlainError(Exception):
    """An object of the file (args: its place, what it is) that is not read."""


def main(arguments: list[str]) -> dict[str, Any]:
    """In the child: copy the arrays of a file into an .npz; {} or {place, reason}."""
    source, target, largest = arguments
    try:
        with h5py.File(source, "r", locking=False) as file:
            found = dict(_wanted(file))
            if sum(dataset.nbytes for dataset in found.values()) > int(largest):
                raise _NotPlainError(DATA, f"it unpacks to more than {int(largest) // 2**20} MB")
            arrays = {place: dataset[()] for place, dataset in found.items()}
    except _NotPlainError as wrong:
        place, reason = wrong.args
        return {"place": place, "reason": reason}
    except (OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        return {"place": "file", "reason": f"it is damaged, or no HDF5 file: {error}"}
    np.savez(target, allow_pickle=False, **arrays)
    return {}


def _wanted(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    data = _group(file, DATA, DATA)
    demos = _names(data, DATA, MOST_DEMOS)
    ours = _group(file, OURS, OURS) if OURS in file else None
    if not demos:
        raise _NotPlainError(DATA, "no demonstration is there")
    for name in demos:
        place = f"{DATA}/{name}"
        if not (name.startswith("demo_") and name[5:].isascii() and name[5:].isdigit()):
            raise _NotPlainError(place, "is not a demonstration's name (demo_0, demo_1, …)")
        demo = _group(data, name, place)
        for part in ARRAYS:
            if part == "actions" or part in demo:
                yield f"{place}/{part}", _dataset(demo, part, f"{place}/{part}")
        pictures = _group(demo, "obs", f"{place}/obs")
        camera = _camera(pictures, f"{place}/obs")
        yield f"{place}/obs/{camera}", _dataset(pictures, camera, f"{place}/obs/{camera}")
        if ours is not None:
            kept = _group(ours, name, f"{OURS}/{name}")
            for part in OUR_ARRAYS:
                yield f"{OURS}/{name}/{part}", _dataset(kept, part, f"{OURS}/{name}/{part}")


def _camera(pictures: h5py.Group, place: str) -> str:
    """The dataset of frames: ours by its name, else the first that has pictures."""
    if CAMERA in pictures:
        return CAMERA
    for name in _names(pictures, place, MOST_NAMES):
        found = _dataset(pictures, name, f"{place}/{name}")
        if found.dtype == np.uint8 and found.ndim == 4 and found.shape[-1] == 3:
            return name
    raise _NotPlainError(place, "no pictures (uint8 [t, h, w, 3]) are there")


def _names(group: h5py.Group, place: str, most: int) -> list[str]:
    if len(group) > most:
        raise _NotPlainError(place, f"has {len(group)} members, more than {most}")
    return sorted(group, key=lambda name: (len(name), name))


def _plain(group: h5py.Group, name: str, place: str, kind: type) -> Any:
    """A member that is there itself: no link of any kind is followed."""
    if name not in group:
        raise _NotPlainError(place, "is missing")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise _NotPlainError(place, "is a link, which is not followed")
    found = group[name]
    if not isinstance(found, kind):
        raise _NotPlainError(place, f"must be a {kind.__name__.lower()}")
    return found


def _group(parent: h5py.Group, name: str, place: str) -> h5py.Group:
    return _plain(parent, name, place, h5py.Group)


def _dataset(parent: h5py.Group, name: str, place: str) -> h5py.Dataset:
    found = _plain(parent, name, place, h5py.Dataset)
    if found.is_virtual or found.external:
        raise _NotPlainError(place, "keeps its values outside, where they are not fetched")
    if found.dtype.kind not in KINDS or found.dtype.subdtype is not None or found.shape is None:
        raise _NotPlainError(place, f"holds {found.dtype}, not numbers")
    filters = found.id.get_create_plist()
    kept = {filters.get_filter(at)[0] for at in range(filters.get_nfilters())}
    if kept - {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}:
        raise _NotPlainError(place, "is packed by a filter other than gzip")
    return found
