"""The audit log, undo by actor, and the reward model's verdicts beside people's."""

from dataclasses import dataclass
from typing import Any

from app.episodes.gallery import Filter, Gallery
from engine.config import Config, knob
from storage.cabinet import Cabinet
from storage.episodes.trajectories import EpisodeRow
from storage.events.audit import audit_record

MOST_EVENTS, MOST_AUDITED = 200, 1_000
LOGS = ("labels", "preferences")


@dataclass(frozen=True, kw_only=True)
class Log(Config):
    """One page of what was said."""

    log: str = knob("labels", "labels or preferences", choices=LOGS)
    actor: str | None = knob(None, "who said it", high=100)
    offset: int = knob(0, "so many are left out", low=0, high=2**31)
    limit: int = knob(50, "at most so many", low=1, high=MOST_EVENTS)


@dataclass(frozen=True, kw_only=True)
class Undo(Config):
    """All that an actor said, to take back."""

    actor: str = knob(help="who said it", high=100)
    open: int = knob(help="so many events as stand", low=0, high=2**31)
    log: str = knob("labels", "labels or preferences", choices=LOGS)


@dataclass(frozen=True, kw_only=True)
class Audited(Config):
    """Which episodes: some ids, or a filter; without both, all that have a label."""

    ids: tuple[str, ...] | None = knob(None, "their ids", high=MOST_AUDITED)
    filter: Filter | None = knob(None, "those that fit")


class Auditing:
    """Reads what was said; guests see their own pool alone."""

    def __init__(self, cabinet: Cabinet, gallery: Gallery, *, guest: bool) -> None:
        self._cabinet, self._gallery, self._guest = cabinet, gallery, guest

    def log(self, question: Log) -> dict[str, Any]:
        """{events, total, logs, actors: [{name, events, open}]} of a log.

        `logs` counts the events of each log. Events come newest first, each with its own
        fields and {seq, at, withdrawal, superseded_by,
        superseded_seq, stands}.
        """
        audit, actor, log = self._cabinet.audit, question.actor or None, question.log
        events = audit.page(
            guest=self._guest,
            actor=actor,
            offset=question.offset,
            limit=question.limit,
            log=log,
        )
        return {
            "events": [audit_record(event) for event in events],
            "total": audit.count(guest=self._guest, actor=actor, log=log),
            "logs": {name: audit.count(guest=self._guest, log=name) for name in audit.names},
            "actors": [vars(found) for found in audit.actors(guest=self._guest, log=log)],
        }

    def undo(self, question: Undo) -> dict[str, Any]:
        """{undone}: take back all that an actor said, so many events."""
        undone = self._cabinet.audit.undo(
            question.actor, by="local", expected=question.open, log=question.log
        )
        return {"undone": undone}

    def rm_audit(self, question: Audited) -> dict[str, Any]:
        """{episodes, summary}: the reward model's verdicts beside people's.

        An episode is {episode_id, imagined, model, probability, threshold, human, dream_broke,
        agrees}; `agrees` is null where no person said success or fail. The summary counts {judged,
        agree, false_positives, false_negatives, dream_broke, without_label} and gives precision
        and recall, null where nothing was counted. Clips whose dream broke are not counted as
        right or wrong.
        """
        records = [_audited(row) for row in self._rows(question)]
        return {"episodes": records, "summary": _summary(records)}

    def _rows(self, question: Audited) -> list[EpisodeRow]:
        store = self._cabinet.trajectories
        if question.ids and question.filter:
            raise ValueError("choose by ids or by a filter, not by both")
        if question.ids:
            return [store.find(name, guest=self._guest) for name in question.ids]
        wanted = question.filter or Filter(label="any")
        return store.episodes(self._gallery.wanted(wanted), limit=MOST_AUDITED)


def _audited(row: EpisodeRow) -> dict[str, Any]:
    label = row.label
    human = label.outcome if label else None
    broke = bool(label and label.dream_broke)
    counted = human in ("success", "fail") and not broke
    return {
        "episode_id": row.id,
        "imagined": row.imagined,
        "model": "success" if row.success else "fail",
        "probability": row.probability,
        "threshold": row.threshold,
        "human": human,
        "dream_broke": broke,
        "agrees": (human == "success") == row.success if counted else None,
    }


def _summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    def count(model: str, human: str) -> int:
        return sum(
            r["agrees"] is not None and (r["model"], r["human"]) == (model, human) for r in records
        )

    hits, false_alarms = count("success", "success"), count("success", "fail")
    misses, rejections = count("fail", "success"), count("fail", "fail")

    def share(part: int, whole: int) -> float | None:
        return round(part / whole, 4) if whole else None

    return {
        "judged": hits + false_alarms + misses + rejections,
        "agree": hits + rejections,
        "false_positives": false_alarms,
        "false_negatives": misses,
        "dream_broke": sum(r["dream_broke"] for r in records),
        "without_label": sum(r["human"] is None and not r["dream_broke"] for r in records),
        "precision": share(hits, hits + false_alarms),
        "recall": share(hits, hits + misses),
    }
