"""Objects of an HDF5 file that are there themselves: no links, no values elsewhere, no plugins.

HDF5 can point anywhere (external links, virtual datasets, external storage), ask for code (filters
are plugins), and its C library has a history of crashes on damaged files: so files of strangers are
opened in the sandbox alone, and every object on the way to a value must be a plain one.
"""

from typing import Any

import h5py

from engine.gate.formats.arrays import KINDS

LZF = 32000  # h5py brings it
PACKED_BY = {
    *(h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32),
    LZF,
}


class NotPlainError(Exception):
    """An object of the file (args: its place, what it is) that is not read."""


def plain_names(group: h5py.Group, place: str, most: int) -> list[str]:
    """The members of a group, numbers in their order."""
    if len(group) > most:
        raise NotPlainError(place, f"has {len(group)} members, more than {most}")
    return sorted(group, key=lambda name: (len(name), name))


def plain_group(parent: h5py.Group, name: str, place: str) -> h5py.Group:
    """A group that is there itself."""
    return _plain(parent, name, place, h5py.Group)


def plain_dataset(parent: h5py.Group, name: str, place: str) -> h5py.Dataset:
    """A dataset of numbers that is there itself."""
    found = _plain(parent, name, place, h5py.Dataset)
    if found.is_virtual or found.external:
        raise NotPlainError(place, "keeps its values outside, where they are not fetched")
    if found.dtype.kind not in KINDS or found.dtype.subdtype is not None or found.shape is None:
        raise NotPlainError(place, f"holds {found.dtype}, not numbers")
    filters = found.id.get_create_plist()
    if {filters.get_filter(at)[0] for at in range(filters.get_nfilters())} - PACKED_BY:
        raise NotPlainError(
            place, "is packed by a filter other than gzip or LZF: h5repack -f GZIP=4 mends it"
        )
    return found


def _plain(group: h5py.Group, name: str, place: str, kind: type) -> Any:
    """A member that is there itself: no link of any kind is followed."""
    if name not in group:
        raise NotPlainError(place, "is missing")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise NotPlainError(place, "is a link, which is not followed")
    found = group[name]
    if not isinstance(found, kind):
        raise NotPlainError(place, f"must be a {kind.__name__.lower()}")
    return found
