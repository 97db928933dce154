"""One file with everything a studio must not lose, and a data directory made from one.

A backup is a tar: the data directory's files under their own names, and last `manifest.json` with
the size and hash of each. What can be fetched or made again is left out: downloads, films, files
that were handed out, other backups. The database is a copy that DuckDB makes (the live file is
never read), taken first: whatever comes after it is in the label twin and the run logs too, from
which opening the directory brings the database up to date.
"""

import hashlib
import json
import shutil
import stat
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import duckdb

from engine.records.durable import move_durably
from storage.cabinet import Cabinet
from storage.database import Database
from storage.workspace import Workspace

FORMAT, MANIFEST = "wmpo-studio backup 1", "manifest.json"
LARGEST_MANIFEST = 256 * 2**20
LEFT_OUT = ("downloads", "thumbnails", "exports", "backups", "quarantine")
WEIGHTS = "checkpoints"  # of runs and adopted ones: most of the bytes
FOREIGN = "that is no backup of a studio"

Progress = Callable[[int, int], None]  # (bytes done, bytes in all)


@dataclass(frozen=True)
class Backup:
    """What a backup holds."""

    files: int
    bytes: int
    labels: int
    episodes: int
    made: float
    checkpoints: bool


def back_up(cabinet: Cabinet, target: Path, *, checkpoints: bool, progress: Progress) -> Backup:
    """Write a backup; it appears whole or not at all.

    Args:
        checkpoints: with the weights of runs and of adopted checkpoints.
        progress: told after each file; may raise to stop.

    Raises:
        OSError: it cannot be written (a full disk): nothing is left of it.
    """
    room = Path(tempfile.mkdtemp(dir=cabinet.workspace.exports, prefix=".partial-backup-"))
    try:
        copy = cabinet.database.backup(f"{room.name}/{cabinet.workspace.database.name}")
        [counts] = cabinet.database.read(
            "select (select count(*) from label_events) as labels,"
            " (select count(*) from episodes) as episodes"
        )
        files = list(_files(cabinet.workspace, checkpoints=checkpoints))
        sizes = {path: path.stat().st_size for path in (copy, *files) if path.exists()}
        done, entries = 0, []
        partial = room / "archive"
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as archive:
            for path in (copy, *files):
                root = room if path == copy else cabinet.workspace.root
                entry = _add(archive, path, path.relative_to(root).as_posix())
                if entry is not None:
                    entries.append(entry)
                    done += entry["bytes"]
                    progress(done, max(done, sum(sizes.values())))
            made = {**counts, "made": time.time(), "checkpoints": checkpoints}
            manifest = json.dumps({"format": FORMAT, **made, "files": entries}).encode()
            (room / MANIFEST).write_bytes(manifest)
            _add(archive, room / MANIFEST, MANIFEST)
        move_durably(partial, target)
        return Backup(files=len(entries), bytes=target.stat().st_size, **made)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def examine(archive: Path, *, progress: Progress) -> Backup:
    """Read a whole backup and check every hash; what it holds.

    Raises:
        ValueError: it is none, or damaged, with the first file that is.
    """
    return _read(archive, None, progress)


def restore(archive: Path, root: Path, *, progress: Progress) -> Backup:
    """Make a data directory from a backup; it appears whole or not at all.

    Args:
        root: a place where nothing is yet, or an empty directory.

    Raises:
        ValueError: the backup is none or damaged, or the place is taken.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ValueError(f"{root} is not empty: a backup is restored into an empty place")
    needed = archive.stat().st_size
    root.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(root.parent).free < needed * 1.05:
        raise ValueError(f"{root.parent} has less room than the {needed // 2**20} MB it takes")
    partial = Path(tempfile.mkdtemp(dir=root.parent, prefix=".partial-restore-"))
    try:
        found = _read(archive, partial, progress)
        _check_database(partial, found)
        partial.chmod(0o755)
        if root.exists():
            root.rmdir()
        move_durably(partial, root)
        return found
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _files(workspace: Workspace, *, checkpoints: bool) -> Iterator[Path]:
    for path in sorted(workspace.root.rglob("*")):
        parts = path.relative_to(workspace.root).parts
        if any(part.startswith(".") for part in parts) or parts[0] in LEFT_OUT:
            continue
        if parts[0].startswith(workspace.database.name) or path.name == "lock":
            continue
        if WEIGHTS in parts[:-1] and not checkpoints:
            continue
        if path.is_file() and not path.is_symlink():
            yield path


class _Hashed:
    """A stream that remembers the hash of what was read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        block = self._stream.read(size)
        self.digest.update(block)
        return block


