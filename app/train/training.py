"""The Train page's use cases: curves, alarms, groups, checkpoints, comparison, tables."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.models.catalogue import unaligned
from app.runs.launcher import Launcher, OneRun
from app.train.alarms import Thresholds, alarms
from app.train.preflight import Preflight
from app.train.siblings import Siblings
from app.train.successes import NAMES, success_of
from app.web.checks import check_integer, check_names
from engine.config import Config, knob
from engine.records.label_set import NOW
from engine.statistics.exploitability import NEEDED, looks, report
from storage.cabinet import Cabinet
from storage.runs.curves import AXES, MOST_POINTS, Points

MOST_RUNS = 10  # compared at once
FEW_POINTS = 300  # of a curve among many: a chart is about as many pixels wide
EVENTS = 50
TABLES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
# Only the studio's own: they name the directories of this machine.
UNTOLD = ("starts", "task")


@dataclass(frozen=True, kw_only=True)
class FollowRun(Config):
    """What is new about runs since cursors."""

    run: str | None = knob(None, "its id; without one only the list of runs")
    axis: str = knob("iteration", "of the curves", choices=tuple(AXES))
    after: int = knob(0, "cursor of the run", low=0, high=2**62)
    others: Mapping[str, Any] | None = knob(None, "cursors of the runs compared with it, by id")
    thresholds: Thresholds = knob(help="of the alarms", factory=Thresholds)


@dataclass(frozen=True, kw_only=True)
class Runs(Config):
    """Some runs."""

    runs: tuple[str, ...] = knob(help="their ids", low=1, high=MOST_RUNS)


@dataclass(frozen=True, kw_only=True)
class Table(Config):
    """Every point of some runs as a file."""

    runs: tuple[str, ...] = knob(help="their ids", low=1, high=MOST_RUNS)
    format: str = knob(help="of the file", choices=tuple(TABLES))


class Training:
    """Runs as the Train page follows them. Every method may be called from any thread.

    A question is plain values by name; what a user can get wrong raises a `ValueError` or, for an
    unknown id, a `LookupError` of one sentence.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        launcher: Launcher,
        siblings: Siblings,
        preflight: Preflight,
        *,
        guest: bool,
    ) -> None:
        self._cabinet = cabinet
        self._launcher = launcher
        self._preflight = preflight
        self._guest = guest
        self.strip = siblings.strip
        self.films = siblings.films
        self.flip = siblings.flip
        self.probes = siblings.probes
        self.look = preflight.look

    def start(self, job: str, values: Mapping[str, Any]) -> str:
        """Queue a run that preflight has nothing against; its id.

        Raises:
            ValueError: it cannot work, in one sentence.
        """
        found = self._preflight.look(job, values)
        for check in found["checks"]:
            if check["ok"] is False:
                raise ValueError(check["text"])
        return self._launcher.start(job, values, expected=found["seconds"])

    def label_sets(self) -> list[tuple[str, str]]:
        """(words, version) of what a run may take people's verdicts from."""
        frozen = [
            (f"{one.episodes} labels, frozen as {one.version[:8]}", one.version)
            for one in self._cabinet.label_sets.all()
        ]
        return [("what people have said by now", NOW), ("no labels", ""), *frozen]

    def unaligned(self) -> list[str]:
        """World models that have never seen a policy's rollouts, by their cards, newest first."""
        return unaligned(self._cabinet.checkpoints.all("world_model"))

    def follow(self, question: FollowRun) -> dict[str, Any]:
        """What is new about runs since cursors.

        {runs, status, next, series, iterations, events, audits, alarms, reality, others}; alarms
        and reality are None where nothing changed. Without a run, or with one that is unknown,
        only the list: the runs as `app.runs.launcher` shows them, with the success of each.
        """
        runs = self._listed()
        known = {record["id"] for record in runs}
        run, axis = question.run or "", question.axis
        if run not in known:
            return {"runs": runs, "status": None}
        others = _check_compared(question.others or {}, known - {run})
        most = max(FEW_POINTS, MOST_POINTS // (1 + len(others)))
        points = self._points(run, axis, question.after, most)
        status = self._launcher.status(run)
        fresh = bool(points.series) or not question.after or status["state"] == "failed"
        return {
            "runs": runs,
            "status": status,
            "next": points.next,
            "series": points.series,
            "iterations": self._launcher.iterations(run),
            "events": self._launcher.events(run, EVENTS),
            "audits": self._cabinet.curves.audits(run, guest=self._guest),
            "alarms": self._alarms(run, status, question.thresholds) if fresh else None,
            "reality": self._reality(run) if fresh else None,
            "others": {
                other: {"next": found.next, "series": found.series}
                for other, after in others.items()
                for found in [self._points(other, axis, after, most)]
            },
        }

    def _listed(self) -> list[dict[str, Any]]:
        latest = self._cabinet.curves.latest(NAMES)
        configs = {run.id: run.config for run in self._cabinet.runs.all()}
        return [
            {
                **record,
                "success": success_of(latest.get(record["id"], {}), configs.get(record["id"], {})),
            }
            for record in self._launcher.all()
        ]

    def curves(self, run_id: str, *, axis: str = "iteration", after: int = 0) -> Points:
        """Points of a run's curves after a cursor.

        Raises:
            LookupError: no such run.
        """
        self._cabinet.runs.get(run_id)
        return self._points(run_id, axis, after)

    def differences(self, question: Runs) -> dict[str, Any]:
        """{runs, names, rows: [{name, values}]}: options in which runs differ."""
        runs = [self._cabinet.runs.get(run) for run in question.runs]
        configs = [_flat(run.config) | {"job": run.job} for run in runs]
        names = sorted({name for config in configs for name in config} - set(UNTOLD))
        rows = [
            {"name": name, "values": [_describe(config.get(name)) for config in configs]}
            for name in names
            if len({repr(config.get(name)) for config in configs}) > 1
        ]
        called = {record["id"]: record["name"] for record in self._launcher.all()}
        return {
            "runs": [run.id for run in runs],
            "names": [called[run.id] for run in runs],
            "rows": rows,
        }

    def checkpoints(self, question: OneRun) -> dict[str, list[dict[str, Any]]]:
        """{checkpoints} that a run keeps, newest first: {id, role, step, short, metrics}.

        Raises:
            LookupError: no such run.
        """
        begins = f"run/{self._cabinet.runs.get(question.run).id}/"
        found = [c for c in self._cabinet.checkpoints.all() if c.id.startswith(begins)]
        return {
            "checkpoints": [
                {
                    "id": checkpoint.id,
                    "role": checkpoint.role,
                    "step": int(checkpoint.id.rpartition("-")[2]),
                    "short": checkpoint.hash[:8],
                    "metrics": _numbers(checkpoint.card.get("metrics")),
                }
                for checkpoint in reversed(found)
            ]
        }

    def table(self, question: Table) -> dict[str, Any]:
        """{name, media_type, data: a data URI} of every point of some runs."""
        kind, runs = question.format, list(question.runs)
        for run in runs:
            self._cabinet.runs.get(run)
        from storage.exports.metrics import to_csv, to_parquet

        write = {"csv": to_csv, "parquet": to_parquet}[kind]
        content = base64.b64encode(write(self._cabinet.curves.table(runs))).decode()
        name = runs[0] if len(runs) == 1 else f"{len(runs)}-runs"
        return {
            "name": f"{name}.{kind}",
            "media_type": TABLES[kind],
            "data": f"data:{TABLES[kind]};base64,{content}",
        }

    def _points(self, run_id: str, axis: str, after: object, most: int = MOST_POINTS) -> Points:
        start = check_integer("after", after, 0, 2**62)
        return self._cabinet.curves.of(run_id, axis=axis, after=start, most=most)

    def _alarms(
        self, run_id: str, status: Mapping[str, Any], thresholds: Thresholds
    ) -> list[dict[str, Any]]:
        series = self._cabinet.curves.of(run_id, most=MOST_POINTS).series
        audits = self._cabinet.curves.audits(run_id, guest=self._guest)
        return alarms(series, audits, status["error"], thresholds)

    def _reality(self, run_id: str) -> dict[str, Any] | None:
        """What looks at reality say of a run that dreams; None of one that never looked."""
        config = self._cabinet.runs.get(run_id).config
        if config.get("environment") != "imagination" or not config.get("real_every"):
            return None
        series = self._cabinet.curves.of(run_id, most=MOST_POINTS).series
        by_step = {
            name: {int(point[2]): point[1] for point in series.get(name, ())} for name in NEEDED
        }
        episodes, starts = int(config["real_episodes"]), int(config["groups"])
        return report(looks(by_step, episodes=episodes, starts=starts))


def _check_compared(asked: object, known: set[str]) -> Mapping[str, Any]:
    """Cursors of the runs that are compared, by id."""
    cursors = check_names(asked, allowed=known) if asked else {}
    if len(cursors) >= MOST_RUNS:
        raise ValueError(f"at most {MOST_RUNS} runs can be compared at once")
    return cursors


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options under dotted names."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _describe(value: object) -> str:
    """A value in few words; a path by its last parts, which name the checkpoint or the run."""
    if isinstance(value, (list, tuple)):
        return ", ".join(_describe(item) for item in value)
    if isinstance(value, str) and value.startswith("/"):
        run, _, step = value.rpartition("/")
        return f"{run.rpartition('/checkpoints')[0].rpartition('/')[2]}/{step}".strip("/")
    return "–" if value is None else str(value)


def _numbers(metrics: object) -> dict[str, float]:
    values = metrics if isinstance(metrics, Mapping) else {}
    return {
        str(name): float(value)
        for name, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
