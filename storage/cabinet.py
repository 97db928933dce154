"""The whole filing cabinet of one data directory, opened, recovered and brought up to date."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from storage.checkpoints.catalogue import Catalogue
from storage.database import Database
from storage.downloads.downloads import Downloads
from storage.downloads.hub import login
from storage.downloads.sources import DEFAULT_RULES, Rules
from storage.episodes.trajectories import TrajectoryStore
from storage.episodes.windows import WindowStore
from storage.events.audit import AuditLog
from storage.events.event_log import EventLog
from storage.events.labels import LabelStore
from storage.events.preferences import PreferenceStore
from storage.judging.failure_modes import FailureModes
from storage.judging.label_sets import LabelSets
from storage.judging.queues import QueueStore
from storage.judging.thresholds import ThresholdStore
from storage.judging.views import LabelQueue, ViewStore
from storage.runs.curves import Curves
from storage.runs.ingest import Ingest
from storage.runs.runs import RunStore
from storage.workspace import Workspace

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cabinet:
    """Every store of a data directory. `close` it before another one opens the directory."""

    workspace: Workspace
    database: Database
    trajectories: TrajectoryStore
    labels: LabelStore
    preferences: PreferenceStore
    audit: AuditLog
    runs: RunStore
    curves: Curves
    ingest: Ingest
    checkpoints: Catalogue
    downloads: Downloads
    views: ViewStore
    label_queue: LabelQueue
    queues: QueueStore
    failure_modes: FailureModes
    label_sets: LabelSets
    windows: WindowStore
    thresholds: ThresholdStore

    @property
    def logs(self) -> tuple[EventLog, ...]:
        """What people said: labels, and preferences."""
        return self.labels.log, self.preferences.log

    def close(self) -> None:
        """Interrupt what works in the background and close the database."""
        self.downloads.close()
        self.windows.close()
        self.database.close()


def open_cabinet(
    workspace: Workspace,
    *,
    demo: Path,
    database: Database | None = None,
    rules: Rules = DEFAULT_RULES,
) -> Cabinet:
    """Open the stores and rebuild whatever the database lacks from the files beside it.

    A database that cannot be opened is moved to `quarantine/` and made anew: labels come back
    from their twin, runs and episodes from their directories.

    Args:
        demo: `storage/demo`, with shipped checkpoints and sample episodes.
        database: one that is open already, in place of the directory's own.
        rules: where foreign checkpoints may come from.

    Raises:
        ValueError: another studio uses the directory, or a newer one wrote it.
    """
    database = database or _open_database(workspace)
    trajectories = TrajectoryStore(database, workspace.root, str(workspace.episodes))
    runs = RunStore(database, workspace.runs)
    labels = LabelStore(database, workspace.label_twin)
    preferences = PreferenceStore(database, workspace.preference_twin)
    cabinet = Cabinet(
        workspace=workspace,
        database=database,
        trajectories=trajectories,
        labels=labels,
        preferences=preferences,
        audit=AuditLog(database, {"labels": labels.log, "preferences": preferences.log}),
        runs=runs,
        curves=Curves(database),
        ingest=Ingest(database, workspace.runs, trajectories),
        checkpoints=Catalogue(
            database, demo=demo, runs=workspace.runs, adopted=workspace.checkpoints
        ),
        downloads=Downloads(database, workspace.downloads, rules=rules, token=login),
        views=ViewStore(database),
        label_queue=LabelQueue(database),
        queues=QueueStore(database, workspace.queues),
        failure_modes=FailureModes(workspace.failure_modes),
        label_sets=LabelSets(database, trajectories, workspace.label_sets),
        windows=WindowStore(database, trajectories),
        thresholds=ThresholdStore(database, workspace.threshold_twin),
    )
    trajectories.scan(workspace.episodes)
    trajectories.scan(demo / "episodes")
    for run_id in runs.discover():
        cabinet.ingest.ingest(run_id)
    return cabinet


def _open_database(workspace: Workspace) -> Database:
    try:
        return Database(workspace.database, exports=workspace.exports)
    except (duckdb.IOException, duckdb.FatalException, duckdb.InternalException) as error:
        logger.error("the database cannot be opened (%s): rebuilding it from the files", error)
    shelf = workspace.quarantine / time.strftime("%Y%m%d-%H%M%S")
    shelf.mkdir(parents=True)
    for path in workspace.root.glob(f"{workspace.database.name}*"):
        path.rename(shelf / path.name)
    return Database(workspace.database, exports=workspace.exports)
