"""Downloads of foreign checkpoints: planned, resumable, verified, and complete or not there.

The files of a room (`storage.downloads.download_room`) are the truth and the database is their
index. What is complete is still foreign: its folder goes to the gate, never straight to a loader.
"""

import logging
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path

from storage.database import Database
from storage.downloads.download_index import DownloadIndex
from storage.downloads.download_work import Work
from storage.downloads.fetch import StoppedError
from storage.downloads.hub import COMMIT, list_hub, login_headers
from storage.downloads.listings import Listing, RemoteFile, list_bucket, list_folder, list_https
from storage.downloads.official import DEFAULT_PARTS
from storage.downloads.plans import RESERVE_BYTES, DownloadPlan, make_plan, parts_of, space_sentence
from storage.downloads.progress import Progress
from storage.downloads.sources import Rules, Source, parse_source
from storage.downloads.web import Web, scrub

logger = logging.getLogger(__name__)

LIVE = ("queued", "running")
DEFECT = "the download stopped on a defect of the studio: the log says more"
_MAX_PLANS = 64


@dataclass(frozen=True, kw_only=True)
class Download:
    """A download as it stands.

    Attributes:
        state: queued, running, complete, cancelled, failed or interrupted (the studio ended).
        error: why it failed, in a sentence.
        bytes, done: of all files, and those that are here.
        rate, seconds_left: bytes a second lately, and what is left at that rate.
        changed: when the state changed, in seconds since the epoch.
    """

    key: str
    source: str
    revision: str
    task: str
    files: int
    bytes: int
    state: str
    error: str
    changed: float
    done: int
    rate: float = 0.0
    seconds_left: float | None = None


@dataclass
class _Job:
    plan: DownloadPlan
    progress: Progress
    stop: threading.Event = field(default_factory=threading.Event)
    state: str = "queued"
    error: str = ""
    changed: float = field(default_factory=time.time)
    future: futures.Future[None] | None = None


