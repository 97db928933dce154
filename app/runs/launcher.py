"""Runs as the screen wants them: started from checkpoint ids, shown as plain values."""

import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from app.access import Access
from app.runs.journal import owner
from app.runs.supervisor import Supervisor
from app.visitors import may_change, visitor
from app.web.checks import check_choice, check_integer
from engine.config import Config, knob
from engine.runs.registry import job_config, job_names
from engine.runs.run_directory import CONTROLS
from storage.cabinet import Cabinet
from storage.checkpoints.catalogue import ROLES
from storage.runs.runs import RunRow

MIN_FREE_BYTES = 2 * 2**30


@dataclass(frozen=True, kw_only=True)
class OneRun(Config):
    """A run by its id."""

    run: str = knob(help="its id")


@dataclass(frozen=True, kw_only=True)
class Control(Config):
    """What a run is told."""

    run: str = knob(help="its id")
    control: str = knob(help="pause, run (resume), stop (save and end) or cancel", choices=CONTROLS)


class RunRecord(TypedDict):
    """A run as lists show it."""

    id: str
    job: str
    state: str
    busy: bool
    done: int
    total: int
    started: float | None
    created: float
    seconds_left: float | None
    attempt: int
    error: str | None


class RunStatus(RunRecord):
    """A run with its options and its result."""

    config: Mapping[str, Any]
    result: Mapping[str, Any] | None


