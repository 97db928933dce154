"""Episode directories on any file system that fsspec reaches."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from engine.records.episodes import write_episode
from engine.records.types import Trajectory

FILES = ("episode.npz", "episode.json")  # the record last: it says that the episode is whole


@contextmanager
def local_copy(location: str) -> Iterator[Path]:
    """An episode directory as a local path, fetched for the time being if it lies elsewhere.

    Args:
        location: a local path or a URI, from the index and never from a user.
    """
    filesystem, path = url_to_fs(location)
    if isinstance(filesystem, LocalFileSystem):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as directory:
        for name in FILES:
            filesystem.get_file(f"{path}/{name}", f"{directory}/{name}")
        yield Path(directory)


def put_episode(root: str, trajectory: Trajectory) -> None:
    """Write `root/<id>/`; an episode of that id that is already whole is kept as it is."""
    filesystem, path = url_to_fs(root)
    if isinstance(filesystem, LocalFileSystem):
        write_episode(Path(path), trajectory)
        return
    target = f"{path}/{trajectory.id}"
    if filesystem.exists(f"{target}/episode.json"):
        return
    with tempfile.TemporaryDirectory() as directory:
        written = write_episode(Path(directory), trajectory)
        filesystem.makedirs(target, exist_ok=True)
        for name in FILES:
            filesystem.put_file(str(written / name), f"{target}/{name}")


def remove_episode(root: str, episode_id: str) -> None:
    """Delete `root/<id>/`, in one step where the file system can rename."""
    filesystem, path = url_to_fs(f"{root.rstrip('/')}/{episode_id}")
    if not filesystem.exists(path):
        return
    if isinstance(filesystem, LocalFileSystem):
        doomed = Path(path).with_name(f".removed-{episode_id}")
        Path(path).rename(doomed)
        path = str(doomed)
    filesystem.rm(path, recursive=True)
