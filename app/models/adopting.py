"""Foreign checkpoints made choosable: official ones through the job `adopt`, ours through a trial.

Nothing foreign is read here: an official folder goes to a worker process, a folder in our format
to the gate, whose last step loads it in the sandbox.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from app.runs.launcher import Launcher
from app.web.checks import check_choice, check_names, check_text
from engine.records.manifest import MANIFEST
from storage.cabinet import Cabinet
from storage.checkpoints.adopted import checked_name
from storage.checkpoints.catalogue import Checkpoint
from storage.downloads.official import PARTS, TASKS, find_parts, role_of
from storage.runs.runs import RunRow

logger = logging.getLogger(__name__)

ALL = "all"
JOB = "adopt"
STEP = "step-000001"  # the only checkpoint of such a run
LONGEST_PATH = 4_096
# Passed on to the job as they are; what they mean, and what is wrong with them, it says itself.
JOB_OPTIONS = ("statistics_key", "success_threshold", "autoencoder", "trial_megabytes")


@dataclass(kw_only=True)
class _Trial:
    """A folder in our format on its way through the gate."""

    name: str
    id: str = field(default_factory=lambda: f"trial-{secrets.token_hex(4)}")
    created: float = field(default_factory=time.time)
    state: str = "queued"
    error: str | None = None
    checkpoint: str = ""
    role: str = ""


def gate(folder: Path) -> None:
    """Let a checkpoint of our format through all steps of the gate, the trial in the sandbox too.

    Raises:
        ValueError: it is refused, with the reason.
    """
    from engine.loading.trial import check_model

    verdict = check_model(folder)
    if not verdict.accepted:
        raise ValueError(verdict.sentence)


class Adopting:
    """Brings checkpoints from a disk into the catalogue.

    Args:
        check: the gate for folders in our format; raises a `ValueError` on one that is refused.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        launcher: Launcher,
        *,
        check: Callable[[Path], None] = gate,
    ) -> None:
        self._cabinet, self._launcher, self._check = cabinet, launcher, check
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gate")
        self._lock = threading.Lock()
        self._trials: dict[str, _Trial] = {}

    def close(self) -> None:
        """Wait for the trial that goes on; those that wait are dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def adopt(self, query: object) -> list[dict[str, Any]]:
        """Begin to adopt what lies at one place; what `all` says of each part.

        Query: one of folder (a path), source (`folder:NAME`) and download (its key); of an official
        place also task and role: a name of `storage.downloads.official.PARTS`, or `all` for a
        policy, a world model and a reward model as far as they are there; name, and `JOB_OPTIONS`.

        Raises:
            ValueError: what is wrong, in one sentence.
        """
        places = ("folder", "source", "download")
        values = check_names(query, allowed=(*places, "task", "role", "name", *JOB_OPTIONS))
        given = [place for place in places if values.get(place)]
        if len(given) != 1:
            raise ValueError("name one place: a folder, a registered source or a download")
        name = check_text("name", values.get("name") or "", 64).strip()
        if name:
            checked_name(name)
        match given[0]:
            case "download":
                key = check_text("download", values["download"], 200)
                folder = self._cabinet.downloads.folder(key)
            case "source":
                folder = self._registered(check_text("source", values["source"], 200).strip())
            case _:
                text = check_text("folder", values["folder"], LONGEST_PATH).strip()
                folder = Path(text).expanduser()
        if not folder.is_absolute() or not folder.exists():
            raise ValueError(f"there is no checkpoint directory {folder}")
        if (folder / MANIFEST).is_file():
            return [self._try_out(folder, name, str(values.get("download") or ""))]
        options = {option: values[option] for option in JOB_OPTIONS if values.get(option)}
        if "trial_megabytes" in values:
            options["trial_megabytes"] = values["trial_megabytes"]
        return self._convert(folder, values, name, options)

    def all(self) -> list[dict[str, Any]]:
        """Every adoption, the newest first.

        {id, run (whether it is a run that can be controlled), name, role, state, done, total,
        seconds_left, error, checkpoint (its id once it can be chosen)}
        """
        runs = [run for run in self._cabinet.runs.all() if run.job == JOB]
        with self._lock:
            trials = [_of_trial(trial) for trial in self._trials.values()]
        found = trials + [self._of_run(run) for run in runs]
        return sorted(found, key=lambda record: record["created"], reverse=True)

    def _registered(self, source: str) -> Path:
        folders = self._cabinet.downloads.folders()
        name = source.removeprefix("folder:")
        if name not in folders:
            raise ValueError(
                f"no folder is registered as {name!r}; what is elsewhere is downloaded"
            )
        return folders[name]

    def _convert(
        self, place: Path, values: Mapping[str, Any], name: str, options: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        task = check_choice("task", values.get("task"), TASKS)
        role = check_choice("role", values.get("role") or ALL, (ALL, *PARTS))
        found = find_parts(place, task)
        if role == ALL:
            wanted = _one_of_each(found)
            if not wanted:
                raise ValueError(
                    f"{place.name} holds none of the released folders of {task}: if it is a single "
                    "checkpoint, say what it is"
                )
        else:
            wanted = {role: found.get(role, place)}
        begun = []
        for part, source in wanted.items():
            config = dict(options) | {"role": role_of(part), "source": str(source), "task": task}
            if role_of(part) == "world_model" and "autoencoder" in found:
                config.setdefault("autoencoder", str(found["autoencoder"]))
            label = name if name and len(wanted) == 1 else f"{name or task}-{part}"
            run_id = self._launcher.start(JOB, config, name=label.replace("_", "-"))
            begun.append(self._of_run(self._cabinet.runs.get(run_id)))
        return begun

    def _try_out(self, folder: Path, name: str, download: str) -> dict[str, Any]:
        name = name or (self._source_name(download) if download else folder.resolve().name)
        trial = _Trial(name=checked_name(name))
        with self._lock:
            self._trials[trial.id] = trial
        add = self._add_download if download else self._add_local
        future = self._pool.submit(self._run, trial, lambda: add(name, folder, download))
        future.add_done_callback(_log_defect)
        return _of_trial(trial)

    def _source_name(self, download: str) -> str:
        """What a source calls itself: the last name in it, without a revision."""
        source = self._cabinet.downloads.status(download).source
        return Path(source.partition("@")[0]).name

    def _run(self, trial: _Trial, add: Callable[[], Checkpoint]) -> None:
        trial.state = "running"
        try:
            found = add()
        except (ValueError, LookupError, OSError) as error:
            trial.error, trial.state = str(error), "failed"
            return
        trial.checkpoint, trial.role, trial.state = found.id, found.role, "done"

    def _add_local(self, name: str, folder: Path, _: str) -> Checkpoint:
        self._check(folder)
        return self._cabinet.checkpoints.register(name, folder)

    def _add_download(self, name: str, folder: Path, key: str) -> Checkpoint:
        self._check(folder)
        download = self._cabinet.downloads.status(key)
        return self._cabinet.checkpoints.adopt(
            name, folder, source=download.source, revision=download.revision
        )

    def _of_run(self, run: RunRow) -> dict[str, Any]:
        checkpoint = f"run/{run.id}/{STEP}" if run.state == "done" else ""
        if checkpoint:
            try:
                self._cabinet.checkpoints.get(checkpoint)
            except LookupError:
                checkpoint = ""  # ended early: nothing was kept
        return {
            "id": run.id,
            "run": True,
            "name": run.id,
            "role": str(run.config.get("role", "")),
            "state": run.state,
            "done": run.done or 0,
            "total": run.total or 0,
            "seconds_left": run.seconds_left,
            "error": run.error,
            "checkpoint": checkpoint,
            "created": run.created,
        }


def _one_of_each(found: Mapping[str, Path]) -> dict[str, Path]:
    """Of the parts that are there the first of each of the three roles."""
    first: dict[str, tuple[str, Path]] = {}
    for part, path in found.items():
        first.setdefault(role_of(part), (part, path))
    return dict(first[role] for role in ("policy", "world_model", "reward_model") if role in first)


def _of_trial(trial: _Trial) -> dict[str, Any]:
    nothing = {"run": False, "done": 0, "total": 0, "seconds_left": None}
    return asdict(trial) | nothing


def _log_defect(future: Future[None]) -> None:
    if not future.cancelled() and future.exception() is not None:
        logger.error("a trial ended on a defect", exc_info=future.exception())