class Launcher:
    """Starts and shows runs."""

    def __init__(
        self,
        cabinet: Cabinet,
        supervisor: Supervisor,
        *,
        starts: Path,
        access: Access,
    ) -> None:
        """`starts` is the file of shipped start frames, used where a job is given none."""
        self._cabinet = cabinet
        self._supervisor = supervisor
        self._starts = starts
        self._access = access

    def start(self, job: object, values: object, *, name: str = "") -> str:
        """Queue a run; its id. Checkpoints may be named by catalogue id.

        Args:
            name: what its id begins with, in place of the job.

        Raises:
            ValueError: unknown job, option or checkpoint, a value out of range, a full disk, or
                more than a public studio allows.
        """
        chosen, config = self.config(job, values)
        self._check_room(config)
        self._access.spend("runs")
        run_id = f"{name or chosen}-{time.strftime('%y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        return self._supervisor.submit(run_id, chosen, config, owner=visitor()).id

    def config(self, job: object, values: object) -> tuple[str, dict[str, Any]]:
        """(job, its whole config, with directories in place of ids), as `start` would queue it.

        Raises:
            ValueError: unknown job, option, checkpoint or run, or a value out of range.
        """
        chosen = check_choice("job", job, self._access.limits.run_jobs or job_names())
        if not isinstance(values, Mapping):
            raise ValueError("the options of a run must be an object with named values")
        config = job_config(chosen, self._resolved(values)).to_dict()
        if "starts" in config and not config["starts"] and self._starts.is_file():
            config["starts"] = str(self._starts)
        if "success_threshold" in config and not config["success_threshold"]:
            config["success_threshold"] = self._threshold(config.get("reward_model"))
        return chosen, config

    def all(self) -> list[RunRecord]:
        """Every run, newest first."""
        return [_shown(run) for run in self._cabinet.runs.all()]

    def status(self, run_id: str) -> RunStatus:
        """One run, with its config and result.

        Raises:
            LookupError: no such run.
        """
        run = self._cabinet.runs.get(run_id)
        config = self._nameable(run.config) if self._access.guest else dict(run.config)
        return {**_shown(run), "config": config, "result": run.result}

    def control(self, question: Control) -> RunStatus:
        """Tell a run what to do; its status then.

        Raises:
            LookupError: no such run.
            ValueError: the run has ended, or on a Space somebody else began it.
        """
        if self._access.guest and not self._is_own(question.run):
            raise ValueError("only who began a run may pause, resume or stop it")
        self._supervisor.control(question.run, question.control)
        return self.status(question.run)

    def _is_own(self, run_id: str) -> bool:
        return bool(visitor()) and may_change(owner(self._cabinet.runs.directory(run_id)))

    def iterations(self, run_id: str) -> list[int]:
        """Iterations that left episodes.

        Raises:
            LookupError: no such run.
        """
        self._cabinet.runs.get(run_id)
        return self._cabinet.runs.iterations(run_id)

    def events(self, run_id: str, limit: object) -> list[dict[str, Any]]:
        """The newest events of a run in words: {at, kind, text}.

        Raises:
            LookupError: no such run.
            ValueError: a limit out of range.
        """
        self._cabinet.runs.get(run_id)
        events = self._cabinet.runs.events(run_id, limit=check_integer("limit", limit, 1, 500))
        return [{"at": e["time"], "kind": e["kind"], "text": event_text(e)} for e in events]

    def _resolved(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Ids of checkpoints, label sets and runs to directories; on a public studio nothing else
        may name a file."""
        config = dict(values)
        for role in ROLES:
            if config.get(role):
                config[role] = self._directory(config[role])
        if config.get("restart_from"):
            config["restart_from"] = self._directory(config["restart_from"])
        if config.get("label_set"):
            label_set = self._cabinet.label_sets.get(str(config["label_set"]))
            config["label_set"] = str(label_set.directory)
            config["labelled_from"] = self._cabinet.label_sets.roots(label_set.version)
        for name, value in config.items():
            if name.endswith("_from") and isinstance(value, list | tuple):
                config[name] = [self._episodes(item) for item in value]
        if self._access.guest:
            paths = [
                name
                for name, value in config.items()
                if value and (name in ("starts", "out", "gates") or name.endswith("_from"))
            ]
            if paths:
                raise ValueError(f"{', '.join(paths)} cannot be chosen on a public studio")
        for name, only in self._access.limits.run_choices.items():
            if config.get(name, only) != only:
                told = only or "left empty"
                raise ValueError(f"on a public studio {name} is {told}, not {config[name]!r:.40}")
        return config

    def _episodes(self, name: object) -> str:
        """Where the episodes of a run lie; the command line's directories are left as they are."""
        if not isinstance(name, str):
            raise ValueError(f"a run is named by its id, not by {name!r}")
        if Path(name).is_absolute():
            return name
        return str(self._cabinet.runs.directory(name))

    def _directory(self, name: object) -> str:
        if not isinstance(name, str):
            raise ValueError(f"a checkpoint is named by its id, not by {name!r}")
        if not self._access.guest and Path(name).is_absolute():
            return name
        return str(self._cabinet.checkpoints.get(name).directory)

    def _threshold(self, directory: object) -> float:
        """The threshold saved for a reward model; 0 (its own) if there is none."""
        for checkpoint in self._cabinet.checkpoints.all("reward_model"):
            if str(checkpoint.directory) == directory:
                current = self._cabinet.thresholds.current(checkpoint.hash)
                return current.threshold if current else 0.0
        return 0.0

    def _nameable(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in config.items() if not str(value).startswith("/")}

    def _check_room(self, config: Mapping[str, Any]) -> None:
        free = shutil.disk_usage(self._cabinet.workspace.root).free
        if free < MIN_FREE_BYTES:
            raise ValueError(f"only {free / 2**30:.1f} GB are free: a run needs at least 2")
        limits = self._access.limits
        for name, most in limits.run_options.items():
            if config.get(name, 0) > most:
                raise ValueError(
                    f"on a public studio {name} may be at most {most}, not {config[name]}"
                )
        waiting = limits.waiting_runs
        if waiting is not None and len(self._cabinet.runs.unfinished()) >= waiting:
            raise ValueError("other visitors' runs are waiting already: try again in some minutes")


def event_text(event: Mapping[str, Any]) -> str:
    """An event of a run's log in words."""
    match event["kind"]:
        case "state":
            return ": ".join(str(event[name]) for name in ("state", "error") if event.get(name))
        case "checkpoint":
            return f"checkpoint of step {event['step']} saved"
        case "alarm":
            return str(event["message"])
        case "result":
            numbers = {k: v for k, v in event["metrics"].items() if isinstance(v, (int, float))}
            return ", ".join(f"{name} {value:.4g}" for name, value in list(numbers.items())[:4])
        case kind:
            return str(kind)


def _shown(run: RunRow) -> RunRecord:
    return {
        "id": run.id,
        "job": run.job,
        "state": run.state,
        "busy": run.state.busy,
        "done": run.done or 0,
        "total": run.total or 0,
        "started": run.started,
        "created": run.created,
        "seconds_left": run.seconds_left,
        "attempt": run.attempt,
        "error": run.error,
    }
