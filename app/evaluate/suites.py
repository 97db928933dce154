"""Runs of `evaluate` as experiments: which arm, task and seed each one is of, laid out in cells.

A suite is what can be compared: runs on the same starts at the same temperature. Nothing is stored
for it: the runs say everything themselves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.statistics.comparison import Arm
from storage.runs.runs import RunRow


@dataclass(frozen=True, order=True)
class SuiteKey:
    """The starts and the temperature that the runs of a suite have in common."""

    pool: str
    first_start: int
    episodes: int
    temperature: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "SuiteKey":
        """That of an evaluate run's config."""
        return cls(
            str(config["pool"]),
            int(config["first_start"]),
            int(config["episodes"]),
            float(config["temperature"]),
        )

    @property
    def id(self) -> str:
        """Its name in an address."""
        return f"{self.pool}-{self.first_start}-{self.episodes}-{self.temperature:g}"

    @property
    def title(self) -> str:
        """What a person reads."""
        how = "greedy" if self.temperature == 0 else f"temperature {self.temperature:g}"
        first = f" from {self.first_start}" if self.first_start else ""
        return f"{self.pool} · {self.episodes} starts{first} · {how}"


@dataclass
class Suite:
    """Runs by task, arm and column. A column is a seed: the n-th policy of an arm, or sampling.

    Attributes:
        arms: their names, in the order in which they were first run.
        policies: of each arm, the directories of its policies.
        cells: by (task, arm, column): the run that stands there.
    """

    key: SuiteKey
    tasks: list[str] = field(default_factory=list)
    arms: list[str] = field(default_factory=list)
    policies: dict[str, list[str]] = field(default_factory=dict)
    cells: dict[tuple[str, str, int], RunRow] = field(default_factory=dict)
    columns: int = 1

    def outcomes(self, task: str) -> list[Arm]:
        """The finished cells of a task as arms; those not run, or not yet, are absent."""
        arms = []
        for name in self.arms:
            found = {}
            for column in range(self.columns):
                run = self.cells.get((task, name, column))
                if run is not None and run.result is not None:
                    found[column] = np.array(run.result["outcomes"], dtype=bool)
            arms.append(Arm(name, short(name), found))
        return arms


def short(arm: str) -> str:
    """An arm's name for the screen: a checkpoint's without where it is from."""
    return arm.split("/", 1)[1] if arm.startswith(("demo/", "run/", "local/", "hub/")) else arm


def suites_of(runs: Iterable[RunRow], names: Mapping[str, str]) -> list[Suite]:
    """The suites of all evaluate runs, the newest first.

    Args:
        runs: newest first; of several with one config the newest finished one counts.
        names: catalogue id of each policy by its directory.
    """
    by_key: dict[SuiteKey, list[RunRow]] = {}
    for run in runs:
        if run.job == "evaluate" and {"pool", "policy", "task", "temperature"} <= set(run.config):
            by_key.setdefault(SuiteKey.of(run.config), []).append(run)
    return [_suite(key, found, names) for key, found in by_key.items()]


def arm_of(config: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """What a run's policy is compared as: what it was given, else the policy's own name."""
    path = str(config["policy"])
    return str(config.get("arm") or names.get(path) or path_name(path))


def path_name(path: str) -> str:
    """A checkpoint outside the catalogue, by its run and step, or by its directory's name."""
    parts = Path(path).parts
    return f"{parts[-3]}/{parts[-1]}" if parts[-2:-1] == ("checkpoints",) else parts[-1]


def _suite(key: SuiteKey, runs: list[RunRow], names: Mapping[str, str]) -> Suite:
    suite = Suite(key)
    kept: dict[tuple[str, str, str, int], RunRow] = {}
    for run in runs:
        config = run.config
        where = (config["task"], arm_of(config, names), config["policy"], int(config["seed"]))
        known = kept.get(where)
        if known is None or (known.result is None and run.result is not None):
            kept[where] = run
    for task, arm, policy, _ in reversed(kept):
        _append(suite.tasks, task)
        _append(suite.arms, arm)
        _append(suite.policies.setdefault(arm, []), policy)
    seeds = sorted({seed for *_, seed in kept})
    for (task, arm, policy, seed), run in kept.items():
        column = suite.policies[arm].index(policy) * len(seeds) + seeds.index(seed)
        suite.cells[task, arm, column] = run
    suite.columns = len(seeds) * max((len(p) for p in suite.policies.values()), default=1)
    if len(seeds) == 1:
        _stand_everywhere(suite)
    return suite


def _stand_everywhere(suite: Suite) -> None:
    """An arm of one policy, beside arms trained anew for each seed, stands in every column."""
    for (task, arm, column), run in list(suite.cells.items()):
        if len(suite.policies[arm]) == 1 and column == 0:
            for other in range(1, suite.columns):
                suite.cells[task, arm, other] = run


def _append(values: list[str], value: str) -> None:
    if value not in values:
        values.append(value)
