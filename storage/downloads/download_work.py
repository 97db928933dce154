"""The work of one download: every file whole, checked and in its place."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.records.durable import move_durably
from storage.downloads.download_room import Room
from storage.downloads.fetch import DamagedError, Digests, fetch, read_into
from storage.downloads.listings import RemoteFile
from storage.downloads.plans import DownloadPlan
from storage.downloads.progress import Progress
from storage.downloads.web import Web

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the fetching of one plan into its room needs.

    Attributes:
        login: the headers that a file's host wants to see.
        whole: {SHA-256: path} of files that are on this disk already.
        wait_seconds: first wait after trouble.
    """

    web: Web
    plan: DownloadPlan
    room: Room
    login: Callable[[RemoteFile], Mapping[str, str]]
    whole: Mapping[str, Path]
    stop: threading.Event
    progress: Progress
    wait_seconds: float

    def do(self) -> None:
        """Fetch what is missing, then say that the download is complete.

        Raises:
            ValueError, OSError, StoppedError: as `storage.downloads.fetch.fetch`.
        """
        (self.room.directory / "parts").mkdir(exist_ok=True)
        hashes: dict[str, str] = {}
        for number, file in enumerate(self.plan.files):
            hashes[file.path] = self._kept(file) or self._fetched(file, self.room.part(number))
            self.progress.file_done(file.bytes)
        self.room.finish(self.plan, hashes)

    def _kept(self, file: RemoteFile) -> str:
        """SHA-256 of a file that an earlier attempt made whole, hashed again; else empty."""
        target, digests = self.room.target(self.plan, file), Digests(file)
        if not target.exists():
            return ""
        try:
            if read_into(target, digests, self.stop) == file.bytes:
                return digests.check()
        except DamagedError as error:
            logger.warning("fetched again: %s", error)
        target.unlink()
        return ""

    def _fetched(self, file: RemoteFile, part: Path) -> str:
        """SHA-256 of a file that was brought to its place just now."""
        target = self.room.target(self.plan, file)
        known = self.whole.get(file.sha256)
        if known is not None and known.is_file() and not part.exists():
            try:
                os.link(known, part)  # the same content is here: `fetch` checks it and asks nobody
            except OSError as error:
                logger.info("%s cannot be shared: %s", file.path, error.strerror)
        digest = fetch(
            self.web,
            file,
            part,
            headers=self.login(file),
            stop=self.stop,
            seen=self.progress.seen,
            wait_seconds=self.wait_seconds,
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        move_durably(part, target)
        return digest
