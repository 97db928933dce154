"""Arms compared on common starts: what the report of a study says, in numbers (field.md §4.5)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from engine.seeding import numpy_generator
from engine.statistics.intervals import (
    MeanEstimate,
    discordant,
    hierarchical_bootstrap,
    holm,
    mcnemar_exact,
    wilson_interval,
)
from engine.statistics.power import paired_detectable, paired_episodes, unpaired_episodes
from engine.statistics.report import Bar, Block, Cell, Chart, Heading, Paragraph, Table

LEVEL = 0.05
ABSENT = Cell("not run")

Outcomes = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Arm:
    """An arm's outcomes on the common starts, by seed; a seed that was not run is absent."""

    name: str
    title: str
    outcomes: Mapping[int, Outcomes]


@dataclass(frozen=True)
class Difference:
    """An arm's success against the reference's in a task, pooled over `seeds` common seeds.

    `adjusted` is Holm's p-value over all arms and tasks that were compared together.
    """

    task: str
    arm: str
    seeds: int
    estimate: MeanEstimate
    adjusted: float

    @property
    def strong(self) -> bool:
        """Whether it may be shown as significant: one seed says nothing of others."""
        return self.seeds > 1 and self.adjusted < LEVEL


@dataclass(frozen=True)
class Paired:
    """Starts of a task on which only one of two arms succeeded, within a seed."""

    task: str
    arm: str
    seed: int
    only_arm: int
    only_reference: int
    p_value: float
    adjusted: float

    @property
    def strong(self) -> bool:
        """Whether it may be shown as significant."""
        return self.adjusted < LEVEL


Tasks = Mapping[str, Sequence[Arm]]


def compare(arms: Sequence[Arm], reference: str, seeds: Sequence[int]) -> list[Block]:
    """`compare_tasks` for one task, which needs no name."""
    return compare_tasks({"": arms}, reference, seeds)


def compare_tasks(tasks: Tasks, reference: str, seeds: Sequence[int]) -> list[Block]:
    """Success by seed, pooled differences, paired tests, and what the numbers could show.

    Args:
        tasks: the arms of each task, the same arms in the same order.

    Raises:
        ValueError: no arm is the reference, or arms were tested on different numbers of starts.
    """
    title = check_comparable(tasks, reference)
    blocks: list[Block] = []
    for task, arms in tasks.items():
        means = mean_rates(arms)
        blocks += [
            Heading(f"Success by seed{_in_words(task)}"),
            _by_seed(arms, seeds, means),
            _chart(arms, means),
        ]
    over = "arms and tasks" if len(tasks) > 1 else "arms"
    blocks += [
        Heading(f"Difference to {title}"),
        _pool(tasks, reference),
        Paragraph(
            "Means over seeds and starts with 95 % intervals of a hierarchical bootstrap (seeds, "
            "and starts common to all seeds); p against no difference, Holm-adjusted over the "
            f"{over}. Figures are bold only where the adjusted p is below 0.05, and here only "
            "with more than one seed. Resampling few seeds understates how much training runs "
            "differ: with 3 seeds whose true rates have a standard deviation of 6 points the "
            "interval held the truth in 89 % of simulations."
        ),
        Heading("Paired tests within each seed"),
        _within_seeds(tasks, reference, title),
        Paragraph(
            "Starts on which only one of the two arms succeeded, and the exact McNemar p, "
            "Holm-adjusted over all rows."
        ),
    ]
    for task, arms in tasks.items():
        blocks += [
            Heading(f"What this can show{_in_words(task)}"),
            Paragraph(power(arms, reference)),
        ]
    return blocks


def check_comparable(tasks: Tasks, reference: str) -> str:
    """The reference's title.

    Raises:
        ValueError: no arm is the reference, or arms were tested on different numbers of starts.
    """
    titles = [arm.title for arms in tasks.values() for arm in arms if arm.name == reference]
    if not titles:
        raise ValueError(f"no arm is the reference {reference}")
    for arms in tasks.values():
        if len({len(o) for arm in arms for o in arm.outcomes.values()}) > 1:
            raise ValueError("the arms were not tested on the same starts")
    return titles[0]


