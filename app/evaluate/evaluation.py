"""Evaluate's use cases: policies on common starts in the simulator, with tests and intervals."""

from base64 import b64encode
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.access import Access
from app.evaluate.evaluation_plan import Planning
from app.evaluate.suites import Suite, short, suites_of
from app.live.simulator import Simulator
from app.runs.launcher import Launcher, OneRun
from app.web.checks import check_choice
from engine.config import Config, knob
from engine.records.episodes import index_id
from engine.records.ledger import read_ledger
from engine.records.tasks import pool_starts
from engine.runs.names import episode_name
from engine.statistics.comparison import (
    Difference,
    check_comparable,
    compare_tasks,
    differences,
    mean_rates,
    over_tasks,
    paired,
    power,
)
from engine.statistics.intervals import wilson_interval
from engine.statistics.power import paired_detectable, paired_episodes, unpaired_episodes
from engine.statistics.report import Block, Heading, Paragraph, to_html, to_markdown
from storage.cabinet import Cabinet
from storage.runs.runs import RunRow

REPORTS = {"markdown": "report.md", "html": "report.html"}
MIME = {"markdown": "text/markdown", "html": "text/html"}
SAMPLE = "sample"  # names of shipped studies begin with it


@dataclass(frozen=True, kw_only=True)
class Results(Config):
    """A suite of runs on common starts."""

    suite: str = knob(help="its id", high=100)
    reference: str | None = knob(None, "the arm that the others are compared with")


@dataclass(frozen=True, kw_only=True)
class Report(Config):
    """A suite as a file to keep."""

    suite: str = knob(help="its id", high=100)
    reference: str | None = knob(None, "the arm that the others are compared with")
    format: str = knob("html", "of the file", choices=tuple(REPORTS))


@dataclass(frozen=True, kw_only=True)
class StudyReport(Config):
    """A study's report as it stands."""

    run: str = knob(help="its id")
    format: str = knob("html", "of the file", choices=tuple(REPORTS))


@dataclass(frozen=True, kw_only=True)
class Power(Config):
    """What a comparison is to show, in shares."""

    difference: float = knob(help="of the success rates", low=0.001, high=1.0)
    discordant: float = knob(help="starts on which the two differ", low=0.001, high=1.0)
    rate: float = knob(help="success of one", low=0.0, high=1.0)
    episodes: int = knob(help="on common starts", low=1, high=10**6)