class Downloads:
    """All downloads of a data directory; at most `workers` at once, each on a thread of its own.

    Args:
        root: holds one directory per download.
        folders: the file of registered folders.
        token: the Hub login of this machine, asked for when needed; sent to the Hub alone.
        free_bytes: free space on the disk of a path.
        wait_seconds: first wait after trouble; doubles up to half a minute.
    """

    def __init__(
        self,
        database: Database,
        root: Path,
        *,
        folders: Path,
        rules: Rules,
        token: Callable[[], str | None],
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        reserve_bytes: int = RESERVE_BYTES,
        workers: int = 2,
        wait_seconds: float = 1.0,
    ) -> None:
        self._index = DownloadIndex(database, root, folders)
        self._rules, self._token, self._web = rules, token, Web(rules)
        self._free_bytes, self._reserve_bytes = free_bytes, reserve_bytes
        self._wait_seconds = wait_seconds
        self._pool = futures.ThreadPoolExecutor(workers, thread_name_prefix="download")
        self._lock = threading.RLock()
        self._jobs: dict[str, _Job] = {}
        self._planned: OrderedDict[str, DownloadPlan] = OrderedDict()
        self._closing = False

    def close(self) -> None:
        """Interrupt what runs, wait for its threads, and keep what was fetched."""
        with self._lock:
            self._closing = True
            for job in self._jobs.values():
                job.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._web.close()

    # Before a download

    def register_folder(self, name: str, directory: Path) -> str:
        """Make a local folder a source; its text, `folder:NAME`. A name may be given anew.

        Raises:
            ValueError: a bad name, or there is no such folder.
        """
        source = parse_source(f"folder:{name}", self._rules)
        directory = directory.expanduser().resolve()
        if not directory.is_dir():
            raise ValueError(f"there is no folder {directory}")
        self._index.register_folder(name, directory)
        return str(source)

    def folders(self) -> dict[str, Path]:
        """Registered folders by name."""
        return self._index.folders()

    def plan(self, source: str, *, task: str = "", parts: Sequence[str] = ()) -> DownloadPlan:
        """What a download would fetch, asked of the source now. Without a network, the plan of a
        complete download of the same source, if there is one.

        Args:
            task: of a source in the official layout: the task whose files are wanted.
            parts: which of `storage.downloads.official.PARTS`; none means the default ones.

        Raises:
            ValueError: no admitted source, nothing there, or it does not answer.
        """
        place = parse_source(source, self._rules)
        directory = self._registered(place) if place.kind == "folder" else None
        try:
            found = self._listing(place) if directory is None else list_folder(directory)
            planned = make_plan(
                place, found, task=task, parts=parts, directory=str(directory or "")
            )
        except ConnectionError as error:
            known = self._complete_plan(place, task, parts)
            if known is None:
                raise ValueError(scrub(str(error))) from error
            planned = known
        with self._lock:
            self._planned[planned.key] = planned
            while len(self._planned) > _MAX_PLANS:
                self._planned.popitem(last=False)
        return planned

    def needed_bytes(self, plan: DownloadPlan) -> int:
        """Bytes of a plan that are not here yet."""
        return plan.bytes - self._index.room(plan.key).fetched_bytes(plan)

    def shortage(self, plan: DownloadPlan) -> str:
        """Empty if what is needed fits on the disk, else a sentence that says what is free."""
        free = self._free_bytes(self._index.root)
        return space_sentence(self.needed_bytes(plan), free, self._reserve_bytes)

    # A download

    def start(self, key: str) -> Download:
        """Begin or go on with a planned download; one that runs or is complete stays as it is.

        Raises:
            LookupError: no plan and no download has this key.
            ValueError: the disk is too small, or a registered folder has changed.
        """
        with self._lock:
            if self._closing:
                raise ValueError("the studio is closing")
            job = self._jobs.get(key)
            if job is not None and job.state in LIVE:
                return self.status(key)
            planned, room = self._planned.get(key), self._index.room(key)
            plan = planned or self._index.plan(key)
            if not room.is_complete(plan) and (shortage := self.shortage(plan)):
                raise ValueError(shortage)
            # Nothing is ever fetched into a registered folder: its files are somebody's own.
            if plan.directory and not room.holds(plan):
                raise ValueError(f"{plan.source} has changed since the plan was made")
            room.begin(plan)
            if plan.directory:
                room.finish(plan, {})
            if room.is_complete(plan):
                self._jobs.pop(key, None)
                self._index.put(plan, "complete")
            else:
                self._index.put(plan, "queued")
                job = self._jobs[key] = _Job(plan, Progress(plan.bytes))
                job.future = self._pool.submit(self._run, job)
                job.future.add_done_callback(_log_defect)
            return self.status(key)

    def status(self, key: str) -> Download:
        """One download.

        Raises:
            LookupError: there is none of this key.
        """
        with self._lock:
            row, job = self._index.row(key), self._jobs.get(key)
        if job is not None:
            live = {"state": job.state, "error": job.error, "changed": job.changed}
            if job.state != "running":
                return Download(**{**row, **live}, done=job.progress.done)
            left = job.progress.seconds_left
            rate, done = job.progress.rate, job.progress.done
            return Download(**{**row, **live}, done=done, rate=rate, seconds_left=left)
        return Download(**row, done=self._index.fetched_bytes(row))

    def all(self) -> list[Download]:
        """Every download, the one that changed last first."""
        with self._lock:
            return [self.status(row["key"]) for row in self._index.rows()]

    def cancel(self, key: str) -> Download:
        """Ask a download to end; what it fetched is kept for the next start.

        Raises:
            LookupError: there is none of this key.
        """
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and job.state in LIVE:
                job.stop.set()
                if job.future is not None and job.future.cancel():
                    self._change(job, "cancelled")
            return self.status(key)

    def wait(self, key: str, seconds: float | None = None) -> Download:
        """A download once it runs no longer, or after some seconds.

        Raises:
            LookupError: there is none of this key.
        """
        with self._lock:
            job = self._jobs.get(key)
        if job is not None and job.future is not None:
            futures.wait([job.future], timeout=seconds)
        return self.status(key)

    def remove(self, key: str) -> None:
        """Forget a download and delete its files; a registered folder's own files stay.

        Raises:
            LookupError: there is none of this key.
            ValueError: it is running.
        """
        with self._lock:
            if self.status(key).state in LIVE:
                raise ValueError("a download must be cancelled before it is removed")
            self._jobs.pop(key, None)
            self._index.remove(key)

    # A complete download

    def folder(self, key: str) -> Path:
        """The local folder of a complete download; its files are foreign.

        Raises:
            LookupError: there is no such download.
            ValueError: it is not complete.
        """
        plan, room = self._index.plan(key), self._index.room(key)
        if not room.is_complete(plan):
            raise ValueError(f"the download of {plan.source} is not complete")
        return room.files(plan)

    def parts(self, key: str) -> dict[str, Path]:
        """Of a complete download of a task: the folder or file of each part, by part.

        Raises:
            LookupError, ValueError: as `folder`.
        """
        folder = self.folder(key)
        return {part: folder / path for part, path in parts_of(self._index.plan(key)).items()}

    # Inside

    def _run(self, job: _Job) -> None:
        try:
            self._change(job, "running")
            Work(
                web=self._web,
                plan=job.plan,
                room=self._index.room(job.plan.key),
                login=self._login,
                whole=self._index.whole_files(),
                stop=job.stop,
                progress=job.progress,
                wait_seconds=self._wait_seconds,
            ).do()
            self._change(job, "complete")
        except StoppedError:
            self._change(job, "interrupted" if self._closing else "cancelled")
        except (OSError, ValueError) as error:
            self._change(job, "failed", _sentence(error))
        finally:
            if job.state in LIVE:
                job.state, job.error = "failed", DEFECT

    def _change(self, job: _Job, state: str, error: str = "") -> None:
        # The row first: who sees the new state in memory finds it in the database, too.
        self._index.put(job.plan, state, error)
        job.state, job.error, job.changed = state, error, time.time()

    def _login(self, file: RemoteFile) -> dict[str, str]:
        return login_headers(file.url, self._rules, self._token())

    def _listing(self, source: Source) -> Listing:
        match source.kind:
            case "hf":
                return list_hub(source, self._web, self._rules, self._token())
            case "https":
                return list_https(source, self._web)
            case _:
                return list_bucket(source, self._web, self._rules)

    def _registered(self, source: Source) -> Path:
        known = self.folders()
        if source.place not in known:
            names = ", ".join(known) or "none"
            raise ValueError(f"no folder is registered as {source.place!r}; registered: {names}")
        return known[source.place]

    def _complete_plan(
        self, source: Source, task: str, parts: Sequence[str]
    ) -> DownloadPlan | None:
        """The newest complete download of a source; of any commit unless one was asked for."""
        wanted = set(parts or (DEFAULT_PARTS if task else ()))
        for plan in self._index.complete_plans():
            place = parse_source(plan.source, self._rules)
            same = (place.kind, place.place, place.path) == (source.kind, source.place, source.path)
            pinned = COMMIT.fullmatch(source.revision) and source.revision != plan.revision
            if same and not pinned and plan.task == task and wanted == set(parts_of(plan)):
                return plan
        return None


def _log_defect(future: futures.Future[None]) -> None:
    if not future.cancelled() and (defect := future.exception()) is not None:
        logger.error(DEFECT, exc_info=defect)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"the disk refuses: {error.strerror}"
    return scrub(str(error))