def mean_rates(arms: Sequence[Arm]) -> "Means":
    """Success rate of every arm that was tested, over seeds and starts, with its interval."""
    return {
        arm.name: estimate(list(arm.outcomes.values()), arm.name) for arm in arms if arm.outcomes
    }


def differences(tasks: Tasks, reference: str) -> list[Difference]:
    """Every arm against the reference in every task where they share a seed."""
    found = []
    for task, arms in tasks.items():
        base = _find_arm(arms, reference)
        for arm in arms:
            common = [seed for seed in arm.outcomes if base and seed in base.outcomes]
            if base and common and arm.name != reference:
                values = [_difference(arm, base, seed) for seed in common]
                found.append((task, arm.name, len(common), estimate(values, arm.name, reference)))
    adjusted = holm([e.p_value for *_, e in found])
    return [Difference(*f, p) for f, p in zip(found, adjusted, strict=True)]


def over_tasks(tasks: Tasks, reference: str) -> list[Difference]:
    """Every arm against the reference, the starts of all tasks pooled; task is empty.

    Only arms that share a seed with the reference in every task: else the tasks would differ.
    """
    found = []
    for arm in next(iter(tasks.values())):
        pairs = [(_find_arm(arms, arm.name), _find_arm(arms, reference)) for arms in tasks.values()]
        both = [(one, base) for one, base in pairs if one and base]
        shared = [set(one.outcomes) & set(base.outcomes) for one, base in both]
        common = sorted(set.intersection(*shared)) if len(both) == len(tasks) else []
        if common and arm.name != reference:
            values = [
                np.concatenate([_difference(one, base, seed) for one, base in both])
                for seed in common
            ]
            found.append(("", arm.name, len(common), estimate(values, arm.name, reference)))
    adjusted = holm([e.p_value for *_, e in found])
    return [Difference(*f, p) for f, p in zip(found, adjusted, strict=True)]


def paired(tasks: Tasks, reference: str) -> list[Paired]:
    """McNemar's test of every arm against the reference within each seed they share."""
    found = []
    for task, arms in tasks.items():
        base = _find_arm(arms, reference)
        for arm in arms:
            for seed in sorted(arm.outcomes):
                if base and arm.name != reference and seed in base.outcomes:
                    counts = discordant(arm.outcomes[seed], base.outcomes[seed])
                    found.append((task, arm.name, seed, *counts, mcnemar_exact(*counts)))
    adjusted = holm([row[-1] for row in found])
    return [Paired(*row, p) for row, p in zip(found, adjusted, strict=True)]


def _find_arm(arms: Sequence[Arm], name: str) -> Arm | None:
    return next((arm for arm in arms if arm.name == name), None)


def _difference(arm: Arm, base: Arm, seed: int) -> npt.NDArray[np.float64]:
    return arm.outcomes[seed].astype(np.float64) - base.outcomes[seed].astype(np.float64)


def _in_words(task: str) -> str:
    return f": {task}" if task else ""


def estimate(values: Sequence[Outcomes | npt.NDArray[np.float64]], *key: object) -> MeanEstimate:
    """Mean over seeds and starts with its bootstrap; the same key draws the same resamples."""
    stacked = np.stack(values).astype(np.float64)
    return _bootstrap(stacked.tobytes(), stacked.shape, key)


@lru_cache(maxsize=1024)
def _bootstrap(content: bytes, shape: tuple[int, ...], key: tuple[object, ...]) -> MeanEstimate:
    """Remembered: a page asks again at every poll, and outcomes seldom change between two."""
    values = np.frombuffer(content).reshape(shape)
    return hierarchical_bootstrap(values, numpy_generator(0, "bootstrap", *key))


Means = Mapping[str, MeanEstimate]


def _by_seed(arms: Sequence[Arm], seeds: Sequence[int], means: Means) -> Table:
    rows = []
    for arm in arms:
        cells = [_cell(arm.outcomes.get(seed)) for seed in seeds]
        rows.append([Cell(arm.title), *cells, _mean_cell(means.get(arm.name))])
    return Table(["arm", *(f"seed {seed}" for seed in seeds), "mean"], rows)


def _cell(outcomes: Outcomes | None) -> Cell:
    if outcomes is None:
        return ABSENT
    low, high = wilson_interval(int(outcomes.sum()), len(outcomes))
    return Cell(f"{_percent(outcomes.mean())} [{_percent(low)}, {_percent(high)}]")


