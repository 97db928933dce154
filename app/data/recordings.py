"""Recordings of a robot on the Data page: what is in them first, then a run that takes them in."""

import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from app.runs.errands import ErrandRecord, Errands, Progress
from app.runs.handover import Handover
from app.runs.launcher import Launcher, RunStatus
from engine.config import Config, knob
from engine.jobs.import_recordings.job import USES, JobConfig, report
from engine.recordings.plan import COMBINE, SUCCESS, TURNS, RecordingPlan
from engine.recordings.reading import Found, find
from engine.records.states import RunState
from engine.runs.run_directory import read_documents
from storage.cabinet import Cabinet
from storage.downloads.downloads import LIVE

HUB, LOOK_SECONDS = "hf://datasets/", 0.5
MOST_KEPT = 4  # descriptions that plans can be asked of
THERE = "all of it came in already, in the same way: change a choice to take it in once more"
SAME = ("revision", "plan", "task")  # of two imports, what makes them one
MOST_LISTED = 12  # of what a page lists; the rest is counted


@dataclass(frozen=True, kw_only=True)
class Look(Config):
    """A dataset to look at: a file that was sent, one of this machine, or one of the Hub."""

    upload: str | None = knob(None, "its id")
    name: str = knob("", "of the file", high=300)
    path: str | None = knob(None, "from this machine's root, or hf://datasets/…", high=1_000)
    filter_key: str = knob("", "of robomimic's masks", high=100)


@dataclass(frozen=True, kw_only=True)
class Intent(Config):
    """What is to become of a dataset that was looked at."""

    dataset: str = knob(help="as `look` named it", high=64)
    task: str = knob("", "that the recordings are of", high=64)
    new_task: str = knob("", "to be made for them", high=64)
    use: str = knob("demonstration", "what they are", choices=tuple(USES))
    policy: str = knob("", "who played, if it was a policy", high=200)
    plan: RecordingPlan = knob(help="what is done with them", factory=RecordingPlan)


@dataclass(frozen=True, kw_only=True)
class TakenRun(Config):
    """An import at work."""

    run: str = knob(help="its id", high=200)


class Intended(TypedDict):
    """What would be done, in words, or the choice that is still open.

    `run` is the import that took all of it in already, in the same way; empty where there is none.
    """

    open: str
    words: list[str]
    bytes: int
    run: str


class Begun(TypedDict):
    """The run that takes a dataset in."""

    run: str


@dataclass(frozen=True, kw_only=True)
class _Known:
    found: Found
    path: Path
    name: str
    filter_key: str
    sent: bool
    revision: str