def _add(archive: tarfile.TarFile, path: Path, name: str) -> dict[str, Any] | None:
    """Put a file into the archive, as long as it is now; None if it is gone meanwhile."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return None  # a run deleted an old checkpoint of its own
    with stream:
        about = tarfile.TarInfo(name)
        about.size, about.mtime = path.stat().st_size, int(path.stat().st_mtime)
        hashed = _Hashed(stream)
        archive.addfile(about, hashed)
    return {"name": name, "bytes": about.size, "sha256": hashed.digest.hexdigest()}


def _read(archive: Path, target: Path | None, progress: Progress) -> Backup:
    """Check a backup and, with a target, unpack it there."""
    seen: dict[str, tuple[int, str]] = {}
    manifest: Mapping[str, Any] | None = None
    done, total = 0, archive.stat().st_size
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                if manifest is not None:
                    raise ValueError(f"{FOREIGN}: something follows its manifest")
                name = _checked(member)
                stream = tar.extractfile(member)
                assert stream is not None  # of a plain file there is one
                if name == MANIFEST:
                    if member.size > LARGEST_MANIFEST:
                        raise ValueError(f"{FOREIGN}: its manifest is too large")
                    manifest = json.loads(stream.read())
                    continue
                if name in seen:
                    raise ValueError(f"{FOREIGN}: {name} is there twice")
                seen[name] = (member.size, _copy(stream, target and target / name))
                done += member.size
                progress(done, max(done, total))
    except (tarfile.TarError, EOFError, OverflowError) as error:
        raise ValueError(f"{FOREIGN}, or it is cut off: {error}") from error
    return _verified(manifest, seen)


def _checked(member: tarfile.TarInfo) -> str:
    parts = PurePosixPath(member.name).parts
    if not member.isreg() or member.issparse():
        raise ValueError(f"{FOREIGN}: {member.name[:100]} is no plain file")
    if not parts or member.name.startswith("/") or any(part in ("..", ".") for part in parts):
        raise ValueError(f"{FOREIGN}: {member.name[:100]} leads out of it")
    return "/".join(parts)


def _copy(stream: IO[bytes], path: Path | None) -> str:
    """The hash of a stream, which is also written to a path if there is one."""
    digest = hashlib.sha256()
    if path is None:
        while block := stream.read(2**20):
            digest.update(block)
        return digest.hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as out:
        while block := stream.read(2**20):
            digest.update(block)
            out.write(block)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return digest.hexdigest()


def _verified(manifest: Mapping[str, Any] | None, seen: Mapping[str, tuple[int, str]]) -> Backup:
    if manifest is None:
        raise ValueError(f"{FOREIGN}, or it is cut off: its manifest is missing")
    try:
        if manifest["format"] != FORMAT:
            raise ValueError(f"{FOREIGN} of this kind: {str(manifest['format'])[:60]}")
        named = {e["name"]: (e["bytes"], e["sha256"]) for e in manifest["files"]}
        found = Backup(
            files=len(named),
            bytes=sum(size for size, _ in named.values()),
            **{name: int(manifest[name]) for name in ("labels", "episodes")},
            made=float(manifest["made"]),
            checkpoints=bool(manifest["checkpoints"]),
        )
    except (LookupError, TypeError) as error:
        raise ValueError(f"{FOREIGN}: its manifest is damaged") from error
    for name in sorted(named.keys() | seen.keys()):
        if name not in seen:
            raise ValueError(f"this backup is damaged: {name} is missing")
        if named.get(name) != seen[name]:
            raise ValueError(f"this backup is damaged: {name} is not what was backed up")
    return found


def _check_database(root: Path, wanted: Backup) -> None:
    """The database of a restored directory opens, and holds what the manifest says."""
    path = Workspace(root).database
    try:
        database = Database(path, exports=root)
    except duckdb.Error as error:
        raise ValueError(f"the database of this backup cannot be opened: {error}") from error
    try:
        [found] = database.read(
            "select (select count(*) from label_events) as labels,"
            " (select count(*) from episodes) as episodes"
        )
    finally:
        database.close()
    # Labels and episodes that came while the backup was being made are in its other files.
    if found["labels"] > wanted.labels or found["episodes"] > wanted.episodes:
        raise ValueError("the database of this backup is not the one that its manifest counts")
