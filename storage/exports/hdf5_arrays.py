"""Plain arrays out of an HDF5 file from anybody; runs in the gate's sandbox (`robomimic` asks).

It is read by a child that may be killed, by names that the format fixes; every object on the way
must be a plain one, and nothing is read before all sizes are known. Only light modules are imported
here.
"""

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from engine.gate.formats.hdf5 import NotPlainError, plain_dataset, plain_group, plain_names

DATA, OURS, CAMERA = "data", "wmpo", "agentview_image"
ARRAYS = ("actions", "rewards", "dones")
OUR_ARRAYS = ("record", "arrays", "last_frame")
MOST_DEMOS = 10_000
UNKNOWN = "no studio wrote this: take it in as recordings, on Data or with python -m engine import"


def main(arguments: list[str]) -> dict[str, Any]:
    """In the child: copy the arrays of a file into an .npz; {} or {place, reason}."""
    source, target, largest = arguments
    try:
        with h5py.File(source, "r", locking=False) as file:
            found = dict(_wanted(file))
            if sum(dataset.nbytes for dataset in found.values()) > int(largest):
                raise NotPlainError(DATA, f"it unpacks to more than {int(largest) // 2**20} MB")
            arrays = {place: dataset[()] for place, dataset in found.items()}
    except NotPlainError as wrong:
        place, reason = wrong.args
        return {"place": place, "reason": reason}
    except (OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        return {"place": "file", "reason": f"it is damaged, or no HDF5 file: {error}"}
    np.savez(target, allow_pickle=False, **arrays)
    return {}


def _wanted(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    data = plain_group(file, DATA, DATA)
    demos = plain_names(data, DATA, MOST_DEMOS)
    if OURS not in file:
        raise NotPlainError("file", UNKNOWN)
    ours = plain_group(file, OURS, OURS)
    if not demos:
        raise NotPlainError(DATA, "no demonstration is there")
    for name in demos:
        place = f"{DATA}/{name}"
        if not (name.startswith("demo_") and name[5:].isascii() and name[5:].isdigit()):
            raise NotPlainError(place, "is not a demonstration's name (demo_0, demo_1, …)")
        demo = plain_group(data, name, place)
        for part in ARRAYS:
            if part == "actions" or part in demo:
                yield f"{place}/{part}", plain_dataset(demo, part, f"{place}/{part}")
        pictures = plain_group(demo, "obs", f"{place}/obs")
        yield f"{place}/obs/{CAMERA}", plain_dataset(pictures, CAMERA, f"{place}/obs/{CAMERA}")
        kept = plain_group(ours, name, f"{OURS}/{name}")
        for part in OUR_ARRAYS:
            yield f"{OURS}/{name}/{part}", plain_dataset(kept, part, f"{OURS}/{name}/{part}")
