"""The whole filing cabinet of one data directory, opened, recovered and brought up to date."""

import logging
from dataclasses import dataclass
from pathlib import Path

import duckdb

from storage.checkpoints.catalogue import Catalogue
from storage.damage import DamagedError, fault_of_place, is_damage
from storage.database import Database, first_line
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
from storage.quarantine import put_aside, rebuilt_sentences
from storage.runs.curves import Curves
from storage.runs.ingest import Ingest
from storage.runs.runs import RunStore
from storage.runs.shipped import bring_shipped
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

    def troubles(self) -> list[str]:
        """What a person should know of this directory, a sentence each; usually nothing."""
        found = rebuilt_sentences(self.workspace)
        for log in self.logs:
            if log.set_aside:
                first = log.set_aside[0]
                found.append(
                    f"{len(log.set_aside)} {log.kind.nouns} of the log cannot be read and are left "
                    f"aside; the first is {first.event_id!r}: {first.reason}."
                )
        for kind, left_out in (
            ("episodes", self.trajectories.unreadable),
            ("runs", self.runs.unreadable),
        ):
            if left_out:
                name, reason = next(iter(left_out.items()))
                found.append(
                    f"{len(left_out)} {kind} cannot be read and are left out; the first is "
                    f"{name!r}: {reason}."
                )
        return found

    def ask(self) -> tuple[int | None, str]:
        """(how many episodes there are, why the database does not say so)."""
        try:
            return self.trajectories.count(), ""
        except (duckdb.Error, ValueError) as error:
            return None, f"The database does not answer: {first_line(error)}"

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

    A database that is damaged, which may show when it is opened or when it is read, is moved to
    `quarantine/` and made anew: labels come back from their twin, runs and episodes from their
    directories, and the rest from files of its own.

    Args:
        demo: `storage/demo`, with shipped checkpoints and sample episodes.
        database: one that is open already, in place of the directory's own.
        rules: where foreign checkpoints may come from.

    Raises:
        ValueError: another studio uses the directory, a newer one wrote it, or its disk is full,
            read-only or not ours.
    """
    if database is not None:
        return _open_stores(workspace, database, demo=demo, rules=rules)
    try:
        return _open_proved(workspace, demo=demo, rules=rules)
    except (duckdb.Error, DamagedError) as error:
        if sentence := fault_of_place(workspace.database, error):
            raise ValueError(sentence) from error
        if not is_damage(error):
            raise
        reason = first_line(error)
        logger.error("the database is damaged (%s): rebuilding it from the files", reason)
    shelf = put_aside(workspace)
    cabinet = _open_proved(workspace, demo=demo, rules=rules)
    counts = {
        "labels": cabinet.labels.log.size,
        "preferences": cabinet.preferences.log.size,
        "episodes": cabinet.trajectories.count(),
        "runs": len(cabinet.runs.all()),
    }
    shelf.report(reason, counts)
    return cabinet


def _open_proved(workspace: Workspace, *, demo: Path, rules: Rules) -> Cabinet:
    """The stores over the directory's own database, closed again if it is damaged."""
    database = Database(workspace.database, exports=workspace.exports)
    try:
        # The twins first: whatever only a damaged database holds of them is saved into them.
        LabelStore(database, workspace.label_twin)
        PreferenceStore(database, workspace.preference_twin)
        database.prove()
        return _open_stores(workspace, database, demo=demo, rules=rules)
    except BaseException:
        database.close()
        raise


def _open_stores(workspace: Workspace, database: Database, *, demo: Path, rules: Rules) -> Cabinet:
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
            database,
            demo=demo,
            runs=workspace.runs,
            adopted=workspace.checkpoints,
            registered=workspace.registered,
        ),
        downloads=Downloads(
            database, workspace.downloads, folders=workspace.folders, rules=rules, token=login
        ),
        views=ViewStore(database, workspace.views),
        label_queue=LabelQueue(database, workspace.put_aside),
        queues=QueueStore(database, workspace.queues),
        failure_modes=FailureModes(workspace.failure_modes),
        label_sets=LabelSets(database, trajectories, workspace.label_sets),
        windows=WindowStore(database, trajectories),
        thresholds=ThresholdStore(database, workspace.threshold_twin),
    )
    trajectories.scan(workspace.episodes)
    trajectories.scan(demo / "episodes")
    bring_shipped(demo / "runs", workspace.runs)
    for run_id in dict.fromkeys([*runs.discover(), *cabinet.ingest.behind()]):
        try:
            cabinet.ingest.ingest(run_id)
        except (OSError, LookupError, TypeError, ValueError) as error:
            logger.error("run %s: its log cannot be taken in: %s", run_id, error, exc_info=error)
    return cabinet