class Evaluation:
    """What the Evaluate page asks. Every method may be called from any thread.

    What a user can get wrong raises a `ValueError` (an unknown run: `LookupError`) of one sentence.

    Args:
        samples: folders with the reports of shipped studies.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        launcher: Launcher,
        simulator: Simulator,
        *,
        samples: Path,
        access: Access,
    ) -> None:
        self._cabinet = cabinet
        self._samples = samples
        planning = Planning(cabinet, launcher, simulator, access=access)
        self._checkpoint_name = launcher.checkpoint_name
        self.choices, self.plan, self.start = planning.choices, planning.plan, planning.start

    def suites(self) -> list[dict[str, Any]]:
        """What has been run on common starts, newest first: {id, title, tasks, arms, runs}."""
        return [
            {
                "id": suite.key.id,
                "title": suite.key.title,
                "tasks": suite.tasks,
                "arms": [[arm, self._title(arm)] for arm in suite.arms],
                "runs": len({run.id for run in suite.cells.values()}),
            }
            for suite in self._suites()
        ]

    def _title(self, arm: str) -> str:
        return self._checkpoint_name(arm) if arm.startswith("run/") else short(arm)

    def results(self, question: Results) -> dict[str, Any]:
        """Cells with Wilson intervals, differences and paired tests of a suite."""
        suite, reference = self._chosen(question.suite, question.reference)
        tasks = {task: suite.outcomes(task) for task in suite.tasks}
        check_comparable(tasks, reference)
        tests = paired(tasks, reference)
        return {
            "suite": suite.key.id,
            "title": suite.key.title,
            "reference": reference,
            "columns": suite.columns,
            "about": what_a_seed_is(suite),
            "arms": [
                {"name": arm, "title": self._title(arm), "policies": len(suite.policies[arm])}
                for arm in suite.arms
            ],
            "tasks": [
                {
                    "task": task,
                    "cells": {arm: self._row(suite, task, arm) for arm in suite.arms},
                    "means": {
                        name: [found.mean, found.low, found.high]
                        for name, found in mean_rates(arms).items()
                    },
                    "power": power(arms, reference),
                }
                for task, arms in tasks.items()
            ],
            "differences": [_difference(found) for found in differences(tasks, reference)],
            "overall": [_difference(d) for d in over_tasks(tasks, reference)]
            if len(tasks) > 1
            else [],
            "paired": [
                {
                    "task": test.task,
                    "arm": test.arm,
                    "column": test.seed,
                    "only_arm": test.only_arm,
                    "only_reference": test.only_reference,
                    "p": test.p_value,
                    "adjusted": test.adjusted,
                    "strong": test.strong,
                    "run": suite.cells[test.task, test.arm, test.seed].id,
                    "reference_run": suite.cells[test.task, reference, test.seed].id,
                }
                for test in tests
            ],
        }

    def videos(self, question: OneRun) -> dict[str, Any]:
        """A run's starts in order: {starts: [[start id, success, episode id or null]…]}."""
        run = self._run(question.run, "evaluate")
        config = run.config
        starts = pool_starts(config["pool"], config["first_start"], config["episodes"])
        outcomes = {
            row["start_id"]: row["success"] for row in self._cabinet.runs.ledger(run=run.id)
        }
        names = {
            start: index_id(run.id, episode_name(config["task"], start, config["seed"]))
            for start in starts
        }
        stored = self._cabinet.trajectories.find_all(list(names.values()))
        return {
            "run": run.id,
            "starts": [
                [start, outcomes[start], names[start] if names[start] in stored else None]
                for start in starts
                if start in outcomes
            ],
        }

    def report(self, question: Report) -> dict[str, str]:
        """{name, data}: a file to keep."""
        form = question.format
        suite, reference = self._chosen(question.suite, question.reference)
        blocks = self._blocks(suite, reference)
        text = to_html(suite.key.title, blocks) if form == "html" else to_markdown(blocks)
        return _file(f"evaluation-{suite.key.id}{REPORTS[form][6:]}", MIME[form], text)

    def power(self, question: Power) -> dict[str, Any]:
        """How many episodes are needed, and what difference shows."""
        difference, discordant, rate = question.difference, question.discordant, question.rate
        other = rate + difference if rate + difference <= 1.0 else rate - difference
        shown = paired_detectable(question.episodes, discordant)
        return {
            "paired": paired_episodes(difference, discordant),
            "unpaired": unpaired_episodes(rate, other) if other >= 0.0 else None,
            "detectable": None if shown == float("inf") else shown,
        }

    def ledger(self) -> dict[str, Any]:
        """Every real episode by use: {uses: [{task, pool, use, episodes, successes}…], overlaps}.

        Those of the app's own twins and of the stages of studies are counted with the runs'.
        """
        counted: Counter[tuple[str, str, str]] = Counter()
        won: Counter[tuple[str, str, str]] = Counter()
        for row in self._cabinet.runs.ledger_counts():
            key = (row["task"], row["pool"], row["use"])
            counted[key] += row["episodes"]
            won[key] += row["successes"]
        workspace = self._cabinet.workspace
        inner = sorted(workspace.runs.glob("*/stages/*/ledger.jsonl"))
        for directory in [workspace.twins, *(path.parent for path in inner)]:
            for entry in read_ledger(directory):
                key = (entry["task"], entry["pool"], entry["use"])
                counted[key] += 1
                won[key] += entry["success"]
        overlaps = self._cabinet.runs.overlaps()
        return {
            "uses": [
                {"task": task, "pool": pool, "use": use, "episodes": n, "successes": won[key]}
                for key, n in sorted(counted.items())
                for task, pool, use in [key]
            ],
            "overlaps": [
                [row["task"], row["start_id"], list(row["uses"])] for row in overlaps[:20]
            ],
            "num_overlaps": len(overlaps),
        }

    def studies(self) -> list[dict[str, Any]]:
        """Studies, newest first, then the shipped: {id, title, state, done, total, reported}."""
        found = [
            {
                "id": run.id,
                "title": str(run.config.get("title") or run.id),
                "state": run.state,
                "busy": run.state.busy,
                "done": run.done or 0,
                "total": run.total or 0,
                "reported": (self._cabinet.runs.directory(run.id) / REPORTS["html"]).is_file(),
            }
            for run in self._cabinet.runs.all()
            if run.job == "study"
        ]
        for report in sorted(self._samples.glob(f"*/{REPORTS['markdown']}")):
            title = report.read_text().partition("\n")[0].removeprefix("# ")
            name = f"{SAMPLE}-{report.parent.name}"
            shipped = {"id": name, "title": title, "state": "sample", "reported": True}
            found.append({**shipped, "done": 0, "total": 0})
        return found

    def study_report(self, question: StudyReport) -> dict[str, str]:
        """{name, data, text}: a study's report as it stands."""
        form = question.format
        shipped = {f"{SAMPLE}-{path.name}": path for path in self._samples.glob("*")}
        if (directory := shipped.get(question.run)) is not None:
            name = directory.name
        else:
            name = self._run(question.run, "study").id
            directory = self._cabinet.runs.directory(name)
        path = directory / REPORTS[form]
        if not path.is_file():
            raise ValueError(f"{name} has written no report yet: it does so when it begins")
        text = path.read_text()
        return {**_file(f"{name}{path.suffix}", MIME[form], text), "text": text}

    def _suites(self) -> list[Suite]:
        known = {str(c.directory): c.id for c in self._cabinet.checkpoints.all("policy")}
        return suites_of(self._cabinet.runs.all(), known)

    def _chosen(self, wanted: str, reference: str | None) -> tuple[Suite, str]:
        found = [suite for suite in self._suites() if suite.key.id == wanted]
        if not found:
            raise LookupError(f"nothing was evaluated on {wanted}")
        suite = found[0]
        default = next((arm for arm in suite.arms if "base" in arm), suite.arms[0])
        return suite, check_choice("reference", reference or default, suite.arms)

    def _row(self, suite: Suite, task: str, arm: str) -> list[dict[str, Any] | None]:
        return [_cell(suite.cells.get((task, arm, column))) for column in range(suite.columns)]

    def _run(self, name: str, job: str) -> RunRow:
        run = self._cabinet.runs.get(name)
        if run.job != job:
            raise ValueError(f"{run.id} is a run of {run.job}, not of {job}")
        return run

    def _blocks(self, suite: Suite, reference: str) -> list[Block]:
        tasks = {task: suite.outcomes(task) for task in suite.tasks}
        named = tasks if len(tasks) > 1 else {"": next(iter(tasks.values()))}
        about = (
            f"{', '.join(suite.tasks)}. Every arm plays the same starts of the pool "
            f"{suite.key.pool} in the simulator. {what_a_seed_is(suite)} Brackets are 95 % Wilson "
            "intervals, in %. What was not run is said."
        )
        return [
            Heading(f"Evaluation: {suite.key.title}", 1),
            Paragraph(about),
            *compare_tasks(named, reference, range(suite.columns)),
        ]


