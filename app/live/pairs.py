"""Pairs of a fidelity run: real episodes, and what their actions became in a dream."""

from collections.abc import Collection, Sequence

from engine.records.episodes import index_id
from storage.episodes.episode_filter import EpisodeFilter
from storage.episodes.trajectories import EpisodeRow, TrajectoryStore

CELLS = {
    (True, True): "true_success",
    (False, True): "false_success",
    (True, False): "false_failure",
    (False, False): "true_failure",
}  # (real success, imagined success) -> cell
MOST_PAIRS = 10_000


def dreams_of(
    trajectories: TrajectoryStore, run: str, sources: Collection[str]
) -> list[EpisodeRow]:
    """The imagined halves of a run's pairs, of some sources.

    Args:
        sources: of `engine.jobs.fidelity.fidelity_plan.NAMES`.
    """
    wanted = EpisodeFilter(run=run, imagined=True)
    rows = trajectories.episodes(wanted, order="by id", limit=MOST_PAIRS)
    return [row for row in rows if row.lineage.get("source") in sources]


def real_ids(trajectories: TrajectoryStore, dreams: Sequence[EpisodeRow]) -> dict[str, str | None]:
    """The studio's id of each dream's real episode, where the studio has it."""
    names = {
        row.id: [index_id(row.lineage["real_run"], row.lineage["real"]), row.lineage["real"]]
        for row in dreams
    }
    known = trajectories.find_all([name for both in names.values() for name in both])
    return {
        dream: next((name for name in both if name in known), None) for dream, both in names.items()
    }
