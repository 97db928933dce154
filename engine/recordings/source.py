"""A path to the source that reads it."""

from pathlib import Path

from engine.recordings.description import Source, UnusableError
from engine.recordings.films import FilmsSource
from engine.recordings.hdf5 import HDF5Source, is_hdf5
from engine.recordings.lerobot import INFO, LeRobotSource
from engine.recordings.wmpo_tar import TarSource, TarsSource, is_tar

KNOWN = (
    "a LeRobot dataset (v3.0, v2.1), a robomimic, MimicGen or LIBERO HDF5 file, a WMPO tar "
    "or a folder of them, or a folder of .mp4 with a .csv or .parquet beside each"
)


def open_source(path: Path, *, filter_key: str = "") -> Source:
    """The source of a file or a folder, by what it holds.

    Raises:
        UnusableError: it is of no known format, or damaged.
    """
    if path.is_dir():
        root = dataset_root(path)
        if (root / INFO).is_file():
            return LeRobotSource(root)
        tars = sorted(path for path in root.glob("*.tar") if not path.name.startswith("."))
        return TarsSource(tars) if tars else FilmsSource(root)
    if not path.is_file():
        raise UnusableError(path.name, "is not there")
    if is_hdf5(path):
        return HDF5Source(path, filter_key)
    if is_tar(path):
        return TarSource(path)
    raise UnusableError(path.name, f"is none of {KNOWN}")


def dataset_root(folder: Path) -> Path:
    """The folder itself, or the one in it that alone holds a dataset: archives often add one."""
    inside = [
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith((".", "__MACOSX"))
    ]
    has = (folder / INFO).is_file() or any([*folder.glob("*.mp4"), *folder.glob("*.tar")])
    return dataset_root(inside[0]) if not has and len(inside) == 1 else folder