def what_a_seed_is(suite: Suite) -> str:
    """What the columns stand for, and so what can be concluded from them."""
    trained = any(len(policies) > 1 for policies in suite.policies.values())
    if trained:
        return (
            "A seed is one training of an arm; an arm of one policy stands in every column."
            if suite.key.temperature == 0
            else "Seeds are trainings of an arm, each sampled anew."
        )
    if suite.columns > 1:
        return (
            "Seeds are samplings of one and the same policy: they say how this checkpoint does, "
            "not how its training would turn out again."
        )
    return "One policy an arm, played once: nothing is said about other trainings."


def _cell(run: RunRow | None) -> dict[str, Any] | None:
    if run is None:
        return None
    cell: dict[str, Any] = {
        "run": run.id,
        "state": run.state,
        "busy": run.state.busy,
        "error": run.error,
        "done": run.done or 0,
        "total": run.config["episodes"],
        "filmed": min(run.config.get("record_episodes", 0), run.config["episodes"]),
    }
    if run.result is not None:
        outcomes = run.result["outcomes"]
        rate = sum(outcomes) / len(outcomes)
        low, high = wilson_interval(sum(outcomes), len(outcomes))
        cell |= {"rate": rate, "low": low, "high": high, "successes": sum(outcomes)}
    return cell


def _difference(found: Difference) -> dict[str, Any]:
    return {
        "task": found.task,
        "arm": found.arm,
        "seeds": found.seeds,
        "mean": found.estimate.mean,
        "low": found.estimate.low,
        "high": found.estimate.high,
        "p": found.estimate.p_value,
        "adjusted": found.adjusted,
        "strong": found.strong,
    }


def _file(name: str, mime: str, text: str) -> dict[str, str]:
    data = b64encode(text.encode()).decode()
    return {"name": name, "data": f"data:{mime};charset=utf-8;base64,{data}"}
