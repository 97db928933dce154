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
from app.web.checks import check_choice
from engine.config import Config, knob
from engine.records.manifest import MANIFEST
from engine.served.address import is_address
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


@dataclass(frozen=True, kw_only=True)
class Adopt(Config):
    """Checkpoints at one place on this machine; the job checks the last four."""

    folder: str | None = knob(
        None, "a path, or the address of a served world model", high=LONGEST_PATH
    )
    source: str | None = knob(None, "folder:NAME")
    download: str | None = knob(None, "its key")
    task: str | None = knob(None, "of the release", choices=tuple(TASKS))
    role: str = knob(ALL, "a part of the release, or all that are there", choices=(ALL, *PARTS))
    name: str | None = knob(None, "under which they can be chosen", high=64)
    statistics_key: str | None = knob(None, "of the action statistics")
    success_threshold: float | None = knob(None, "of a reward model")
    autoencoder: str | None = knob(None, "of a world model", high=LONGEST_PATH)
    trial_megabytes: int | None = knob(None, "that a trial may take")


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

    def adopt(self, question: Adopt) -> dict[str, list[dict[str, Any]]]:
        """{adoptions}: begin to adopt what lies at one place; what `all` says of each part.

        Raises:
            ValueError: what is wrong, in one sentence.
        """
        places = (question.folder, question.source, question.download)
        if sum(map(bool, places)) != 1:
            raise ValueError("name one place: a folder, a registered source or a download")
        name = (question.name or "").strip()
        if name:
            checked_name(name)
        if is_address(place := (question.folder or "").strip()):
            config = {"role": "world_model", "source": place}
            return {"adoptions": [self._begin(config, name or "served-world")]}
        if question.download:
            folder = self._cabinet.downloads.folder(question.download)
        elif question.source:
            folder = self._registered(question.source.strip())
        else:
            folder = Path(place).expanduser()
        if not folder.is_absolute() or not folder.exists():
            raise ValueError(f"there is no checkpoint directory {folder}")
        if (folder / MANIFEST).is_file():
            return {"adoptions": [self._try_out(folder, name, question.download or "")]}
        return {"adoptions": self._convert(folder, question, name)}

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

    def _convert(self, place: Path, question: Adopt, name: str) -> list[dict[str, Any]]:
        given = {option: getattr(question, option) for option in JOB_OPTIONS}
        options = {option: value for option, value in given.items() if value not in (None, "")}
        task, role = check_choice("task", question.task, TASKS), question.role
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
            begun.append(self._begin(config, label))
        return begun

    def _begin(self, config: Mapping[str, Any], name: str) -> dict[str, Any]:
        run_id = self._launcher.start(JOB, config, name=name.replace("_", "-"))
        return self._of_run(self._cabinet.runs.get(run_id))

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
