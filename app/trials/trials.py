"""The Trials page's use cases: sheets are runs of the job `trials`, filled in one key a trial.

Nobody here looks into a sheet's key: whose a code is, is told by the run that reads a full sheet.
"""

import base64
import csv
import io
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from app.runs.handover import Handover
from app.runs.launcher import Launcher, OneRun
from engine.config import Config, knob
from engine.jobs.trials import BETWEEN, HEAD, SHEET, Trial
from engine.recordings.reading import strip_of
from engine.records.tasks import get_task, tasks
from storage.cabinet import Cabinet
from storage.documents import Document
from storage.runs.runs import RunRow

JOB = "trials"


@dataclass(frozen=True, kw_only=True)
class NewSheet(Config):
    """Which policies are tried against each other, on how many starts."""

    task: str = knob(help="that is tried", high=64)
    policies: tuple[str, ...] = knob(help="their names; the first is the base", low=2, high=20)
    starts: int = knob(20, "each tried once with every policy", low=1, high=10_000)
    seed: int = knob(0, "of the order and the codes", low=0, high=2**31)


@dataclass(frozen=True, kw_only=True)
class Entry(Config):
    """How a trial ended, or that nobody knows any more."""

    run: str = knob(help="of the sheet", high=200)
    trial: int = knob(help="its number, from 1", low=1, high=200_000)
    success: bool | None = knob(None, "null: taken back")
    note: str = knob("", "anything worth knowing", high=500)


@dataclass(frozen=True, kw_only=True)
class Attachment(Config):
    """A photograph or a video, of a trial or of the start that is to be set up again."""

    run: str = knob(help="of the sheet", high=200)
    trial: int = knob(help="its number, from 1", low=1, high=200_000)
    of: str = knob("trial", "what it shows", choices=("trial", "start"))
    upload: str = knob(help="the file's id", high=64)
    name: str = knob("", "of the file", high=300)


@dataclass(frozen=True, kw_only=True)
class OneTrial(Config):
    """A trial of a sheet."""

    run: str = knob(help="of the sheet", high=200)
    trial: int = knob(help="its number, from 1", low=1, high=200_000)


class Seen(TypedDict):
    """Strips of a trial's photographs and videos, and of those of its start: PNG, base64."""

    trial: list[str]
    start: list[str]


class TrialRecord(TypedDict):
    """A line of a sheet."""

    trial: int
    start: int
    code: str
    success: bool | None
    note: str


