"""Files of many episodes: the formats that are written, and any of them recognised and read."""

import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from storage.exports.bundle import LARGEST, unpack
from storage.exports.contents import Contents, LabelledEpisode
from storage.exports.foreign_episodes import read_in_sandbox
from storage.exports.lerobot.reading import is_lerobot, unpack_lerobot
from storage.exports.lerobot.writing import write_lerobot
from storage.exports.robomimic import is_hdf5, read_robomimic, write_robomimic
from storage.exports.wmpo_tar import is_tar, read_wmpo_tar, write_wmpo_tar

FOREIGN = (
    "that is no file of episodes: an exact copy (.wmpo.zip), a LeRobot dataset, a WMPO tar or "
    "robomimic HDF5"
)


def write_lerobot_zip(path: Path, items: Iterable[LabelledEpisode]) -> None:
    """A LeRobotDataset as one zip; see `write_lerobot`."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as directory:
        root = Path(directory)
        write_lerobot(root, items)
        with zipfile.ZipFile(path, "w") as archive:  # its files are compressed already
            for file in sorted(root.rglob("*.*")):
                if file.is_file():
                    archive.write(file, file.relative_to(root).as_posix())


# format -> (end of the file's name, writer)
FORMATS: dict[str, tuple[str, Callable[[Path, Iterable[LabelledEpisode]], None]]] = {
    "lerobot": (".lerobot.zip", write_lerobot_zip),
    "wmpo": (".wmpo.tar", write_wmpo_tar),
    "robomimic": (".hdf5", write_robomimic),
}


def read_episodes(path: Path, *, largest: int = LARGEST) -> Contents:
    """The episodes of a file in any format that an episode is exported in.

    Args:
        largest: most bytes that it may unpack to.

    Raises:
        ValueError: it is of none of them, or too large.
    """
    if is_hdf5(path):
        return read_robomimic(path, largest=largest)
    return read_in_sandbox(__name__, path, largest=largest)


def read_here(path: Path, *, largest: int = LARGEST) -> Contents:
    """As `read_episodes`, but for HDF5, in this process: it may be killed, and has limits.

    Raises:
        ValueError: as `read_episodes`.
    """
    if is_tar(path):
        return read_wmpo_tar(path, largest=largest)
    if not zipfile.is_zipfile(path):
        raise ValueError(FOREIGN)
    if path.stat().st_size > largest:
        raise ValueError(f"a file of episodes may have {largest // 2**20} MB")
    data = path.read_bytes()
    if is_lerobot(data):
        return unpack_lerobot(data, largest=largest)
    return Contents((LabelledEpisode(episode=unpack(data, largest=largest)),), ())
