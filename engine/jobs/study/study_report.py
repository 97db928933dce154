"""The report of a study as it stands: written after every test, cells not run shown as absent."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.checkpoints.checkpoint import read_json
from engine.jobs.study.study_plan import Planned, upstream
from engine.records.events import read_events
from engine.records.ledger import read_ledger
from engine.statistics.comparison import Arm, compare
from engine.statistics.exploitability import Look, looks
from engine.statistics.report import (
    Block,
    Cell,
    Code,
    Heading,
    Paragraph,
    Table,
    to_html,
    to_markdown,
)

# Real episodes that a method spends to improve the base; the others are given to every arm alike.
BUDGET_USES = {"world model", "reward", "policy"}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a study is and how far it has come.

    Attributes:
        titles: of the arms, by name, in order.
        found: directory of each stage that is done, by name; results: what it returned.
    """

    title: str
    about: str
    command: str
    reference: str
    sizes: Mapping[str, Any]
    seeds: Sequence[int]
    titles: Mapping[str, str]
    planned: Sequence[Planned]
    found: Mapping[str, Path]
    results: Mapping[str, Mapping[str, Any]]


def write_report(directory: Path, study: Progress) -> None:
    """`report.md` and `report.html` in the run directory, each replaced at once."""
    blocks = report_blocks(study)
    _replace(directory / "report.md", to_markdown(blocks))
    _replace(directory / "report.html", to_html(study.title, blocks))


def report_blocks(study: Progress) -> list[Block]:
    """The whole report."""
    tests = [stage for stage in study.planned if stage.arm]
    done = sum(stage.name in study.results for stage in tests)
    options = tests[0].config
    state = (
        f"{done} of {len(tests)} tests are done. Each plays the same {options['episodes']} starts "
        f"(pool {options['pool']}) in the simulator, {_temperatures(study)} (0 is greedy), with "
        "the last checkpoint of its training. An "
        "arm that is not trained anew for each seed was tested once and stands in every column. "
        "Brackets are 95 % Wilson intervals, in %."
    )
    blocks: list[Block] = [Heading(study.title, 1)]
    blocks += [Paragraph(text) for text in (study.about, state) if text]
    blocks += compare(arms_of(study), study.reference, study.seeds)
    blocks += [
        *_exploitability(study),
        Heading("Real episodes"),
        ledger_table(study),
        Paragraph(
            "All real episodes behind each arm, by use, as their ledgers count them; all seeds "
            "together. Budget is what an arm spent to improve on the base, in each seed. Training "
            "and test starts are disjoint: a study whose pools overlap refuses to run."
        ),
        Heading("Choices made on held-out data"),
        _choices(study),
        Heading("How it was made"),
        Code(study.command),
        Paragraph("Sizes: " + ", ".join(f"{k} = {v}" for k, v in study.sizes.items()) + "."),
        _stages(study),
    ]
    return blocks


def _temperatures(study: Progress) -> str:
    """The sampling temperature of the tests, and the arms that were tested at another."""
    found = {stage.arm: float(stage.config["temperature"]) for stage in study.planned if stage.arm}
    usual = found[study.reference]
    others = [f"{study.titles[arm]} at {value:g}" for arm, value in found.items() if value != usual]
    return f"at sampling temperature {usual:g}" + "".join(f", {other}" for other in others)


def arms_of(study: Progress) -> list[Arm]:
    """Outcomes by arm and seed; a test that all seeds share counts for each."""
    arms = []
    for name, title in study.titles.items():
        outcomes = {}
        for stage in study.planned:
            if stage.arm == name and stage.name in study.results:
                found = np.array(study.results[stage.name]["outcomes"], dtype=bool)
                seeds = study.seeds if stage.seed is None else [stage.seed]
                outcomes.update({seed: found for seed in seeds})
        arms.append(Arm(name, title, outcomes))
    return arms


def ledger_table(study: Progress) -> Table:
    """Real episodes of everything behind each arm, by use."""
    by_name = {stage.name: stage for stage in study.planned}
    counts: dict[str, Counter[str]] = {}
    spent: dict[str, list[int]] = {}
    for arm in study.titles:
        behind: set[str] = set()
        spent[arm] = []
        for test in (stage for stage in study.planned if stage.arm == arm):
            needed = upstream(test.name, by_name)
            behind |= needed
            uses = _uses(study, needed)
            if test.name in study.results:
                spent[arm].append(sum(uses[use] for use in BUDGET_USES))
        counts[arm] = _uses(study, behind)
    columns = sorted({use for counter in counts.values() for use in counter})
    rows = [
        [
            Cell(title),
            *(Cell(str(counts[arm][use])) for use in columns),
            Cell(" / ".join(map(str, spent[arm])) or "not run"),
        ]
        for arm, title in study.titles.items()
    ]
    return Table(["arm", *columns, "budget"], rows)


def _uses(study: Progress, stages: set[str]) -> Counter[str]:
    directories = [study.found[name] for name in sorted(stages) if name in study.found]
    return Counter(str(entry["use"]) for path in directories for entry in read_ledger(path))


def _exploitability(study: Progress) -> list[Block]:
    """What looks at reality say of each training in dreams that had them."""
    rows = []
    for stage in study.planned:
        if stage.job != "optimise" or stage.name not in study.found:
            continue
        for look in looks_of(study.found[stage.name]):
            shares = [_share(*share) for share in (look.dreamt, look.real, look.gap)]
            kl = "-" if look.kl is None else f"{look.kl:.4f}"
            rows.append([Cell(text) for text in (stage.name, str(look.updates), kl, *shares)])
    if not rows:
        return []
    columns = ["stage", "iterations", "KL a token from the base", "dreamt", "real", "gap"]
    text = (
        "Success of one policy in its dreams and in the simulator, in %, with 95 % intervals; "
        "dreams of one start count as far as they differ."
    )
    return [Heading("Dreamt minus real success"), Table(columns, rows), Paragraph(text)]


def looks_of(directory: Path) -> list[Look]:
    """Looks at reality of a run of `optimise`, from its log."""
    series: dict[str, dict[int, float]] = {}
    for _, event in read_events(directory / "events.jsonl"):
        for name, value in event["metrics"].items() if event["kind"] == "metric" else ():
            series.setdefault(name, {})[int(event["step"])] = value
    options = read_json(directory / "config.json")["config"]
    return looks(series, episodes=options["real_episodes"], starts=options["groups"])


def _share(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _choices(study: Progress) -> Block:
    rows = []
    for stage in study.planned:
        result = study.results.get(stage.name, {})
        if stage.job == "choose" and result:
            rows.append([Cell(stage.name), Cell(str(result["choose/run"]))])
        if stage.job == "prefer" and result:
            text = ", ".join(
                f"{label} {result[f'prefer/{name}']:.3g}"
                for label, name in PREFER_FIGURES
                if f"prefer/{name}" in result
            )
            rows.append([Cell(stage.name), Cell(text)])
    if not rows:
        return Paragraph("None yet.")
    return Table(["stage", "outcome"], rows)


PREFER_FIGURES = (
    ("mixed starts", "mixed_starts"),
    ("skipped", "skipped_starts"),
    ("pairs", "pairs"),
    ("held out", "held_out_pairs"),
    ("accuracy", "held_out_accuracy"),
    ("loss", "held_out_loss"),
)


def _stages(study: Progress) -> Table:
    rows = [
        [Cell(stage.name), Cell(stage.job), Cell("done" if stage.name in study.results else "-")]
        for stage in study.planned
        if not stage.arm
    ]
    return Table(["stage", "job", "state"], rows)


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}")
    partial.write_text(text)
    os.replace(partial, path)
