"""An episode directory as one file, `NAME.wmpo.zip`, for exact exchange between studios."""

import io
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from engine.records.episodes import read_episode, write_episode
from engine.records.manifest import MANIFEST, verify_manifest, write_manifest
from engine.records.types import Trajectory

FILES = ("episode.npz", "episode.json", MANIFEST)
LARGEST = 256 * 2**20  # bytes of all arrays together
MOST_FRAMES = 4_096
FOREIGN = "that is no episode exported from a studio (.wmpo.zip)"


def pack(trajectory: Trajectory) -> bytes:
    """The episode with the hashes of its files."""
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as root:
        directory = write_episode(Path(root), trajectory)
        write_manifest(directory)
        with zipfile.ZipFile(buffer, "w") as archive:  # the arrays are compressed already
            for name in FILES:
                archive.write(directory / name, name)
    return buffer.getvalue()


def unpack(data: bytes, *, largest: int = LARGEST) -> Trajectory:
    """The episode of what `pack` made.

    Args:
        largest: most bytes that it may unpack to.

    Raises:
        ValueError: anything else, in a sentence.
    """
    with tempfile.TemporaryDirectory() as root:
        directory = Path(root)
        with foreign_zip(io.BytesIO(data), FOREIGN) as archive:
            if sorted(archive.namelist()) != sorted(FILES):
                raise ValueError(FOREIGN)
            check_size(archive, largest)
            archive.extractall(directory)
        with foreign_zip(directory / "episode.npz", FOREIGN) as arrays:
            check_size(arrays, largest)
        try:
            verify_manifest(directory)
            trajectory = read_episode(directory)
        except ValueError as error:
            raise ValueError("this exported episode is damaged: export it again") from error
    check_plausible(trajectory)
    return trajectory


@contextmanager
def foreign_zip(source: Path | IO[bytes], sentence: str) -> Iterator[zipfile.ZipFile]:
    """An archive of unknown origin.

    Raises:
        ValueError: with that sentence, if it cannot be read as a zip file, or not unpacked.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise ValueError(sentence) from error


def check_size(archive: zipfile.ZipFile, largest: int) -> None:
    """Refuse an archive that unpacks to more bytes than that."""
    if sum(member.file_size for member in archive.infolist()) > largest:
        raise ValueError(f"this episode unpacks to more than {largest // 2**20} MB")


def check_plausible(trajectory: Trajectory) -> None:
    """Refuse what no studio records: too many frames, odd actions, an end that is no step."""
    if len(trajectory.frames) > MOST_FRAMES:
        raise ValueError(f"an episode may have {MOST_FRAMES} frames, not {len(trajectory.frames)}")
    if trajectory.actions.dtype != np.float32 or not np.isfinite(trajectory.actions).all():
        raise ValueError("the actions of this episode are not finite float32 numbers")
    if not 0 <= trajectory.outcome.end_step <= len(trajectory.actions):
        raise ValueError("the end step of this episode is not one of its steps")
