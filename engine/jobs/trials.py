"""Real trials without a simulator: a blind sheet in a random order, and what its outcomes show.

Without `results`, a sheet is made: a table to fill in at the robot, in which policies have codes,
and a key that says whose they are, to be opened by nobody until the sheet is full. With `results`,
the filled sheet is read back against its key: rates, paired tests and power are those of Evaluate,
and each trial enters the ledger as one, never among episodes of a simulator. Photographs and videos
that a row names, of files beside the table, come along.
"""

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import Config, knob
from engine.protocols import Run
from engine.recordings.reading import strip_of
from engine.records.tasks import get_task
from engine.runs.job import Job
from engine.runs.run_directory import read_documents
from engine.seeding import numpy_generator
from engine.statistics.comparison import Arm, compare
from engine.statistics.intervals import discordant, mcnemar_exact, wilson_interval
from engine.statistics.report import to_markdown

SHEET, KEY, REPORT, MEDIA = "sheet.csv", "key", "report.md", "media"
HEAD = ("trial", "start", "code", "success", "note", MEDIA)
BETWEEN = ";"  # names of a trial's photographs and videos
TRUE, FALSE = ("1", "true", "yes", "y", "success"), ("0", "false", "no", "n", "fail")
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """Which policies are tried how often, or which filled sheet is read."""

    task: str = knob("", "Task record that is tried")
    policies: tuple[str, ...] = knob(
        (), "Names or checkpoints of the policies; the first is the base"
    )
    starts: int = knob(20, "Starts, each tried once with every policy", low=1, high=10_000)
    seed: int = knob(0, "Of the order and the codes", low=0)
    sheet: str = knob("", "Run that made the sheet; with results")
    results: str = knob("", "The sheet, filled in: a CSV file")


JOB = Job(keeps_checkpoints=False)


@dataclass(frozen=True)
class Trial:
    """One trial: of a start, with the policy of a code."""

    number: int
    start: int
    code: str


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Make a sheet, or read one.

    Raises:
        ValueError: too few policies, or a sheet that does not belong to its key.
    """
    if config.results:
        return _score(config, run)
    if len(set(config.policies)) < 2 or len(set(config.policies)) != len(config.policies):
        raise ValueError("name at least two different policies to try against each other")
    get_task(config.task)
    codes, trials = plan(config.policies, config.starts, config.seed)
    room = run.workroom().parent
    (room / SHEET).write_text(sheet_text(trials))
    run.write_document(KEY, {"task": config.task, "policies": config.policies, "codes": codes,
                             "trials": [[t.start, t.code] for t in trials]})  # fmt: skip
    return {"trials/planned": len(trials)}


def plan(policies: Sequence[str], starts: int, seed: int) -> tuple[dict[str, str], list[Trial]]:
    """({code: policy}, trials in their order): starts in a random order, within each the policies.

    Policies are tried on the same start one after the other, so that what drifts at the robot
    drifts for all.
    """
    random = numpy_generator(seed, "trials", starts, *policies)
    names = [
        "".join(pair) for pair in random.permutation([[a, b] for a in LETTERS for b in "2345679"])
    ]
    codes = dict(zip(names, policies, strict=False))
    order = [(start, code) for start in random.permutation(starts).tolist()
             for code in random.permutation(list(codes)).tolist()]  # fmt: skip
    return codes, [Trial(number, start, code) for number, (start, code) in enumerate(order, 1)]


def sheet_text(trials: Sequence[Trial]) -> str:
    """The table to fill in; it names no policy."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(HEAD)
    table.writerows([trial.number, trial.start, trial.code, "", "", ""] for trial in trials)
    return text.getvalue()


