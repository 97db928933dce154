"""A study laid out as stages in order: names, seeds, sizes filled in; and checked for leaks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.records.tasks import pool_starts
from engine.runs.registry import job_config
from engine.runs.stages import Stage, references
from engine.statistics.leaks import Ranges, check_apart, merge, to_ranges


@dataclass(frozen=True)
class Planned:
    """One stage of a study. `config` still names the directories of other stages by reference.

    A test has an `arm`; a stage that all seeds share has no `seed`.
    """

    name: str
    job: str
    config: Mapping[str, Any]
    seed: int | None
    arm: str = ""

    @property
    def needs(self) -> set[str]:
        """Names of the stages it refers to."""
        return set(references(self.config))


def plan_study(
    *,
    shared: Sequence[Stage],
    per_seed: Sequence[Stage],
    seeds: Sequence[int],
    sizes: Mapping[str, Any],
    arms: Mapping[str, str],
    test: Mapping[str, Any],
    tests_of: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Planned]:
    """Every stage that the arms need, in order, each test right after its policy.

    Args:
        tests_of: what differs from `test` for an arm, such as a temperature that sharpens it.

    Raises:
        ValueError: a name twice, an unknown stage, size or option.
    """
    common = [_fill(stage, sizes, None, {}) for stage in shared]
    known = {stage.name for stage in common}
    planned = list(common)
    tests = {arm: {**test, **(tests_of or {}).get(arm, {})} for arm in arms}
    planned += _tests(planned, arms, tests, sizes, None)
    for seed in seeds:
        renamed = {stage.name: f"{stage.name}-{seed}" for stage in per_seed}
        own = [_fill(stage, sizes, seed, renamed) for stage in per_seed]
        tested = {
            arm: _rename(policy, renamed)
            for arm, policy in arms.items()
            if not set(references(policy)) <= known
        }
        planned += own + _tests(own, tested, tests, sizes, seed)
    names = [stage.name for stage in planned]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"the study has two stages called {twice[0]}")
    tested_arms = {stage.arm for stage in planned}
    lost = sorted(set(arms) - tested_arms)
    if lost:
        raise ValueError(
            f"arm {lost[0]} names a stage that the study does not have: {arms[lost[0]]}"
        )
    return _order(_keep_needed(planned))


def check_leaks(planned: Sequence[Planned]) -> None:
    """Refuse a study that tests a policy on starts that any stage behind it learns from.

    Raises:
        ValueError: the pools overlap; before anything is run.
    """
    by_name = {stage.name: stage for stage in planned}
    for stage in planned:
        if stage.arm:
            behind = [by_name[name] for name in upstream(stage.name, by_name) - {stage.name}]
            test = pool_starts(*(stage.config[k] for k in ("pool", "first_start", "episodes")))
            for other in sorted(behind, key=lambda other: other.name):
                check_apart(f"{stage.name}: stage {other.name}", starts_of(other), test)


def starts_of(stage: Planned) -> Ranges:
    """Start ids whose states or first frames a stage uses, as far as its options tell."""
    config = stage.config
    if stage.job == "collect":
        count = config["episodes"] // config["episodes_per_start"]
    elif stage.job == "optimise" and not (config["starts"] or config["key_frames_from"]):
        count = config["num_starts"]
    else:
        return []
    return merge(to_ranges(pool_starts(config["pool"], config["first_start"], count)))


def upstream(name: str, by_name: Mapping[str, Planned]) -> set[str]:
    """A stage and everything it is made from."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        if current not in by_name:
            raise ValueError(f"the study has no stage {current}")
        found.add(current)
        waiting += sorted(by_name[current].needs)
    return found


def _tests(
    stages: Sequence[Planned],
    arms: Mapping[str, str],
    tests: Mapping[str, Mapping[str, Any]],
    sizes: Mapping[str, Any],
    seed: int | None,
) -> list[Planned]:
    names = {stage.name for stage in stages}
    ending = "" if seed is None else f"-{seed}"
    return [
        _fill(
            Stage(
                name=f"test_{arm}{ending}", job="evaluate", options={**tests[arm], "policy": policy}
            ),
            sizes,
            seed,
            {},
            arm=arm,
        )
        for arm, policy in arms.items()
        if set(references(policy)) <= names
    ]


def _fill(
    stage: Stage,
    sizes: Mapping[str, Any],
    seed: int | None,
    renamed: Mapping[str, str],
    *,
    arm: str = "",
) -> Planned:
    values = dict(sizes) if seed is None else {**sizes, "seed": seed}
    options = _substitute(_rename(stage.options, renamed), values)
    config = job_config(stage.job, options).to_dict()
    return Planned(renamed.get(stage.name, stage.name), stage.job, config, seed, arm)


def _rename(value: Any, renamed: Mapping[str, str]) -> Any:
    """Options with references to a seed's own stages."""
    if isinstance(value, str) and value.startswith("{"):
        name, at, last = value.strip("{}").partition("@")
        return f"{{{renamed.get(name, name)}{at}{last}}}"
    if isinstance(value, Mapping):
        return {key: _rename(item, renamed) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rename(item, renamed) for item in value]
    return value


def _substitute(value: Any, values: Mapping[str, Any]) -> Any:
    """Options with `$name` and `$name*name` replaced by numbers."""
    if isinstance(value, str) and value.startswith("$"):
        names = value[1:].split("*")
        unknown = [name for name in names if name not in values]
        if unknown:
            raise ValueError(f"{value} is not known; sizes are {', '.join(sorted(values))}")
        return values[names[0]] if len(names) == 1 else math.prod(values[name] for name in names)
    if isinstance(value, Mapping):
        return {key: _substitute(item, values) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_substitute(item, values) for item in value]
    return value


def _keep_needed(planned: Sequence[Planned]) -> list[Planned]:
    by_name = {stage.name: stage for stage in planned}
    needed = {name for stage in planned if stage.arm for name in upstream(stage.name, by_name)}
    return [stage for stage in planned if stage.name in needed]


def _order(planned: Sequence[Planned]) -> list[Planned]:
    """Each test as soon as its policy is there; otherwise the order of the file.

    Raises:
        ValueError: a stage that needs a later one.
    """
    stages = [stage for stage in planned if not stage.arm]
    tests = [stage for stage in planned if stage.arm]
    ordered: list[Planned] = []
    done: set[str] = set()
    for stage in stages:
        if not stage.needs <= done:
            later = ", ".join(sorted(stage.needs - done))
            raise ValueError(f"stage {stage.name} needs {later}, which comes later")
        ordered.append(stage)
        done.add(stage.name)
        ready = [test for test in tests if test.needs <= done and test not in ordered]
        ordered += ready
    return ordered
