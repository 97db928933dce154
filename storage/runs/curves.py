"""Metrics of runs as curves: on an axis of choice, thinned by the database, and as tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from storage.database import Database, Row

MOST_POINTS = 1_500  # of one curve in one answer

# What a step is worth on an axis other than steps themselves: rows (step, x) of one run.
AXES = {
    "iteration": None,
    # What was played in the simulator was not imagined.
    "frames": "select step, sum(value) over (order by step) as x from metrics"
    " where run = $run and name = 'rollout/frames' and not exists (select 1 from runs"
    " where id = $run and json_extract_string(config, '$.environment') = 'simulator')",
    "real": "select step, value as x from metrics where run = $run and name = 'real/episodes'",
    "time": "select step, max(time) - (select started from runs where id = $run) as x"
    " from metrics where run = $run group by step",
}
# Of equal stretches of steps the lowest, the highest and the last point of each curve: no peak is
# lost, however many points there are.
_THINNED = """
with fresh as (select name, step, value, seq from metrics where run = $run and seq > $after),
bounds as (select min(step) as low, max(step) - min(step) + 1 as span from fresh)
select name,
    arg_min(step, value) as low_step, min(value) as low,
    arg_max(step, value) as high_step, max(value) as high,
    max(step) as last_step, arg_max(value, step) as last, max(seq) as seq
from fresh, bounds
group by name, (step - bounds.low) * least(span, $stretches) // span
"""


@dataclass(frozen=True)
class Points:
    """Points of a run's curves.

    Attributes:
        next: the cursor from which to ask for later ones.
        series: name -> [[x, value, step]…], by x.
    """

    next: int
    series: dict[str, list[list[float]]]


class Curves:
    """Reads the metrics that runs have logged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(
        self, run_id: str, *, axis: str = "iteration", after: int = 0, most: int = MOST_POINTS
    ) -> Points:
        """Points written after an event number, at most about `most` a curve.

        Args:
            axis: one of `AXES`: iteration, imagined frames, real episodes, seconds since the
                run began. Without the metric that an axis needs there are no points.

        Raises:
            ValueError: another axis.
        """
        if axis not in AXES:
            raise ValueError(f"the axis must be one of {', '.join(AXES)}, not {axis!r}")
        named = {"run": run_id, "after": after, "stretches": max(1, most // 3)}
        thinned = self._database.read(_THINNED, named)
        series: dict[str, dict[int, float]] = {}
        for row in thinned:
            points = series.setdefault(row["name"], {})
            for kind in ("low", "high", "last"):
                points[row[f"{kind}_step"]] = row[kind]
        places = self._places(run_id, axis, {step for points in series.values() for step in points})
        # Of the same look at the table: a point that came since is later than this cursor.
        newest = max((row["seq"] for row in thinned), default=after)
        placed = {
            name: [[places[step], points[step], step] for step in sorted(points) if step in places]
            for name, points in sorted(series.items())
        }
        return Points(newest, {name: points for name, points in placed.items() if points})

    def _places(self, run_id: str, axis: str, steps: set[int]) -> dict[int, float]:
        """Where steps lie on an axis; those are missing of which it knows nothing."""
        sql = AXES[axis]
        if sql is None:
            return {step: step for step in steps}
        rows = self._database.read(
            f"select * from ({sql}) where step in (select unnest($steps::bigint[]))",
            {"run": run_id, "steps": list(steps)},
        )
        return {row["step"]: row["x"] for row in rows}

    def latest(self, names: Sequence[str]) -> dict[str, dict[str, float]]:
        """The last value of some metrics, by run and name."""
        rows = self._database.read(
            "select run, name, arg_max(value, step) as value from metrics"
            " where name in (select unnest(?::text[])) group by run, name",
            [list(names)],
        )
        found: dict[str, dict[str, float]] = {}
        for row in rows:
            found.setdefault(row["run"], {})[row["name"]] = row["value"]
        return found

    def table(self, run_ids: list[str]) -> list[Row]:
        """Every point of some runs: {run, step, name, value, time, attempt}."""
        return self._database.read(
            "select run, step, name, value, time, attempt from metrics"
            " where run in (select unnest(?::text[])) order by run, step, name",
            [run_ids],
        )

    def audits(self, run_id: str, *, guest: bool = False) -> list[dict[str, Any]]:
        """People's judgements of a run's groups, by iteration.

        {iteration, judged, succeeded, claimed, confirmed}: of the episodes judged a success or a
        failure, how many people saw succeed, how many the reward model did, and how many both.
        """
        return self._database.read(
            "select iteration, count(*) as judged,"
            " count(*) filter (outcome = 'success') as succeeded,"
            " count(*) filter (success) as claimed,"
            " count(*) filter (success and outcome = 'success') as confirmed"
            " from episodes join current_labels on episode_id = episodes.id"
            " where run = ? and guest = ? and outcome in ('success', 'fail')"
            " and group_name is not null and iteration is not null"
            " group by iteration order by iteration",
            [run_id, guest],
        )

    def probes(self, run_id: str) -> list[Row]:
        """The same starts at every checkpoint: {id, start_id, iteration, success, probability}."""
        return self._database.read(
            "select id, start_id, iteration, success, probability from episodes"
            " where run = ? and json_extract_string(lineage, 'probe') = 'true'"
            " order by start_id, iteration",
            [run_id],
        )