def read_sheet(path: Path, trials: Sequence[Trial]) -> tuple[list[bool], list[list[Path]]]:
    """The outcome of every trial, and its photographs and videos.

    Raises:
        ValueError: a row (from 1) that is not the sheet's, has no outcome, or names a file that
            does not lie beside the table.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{path.name} is no table: {error}") from error
    if len(rows) != len(trials):
        raise ValueError(f"{path.name} has {len(rows)} rows, the sheet {len(trials)}")
    found, media = [], []
    for trial, row in zip(trials, rows, strict=True):
        given = (row.get("trial"), row.get("start"), row.get("code"))
        if given != (str(trial.number), str(trial.start), trial.code):
            raise ValueError(f"{path.name}, row {trial.number}: {given} is not the sheet's")
        word = (row.get("success") or "").strip().lower()
        if word not in TRUE + FALSE:
            raise ValueError(f"{path.name}, row {trial.number}: success is {word!r}, not yes or no")
        found.append(word in TRUE)
        names = [name.strip() for name in (row.get(MEDIA) or "").split(BETWEEN)]
        media.append([(path.parent / name).resolve() for name in names if name])
        for file in media[-1]:
            if not (file.is_file() and file.is_relative_to(path.parent.resolve())):
                raise ValueError(f"{path.name}, row {trial.number}: no {file.name} lies beside it")
    return found, media


def arms_of(policies: Sequence[str], codes: Mapping[str, str], trials: Sequence[Trial],
            outcomes: Sequence[bool]) -> list[Arm]:  # fmt: skip
    """Outcomes by policy, in the order of starts: pairs stand at one place."""
    starts = sorted({trial.start for trial in trials})
    tables = {name: np.zeros(len(starts), bool) for name in policies}
    for trial, success in zip(trials, outcomes, strict=True):
        tables[codes[trial.code]][starts.index(trial.start)] = success
    return [Arm(name, name, {0: tables[name]}) for name in policies]


def _score(config: JobConfig, run: Run) -> dict[str, Any]:
    key = read_documents(Path(config.sheet)).get(KEY)
    if key is None:
        raise ValueError("sheet must be the run that made it, with its key")
    trials = [Trial(number, start, code) for number, (start, code) in enumerate(key["trials"], 1)]
    outcomes, media = read_sheet(Path(config.results), trials)
    kept = keep_media(media, run.workroom().parent / MEDIA)
    for trial, success in zip(trials, outcomes, strict=True):
        run.count_real(
            task=key["task"],
            start_id=-trial.number,
            use="trial",
            policy=key["codes"][trial.code],
            success=success,
        )
    arms = arms_of(key["policies"], key["codes"], trials, outcomes)
    room = run.workroom().parent
    (room / REPORT).write_text(to_markdown(compare(arms, arms[0].name, [0])))
    metrics: dict[str, Any] = {"trials/done": len(trials)}
    base = arms[0].outcomes[0]
    for arm in arms:
        successes = int(arm.outcomes[0].sum())
        low, high = wilson_interval(successes, len(base))
        metrics[f"{arm.name}/success_rate"] = successes / len(base)
        metrics[f"{arm.name}/success_low"], metrics[f"{arm.name}/success_high"] = low, high
        if arm is not arms[0]:
            metrics[f"{arm.name}/p_value"] = mcnemar_exact(*discordant(arm.outcomes[0], base))
    run.write_document("outcomes", {"key": key, "outcomes": outcomes, MEDIA: kept})
    return metrics


def keep_media(media: Sequence[Sequence[Path]], room: Path) -> list[list[str]]:
    """Copy what was photographed and filmed of each trial, a strip beside each; the names.

    Raises:
        ValueError: a file that is neither a photograph nor a video.
    """
    if not any(media):
        return [[] for _ in media]
    room.mkdir(exist_ok=True)
    names: dict[Path, str] = {}
    for number, file in enumerate(dict.fromkeys(file for files in media for file in files), 1):
        names[file] = f"{number:03d}-{file.name}"
        (room / f"{names[file]}.png").write_bytes(strip_of(file, room))
        shutil.copyfile(file, room / names[file])
    return [[names[file] for file in files] for files in media]