class Recordings:
    """Looks at datasets and begins the runs that take them in.

    Args:
        room: where files that were sent lie until they are taken in, and archives are unpacked.
    """

    def __init__(
        self, cabinet: Cabinet, runs: Launcher, errands: Errands, handover: Handover
    ) -> None:
        self._cabinet, self._runs, self._errands, self._handover = cabinet, runs, errands, handover
        self._room = cabinet.workspace.root / "recordings"
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._reports: dict[str, dict[str, Any]] = {}  # by import: what never changes of one

    def look(self, question: Look) -> ErrandRecord:
        """An errand that describes a dataset; its result names it and shows its cameras.

        Raises:
            ValueError: neither a file nor a path.
        """
        source = question.path if (question.path or "").startswith(HUB) else ""
        path, name = Path(), (source or "").partition("@")[0].rpartition("/")[2]
        if question.upload:
            path, name = self._handover.uploaded(question.upload), question.name
        elif question.path and not source:
            path = Path(question.path).expanduser()
            name = path.name
            if not path.is_absolute():
                raise ValueError("say the whole path, from the root of this machine")
        elif not source:
            raise ValueError("choose a file, or say a path")

        def work(progress: Progress) -> dict[str, Any]:
            self._room.mkdir(exist_ok=True)
            place, revision = self._fetched(source, progress) if source else (path, "")
            found = find(place, self._room, filter_key=question.filter_key, name=name)
            known = _Known(
                found=found,
                path=place,
                name=name,
                filter_key=question.filter_key,
                sent=bool(question.upload),
                revision=revision,
            )
            key = secrets.token_hex(8)
            self._known[key] = known
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
            return {"dataset": key, **_shown(found, revision)}

        return self._errands.start("recordings", name or path.name, work)

    def intend(self, question: Intent) -> Intended:
        """What would be done with a dataset as it is planned now.

        Raises:
            LookupError: it was looked at too long ago.
        """
        known = self._find(question.dataset)
        told = report(known.found, self._config(known, question))
        run = self._import_of(told)
        return {
            "open": told["open"] or (run and THERE),
            "words": told["words"],
            "bytes": told.get("bytes", 0),
            "run": run,
        }

    def take(self, question: Intent) -> Begun:
        """Begin the run that takes a dataset in.

        Raises:
            ValueError: a choice is still open, or all of it is here already.
            LookupError: it was looked at too long ago.
        """
        known = self._find(question.dataset)
        config = self._config(known, question)
        told = report(known.found, config)
        if told["open"] or self._import_of(told):
            raise ValueError(told["open"] or THERE)
        if known.sent and known.path.is_file():  # an upload is cleaned away: the run keeps its own
            kept = self._room / f"{question.dataset}-{Path(known.name).name[-80:]}"
            known.path.rename(kept)
            config = config.replace(dataset=str(kept))
        return {"run": self._runs.start("import_recordings", config.to_dict())}

    def taken(self, question: TakenRun) -> RunStatus:
        """How far an import is."""
        return self._runs.status(question.run)

    def _fetched(self, source: str, progress: Progress) -> tuple[Path, str]:
        """A dataset of the Hub at a commit, through the guarded door; what is here stays here."""
        downloads = self._cabinet.downloads
        plan = downloads.plan(source)
        downloads.start(plan.key)
        try:
            while (seen := downloads.wait(plan.key, LOOK_SECONDS)).state in LIVE:
                progress(seen.done, plan.bytes)
        finally:
            downloads.cancel(plan.key)
        if seen.state != "complete":
            raise ValueError(seen.error or f"the download of {source} was {seen.state}")
        return downloads.folder(plan.key), plan.revision

    def _import_of(self, told: Mapping[str, Any]) -> str:
        """The import, done or at work, of the same recordings for the same task and in one way."""
        if told["open"]:
            return ""
        asked = json.loads(json.dumps({name: told[name] for name in SAME}))
        imports = [
            row.id
            for row in self._cabinet.runs.all()
            if row.job == "import_recordings" and (row.state.busy or row.state is RunState.DONE)
        ]
        return next((run for run in imports if self._report(run) == asked), "")

    def _report(self, run: str) -> dict[str, Any]:
        """What an import said once that it would do; empty while it has not."""
        if not self._reports.get(run):
            told = read_documents(self._cabinet.runs.directory(run), "report").get("report", {})
            self._reports[run] = {name: told[name] for name in SAME if name in told}
        return self._reports[run]

    def _find(self, key: str) -> _Known:
        if key not in self._known:
            raise LookupError("this dataset was looked at too long ago: choose it again")
        return self._known[key]

    def _config(self, known: _Known, question: Intent) -> JobConfig:
        return JobConfig(
            dataset=str(known.path.resolve()),
            dataset_name=known.name,
            filter_key=known.filter_key,
            revision=known.revision,
            task="" if question.new_task else question.task,
            new_task=question.new_task,
            use=question.use,
            policy=question.policy,
            plan=question.plan,
        )


def offered(tasks: dict[str, Any]) -> dict[str, Any]:
    """What the form offers beside a dataset: tasks, and the words of a plan."""
    return {
        "tasks": [task.name for task in tasks.values()],
        "turns": list(TURNS),
        "combine": list(COMBINE),
        "success": list(SUCCESS),
        "uses": list(USES),
    }


def _shown(found: Found, revision: str) -> dict[str, Any]:
    about = found.description
    told = report(found, JobConfig(dataset=found.name, revision=revision, dry_run=True))
    lengths = sorted(about.lengths)
    return {
        "name": found.name,
        "revision": told["revision"][:12],
        "kind": about.kind,
        "fps": about.fps,
        "views": list(about.views),
        "strips": told["strips"],
        "actions": [
            {"name": name, "low": low, "high": high, "counts": list(counts)}
            for name, low, high, counts in zip(
                about.action_names or [f"a{dim}" for dim in range(about.action_dim)],
                *(about.low, about.high, about.histograms),
                strict=True,
            )
        ],
        "states": about.states,
        "instructions": dict(list(about.instructions.items())[:MOST_LISTED]),
        "episodes": len(lengths),
        "lengths": [lengths[0], lengths[len(lengths) // 2], lengths[-1]],
        "success_found": about.success_found,
        "succeeded": sum(said is True for said in about.succeeded),
        "failed": sum(said is False for said in about.succeeded),
        "unknown": sum(said is None for said in about.succeeded),
        "notes": list(about.notes),
        "text": f"{len(lengths)} recordings",
    }