class Trials:
    """What the Trials page asks. Every method may be called from any thread."""

    def __init__(self, cabinet: Cabinet, runs: Launcher, handover: Handover) -> None:
        self._cabinet, self._runs, self._handover = cabinet, runs, handover
        self._room = cabinet.workspace.root / "trials"
        self._lock = threading.Lock()
        self._sheets: dict[str, list[Trial]] = {}  # by run: a sheet never changes
        self._entered: dict[str, int] = {}  # by run: what is polled is counted once

    def overview(self) -> dict[str, Any]:
        """{tasks, sheets: [{id, task, state, trials, entered}]}, newest first."""
        found = []
        for run in self._made():
            found.append(
                {
                    "id": run.id,
                    "task": run.config["task"],
                    "state": run.state,
                    "busy": run.state.busy,
                    "error": run.error,
                    "trials": (run.result or {}).get("trials/planned", 0),
                    "entered": self._count(run),
                }
            )
        return {"tasks": list(tasks()), "sheets": found}

    def make(self, question: NewSheet) -> dict[str, str]:
        """{run}: begin the run that draws a sheet.

        Raises:
            ValueError: an unknown task, or fewer than two policies.
        """
        get_task(question.task)
        names = [name.strip() for name in question.policies if name.strip()]
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError("name at least two different policies to try against each other")
        return {"run": self._runs.start(JOB, question.to_dict() | {"policies": names})}

    def sheet(self, question: OneRun) -> dict[str, Any]:
        """{run, task, trials, read: state of the run that reads it or null, results}.

        `results`, once it was read: [{policy, rate, low, high, p}], the base first.
        """
        run = self._sheet(question.run)
        reading = next((one for one in self._runs_of_job() if self._reads(one, run)), None)
        return {
            "run": run.id,
            "task": run.config["task"],
            "trials": self._lines(run),
            "read": None if reading is None else reading.state,
            "error": None if reading is None else reading.error,
            "results": _results(run, reading),
        }

    def enter(self, question: Entry) -> dict[str, Any]:
        """Keep how a trial ended; what `sheet` answers from now on.

        Raises:
            ValueError: there is no such trial, or the sheet was read already.
        """
        run = self._sheet(question.run)
        with self._lock:
            self._open_trial(run, question.trial)
            said = {str(question.trial): [question.success, question.note]}
            self._entered[run.id] = _known(self._entries(run).change(lambda all: all.update(said)))
        return self.sheet(OneRun(run=run.id))

    def attach(self, question: Attachment) -> Seen:
        """Keep a file that was sent with a trial, or with its start; what `seen` answers then.

        Raises:
            ValueError: it is neither a photograph nor a video, or the sheet was read already.
            LookupError: no file was sent under this id.
        """
        run, sent = self._sheet(question.run), self._handover.uploaded(question.upload)
        with self._lock:
            key = _subject(self._open_trial(run, question.trial), question.of)
            there = self._media(run).read().get(key, [])
            ending = Path(question.name).suffix.lower()
            ending = ending if ending[1:].isalnum() and ending.isascii() else ""
            room = self._room / run.id
            room.mkdir(exist_ok=True)
            name = f"{key}-{len(there) + 1}{ending[:6]}"
            try:
                (room / f"{name}.png").write_bytes(strip_of(sent, room))
            except ValueError as error:
                raise ValueError("this is neither a photograph nor a video") from error
            shutil.copyfile(sent, room / name)
            self._media(run).change(lambda kept: kept.update({key: [*there, name]}))
        self._handover.drop(question.upload)
        return self.seen(OneTrial(run=run.id, trial=question.trial))

    def seen(self, question: OneTrial) -> Seen:
        """What was photographed and filmed of a trial and of its start.

        Raises:
            ValueError: there is no such trial.
        """
        run = self._sheet(question.run)
        trial, kept = self._trial(run, question.trial), self._media(run).read()

        def strips(of: str) -> list[str]:
            names = kept.get(_subject(trial, of), [])
            return [
                base64.b64encode((self._room / run.id / f"{name}.png").read_bytes()).decode()
                for name in names
            ]

        return {"trial": strips("trial"), "start": strips("start")}

    def read(self, question: OneRun) -> dict[str, str]:
        """{run}: open the key of a full sheet, and compare the policies.

        Raises:
            ValueError: a trial has no outcome yet, or it was read already.
        """
        run = self._sheet(question.run)
        with self._lock:
            lines = self._lines(run)
            if missing := [line["trial"] for line in lines if line["success"] is None]:
                raise ValueError(f"trial {missing[0]} has no outcome yet: the key stays closed")
            if any(self._reads(one, run) for one in self._runs_of_job()):
                raise ValueError("this sheet was read already")
            filled = self._room / f"{run.id}.csv"
            filled.write_text(_table(lines, self._media(run).read(), run.id), encoding="utf-8")
            options = {"sheet": str(self._cabinet.runs.directory(run.id)), "results": str(filled)}
            return {"run": self._runs.start(JOB, {"task": run.config["task"], **options})}

    def _runs_of_job(self) -> list[RunRow]:
        return [run for run in self._cabinet.runs.all() if run.job == JOB]

    def _made(self) -> list[RunRow]:
        return [run for run in self._runs_of_job() if not run.config.get("results")]

    def _reads(self, run: RunRow, sheet: RunRow) -> bool:
        """Whether a run reads a sheet: one that failed does no longer."""
        at = str(self._cabinet.runs.directory(sheet.id))
        there = run.state.busy or run.result is not None
        return there and bool(run.config.get("results")) and run.config["sheet"] == at

    def _sheet(self, name: str) -> RunRow:
        run = self._cabinet.runs.get(name)
        if run.job != JOB or run.config.get("results") or run.result is None:
            raise ValueError(f"{run.id} is no sheet of trials that can be filled in")
        return run

    def _entries(self, run: RunRow) -> Document:
        return Document(self._room / f"{run.id}.json")

    def _media(self, run: RunRow) -> Document:
        return Document(self._room / f"{run.id}.media.json")

    def _open_trial(self, run: RunRow, number: int) -> Trial:
        """A trial of a sheet that may still be written on."""
        if any(self._reads(one, run) for one in self._runs_of_job()):
            raise ValueError("this sheet was read: its outcomes stand")
        self._room.mkdir(exist_ok=True)
        return self._trial(run, number)

    def _trial(self, run: RunRow, number: int) -> Trial:
        trials = self._trials(run)
        if number > len(trials):
            raise ValueError(f"the sheet has no trial {number}")
        return trials[number - 1]

    def _count(self, run: RunRow) -> int:
        """How many trials of a sheet have an outcome; this process alone enters them."""
        if run.id not in self._entered:
            self._entered[run.id] = _known(self._entries(run).read())
        return self._entered[run.id]

    def _trials(self, run: RunRow) -> list[Trial]:
        if run.id not in self._sheets:
            text = (self._cabinet.runs.directory(run.id) / SHEET).read_text(encoding="utf-8")
            self._sheets[run.id] = [
                Trial(int(row["trial"]), int(row["start"]), row["code"])
                for row in csv.DictReader(io.StringIO(text))
            ]
        return self._sheets[run.id]

    def _lines(self, run: RunRow) -> list[TrialRecord]:
        entries = self._entries(run).read()
        lines: list[TrialRecord] = []
        for trial in self._trials(run):
            success, note = entries.get(str(trial.number), (None, ""))
            lines.append(
                {
                    "trial": trial.number,
                    "start": trial.start,
                    "code": trial.code,
                    "success": success,
                    "note": note,
                }
            )
        return lines


def _known(entries: dict[str, Any]) -> int:
    return sum(success is not None for success, _ in entries.values())


def _subject(trial: Trial, of: str) -> str:
    return f"{of}-{trial.start if of == 'start' else trial.number}"


def _table(lines: list[TrialRecord], media: dict[str, list[str]], room: str) -> str:
    """A full sheet as the job reads it."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(HEAD)
    for line in lines:
        said = "yes" if line["success"] else "no"
        trial = Trial(line["trial"], line["start"], line["code"])
        names = [name for of in ("start", "trial") for name in media.get(_subject(trial, of), [])]
        files = BETWEEN.join(f"{room}/{name}" for name in names)
        table.writerow([trial.number, trial.start, trial.code, said, line["note"], files])
    return text.getvalue()


def _results(sheet: RunRow, reading: RunRow | None) -> list[dict[str, Any]]:
    """What the run that read a sheet returned, by policy."""
    found = (reading.result if reading else None) or {}
    parts = {"rate": "success_rate", "low": "success_low", "high": "success_high", "p": "p_value"}
    return [
        {"policy": name, **{part: found.get(f"{name}/{metric}") for part, metric in parts.items()}}
        for name in sheet.config["policies"]
        if f"{name}/success_rate" in found
    ]