def _mean_cell(mean: MeanEstimate | None) -> Cell:
    if mean is None:
        return ABSENT
    return Cell(f"{_percent(mean.mean)} [{_percent(mean.low)}, {_percent(mean.high)}]")


def _chart(arms: Sequence[Arm], means: Means) -> Chart:
    bars = []
    for arm in arms:
        if arm.name not in means:
            bars.append(Bar(arm.title, None))
            continue
        found = means[arm.name]
        points = [float(outcomes.mean()) for outcomes in arm.outcomes.values()]
        bars.append(Bar(arm.title, found.mean, found.low, found.high, points))
    return Chart("Success in %: mean with its 95 % interval, and each seed (rings)", bars)


def _pool(tasks: Tasks, reference: str) -> Table:
    many = len(tasks) > 1
    found = {(d.task, d.arm): d for d in differences(tasks, reference)}
    rows = []
    for task, arms in tasks.items():
        for arm in arms:
            if arm.name != reference:
                rows.append(_task_cell(task, many) + _row(arm.title, found.get((task, arm.name))))
    if many:
        overall = {d.arm: d for d in over_tasks(tasks, reference)}
        for arm in next(iter(tasks.values())):
            if arm.name != reference:
                rows.append([Cell("all tasks"), *_row(arm.title, overall.get(arm.name))])
    header = ["arm", "seeds", "difference in points", "p", "p (Holm)"]
    return Table(["task", *header] if many else header, rows)


def _row(title: str, found: Difference | None) -> list[Cell]:
    if found is None:
        return [Cell(title), *[ABSENT] * 4]
    e = found.estimate
    interval = f"{_points(e.low)} to {_points(e.high)}"
    return [
        Cell(title),
        Cell(str(found.seeds)),
        Cell(f"{_points(e.mean)} [{interval}]", found.strong),
        Cell(_p(e.p_value)),
        Cell(_p(found.adjusted), found.strong),
    ]


def _within_seeds(tasks: Tasks, reference: str, title: str) -> Table:
    many = len(tasks) > 1
    titles = {arm.name: arm.title for arms in tasks.values() for arm in arms}
    rows = [
        [
            *_task_cell(row.task, many),
            Cell(titles[row.arm]),
            Cell(str(row.seed)),
            Cell(str(row.only_arm)),
            Cell(str(row.only_reference)),
            Cell(_p(row.p_value)),
            Cell(_p(row.adjusted), row.strong),
        ]
        for row in paired(tasks, reference)
    ]
    header = ["arm", "seed", "only it", f"only {title}", "p", "p (Holm)"]
    return Table(["task", *header] if many else header, rows)


def _task_cell(task: str, many: bool) -> list[Cell]:
    return [Cell(task)] if many else []


def power(arms: Sequence[Arm], reference: str) -> str:
    """One paragraph: the differences that so many common starts show with 80 % power."""
    base = _find_arm(arms, reference)
    others = [arm for arm in arms if arm.name != reference]
    shares = [
        float((arm.outcomes[s] != base.outcomes[s]).mean())
        for arm in others
        for s in arm.outcomes
        if base and s in base.outcomes
    ]
    share = float(np.mean(shares)) if shares else 0.0
    if base is None or share == 0.0:
        return "Nothing was compared yet, or no arm ever differed: there is nothing to reckon with."
    starts = len(next(iter(base.outcomes.values())))
    rate = float(np.mean([outcomes.mean() for outcomes in base.outcomes.values()]))
    detectable = paired_detectable(starts, share)
    shown = "no difference" if math.isinf(detectable) else f"{100 * detectable:.1f} points"
    text = (
        f"Arms and {base.title} disagreed on {_percent(share)} % of the starts on average. "
        f"With {starts} common starts one seed then shows {shown} with 80 % power at p < 0.05, "
        "before Holm."
    )
    if share >= 0.1:
        text += f" To see 10 points you need {paired_episodes(0.1, share)} common starts"
        if rate <= 0.9:
            text += f", or {unpaired_episodes(rate, rate + 0.1)} per arm with starts of their own"
        text += "."
    return text


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
