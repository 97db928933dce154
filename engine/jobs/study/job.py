"""A study: arms x seeds on common test starts, in one file, resumable, reported as it stands.

Stages run in order: the shared ones, then each seed's, each arm tested as soon as its policy is
there; those that do not need each other may run side by side. A finished stage is adopted, also
from `root`, which is only read. A cell not run is absent.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import Config, knob
from engine.jobs.study.side_by_side import SideBySide
from engine.jobs.study.study_plan import Planned, check_leaks, plan_study
from engine.jobs.study.study_report import Progress, write_report
from engine.protocols import Run
from engine.records.episodes import STAGES
from engine.runs.run_directory import RunDirectory
from engine.runs.stages import Stage, find_adopted, finished_result, resolve, run_stage


@dataclass(frozen=True, kw_only=True)
class StudyArm(Config):
    """One way to get a policy, and what it is called."""

    name: str = knob(help="Its name")
    title: str = knob(help="What the report calls it")
    policy: str = knob(help="The stage whose last checkpoint is tested, such as {dpo@last}")
    optional: bool = knob(False, "Run only where `only` names it")
    test: dict[str, Any] = knob(
        help="What differs in its test, such as a lower temperature: a sharpened policy",
        factory=dict,
    )


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """The study. In options `$name` stands for a size, `$seed` for the seed, `*` multiplies."""

    title: str = knob("Study", "What the report is called")
    about: str = knob("", "What is asked and how it was set up, in a few sentences")
    file: str = knob("", "Where this study is kept, for the command in the report")
    root: str = knob("", "Directories whose finished stages are adopted, separated by ':'")
    seeds: tuple[int, ...] = knob((0, 1, 2), "One training each", low=0)
    sizes: dict[str, Any] = knob(help="Named numbers of the options", factory=dict)
    shared: tuple[Stage, ...] = knob((), "Stages that all seeds share")
    per_seed: tuple[Stage, ...] = knob((), "Stages of each seed")
    arms: tuple[StudyArm, ...] = knob((), "What is compared")
    only: tuple[str, ...] = knob((), "Names of the arms to run; empty: all that are not optional")
    reference: str = knob("base", "The arm the others are compared with")
    test: dict[str, Any] = knob(help="Options of evaluate", factory=dict)
    side_by_side: int = knob(
        1, "Stages that run at once, at most one a core; the results are those of one", low=1
    )

    def chosen_arms(self) -> list[StudyArm]:
        """The arms to run, the reference first.

        Raises:
            ValueError: an unknown or missing arm.
        """
        names = [arm.name for arm in self.arms]
        unknown = sorted({self.reference, *self.only} - set(names))
        if unknown:
            raise ValueError(f"the study has no arm {', '.join(unknown)}; it has {names}")
        wanted = {self.reference, *self.only}
        chosen = [
            arm for arm in self.arms if arm.name in wanted or (not self.only and not arm.optional)
        ]
        return sorted(chosen, key=lambda arm: arm.name != self.reference)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Run or adopt every stage; the report is written anew after each test.

    At the end the document `stages` says where each one lies.
    """
    assert isinstance(run, RunDirectory)
    if not config.arms:
        raise ValueError("study needs arms: give it a file with --config")
    arms = config.chosen_arms()
    planned = plan_study(
        shared=config.shared,
        per_seed=config.per_seed,
        seeds=config.seeds,
        sizes=config.sizes,
        arms={arm.name: arm.policy for arm in arms},
        test=config.test,
        tests_of={arm.name: arm.test for arm in arms},
    )
    check_leaks(planned)
    found: dict[str, Path] = {}
    results: dict[str, Mapping[str, Any]] = {}

    def report() -> None:
        progress = Progress(
            title=config.title,
            about=config.about,
            command=command(config),
            reference=config.reference,
            sizes=config.sizes,
            seeds=config.seeds,
            titles={arm.name: arm.title for arm in arms},
            planned=planned,
            found=found,
            results=results,
        )
        write_report(run.directory, progress)

    if not _run_stages(config, run, planned, found, results, report):
        return None
    run.write_document(STAGES, {name: str(directory) for name, directory in found.items()})
    return {
        f"{stage.name}/success_rate": results[stage.name]["evaluate/success_rate"]
        for stage in planned
        if stage.arm
    }


def _run_stages(
    config: JobConfig,
    run: RunDirectory,
    planned: Sequence[Planned],
    found: dict[str, Path],
    results: dict[str, Mapping[str, Any]],
    report: Callable[[], None],
) -> bool:
    """Adopt or run every stage, some side by side; whether all are done."""
    roots = [Path(root).resolve() for root in config.root.split(":") if root]
    own = run.directory.resolve() / "stages"
    at_once = min(config.side_by_side, os.cpu_count() or 1)
    waiting = list(planned)

    def done(name: str, directory: Path, metrics: Mapping[str, Any]) -> None:
        found[name], results[name] = directory, metrics
        run.progress(len(found), len(planned))
        report()

    with closing(SideBySide(run)) as others:
        report()
        while waiting or others.names:
            ends = run.control != "run"
            ready = [stage for stage in waiting if stage.needs <= set(found)]
            if ends and not others.names:
                return False
            if ends or not ready or len(others.names) == at_once:
                for name, metrics in others.ended():
                    if metrics is not None:
                        done(name, own / name, metrics)
                continue
            run.heartbeat.turn()
            stage = ready[0]
            waiting.remove(stage)
            options, mine = resolve(stage.config, found.__getitem__), own / stage.name
            adopted = find_adopted(stage.name, stage.job, options, roots)
            if adopted is not None:
                done(stage.name, adopted, finished_result(adopted) or {})
            elif at_once > 1 and finished_result(mine) is None:
                others.begin(stage.name, stage.job, options, mine)
            else:
                metrics = run_stage(stage.name, stage.job, options, mine, run)
                if metrics is not None:
                    done(stage.name, mine, metrics)
    return len(found) == len(planned)


def command(config: JobConfig) -> str:
    """The command that makes the study again, with what differs from its file."""
    path = Path(config.file)
    kept = JobConfig.from_dict(json.loads(path.read_text())) if path.is_file() else config
    now, then = config.to_dict(), kept.to_dict()
    words = [f"python -m engine study --config {config.file or 'STUDY.json'} --out RUN_DIR"]
    if config.root:
        words.append("--set root=DIRECTORY_OF_FINISHED_STAGES")
    for name in sorted(set(now) - {"root", "side_by_side", "sizes"}):
        if now[name] != then[name]:
            words.append(f"--set '{name}={json.dumps(now[name])}'")
    for name, value in sorted(now["sizes"].items()):
        if value != then["sizes"].get(name):
            words.append(f"--set sizes.{name}={json.dumps(value)}")
    return " ".join(words)
