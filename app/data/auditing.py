"""The audit log, undo by actor, and the reward model's verdicts beside people's."""

from typing import Any

from app.episodes.gallery import FILTERS, Gallery
from app.web.checks import check_choice, check_integer, check_names, check_text
from storage.cabinet import Cabinet
from storage.episodes.trajectories import EpisodeRow
from storage.events.audit import audit_record

MOST_EVENTS, MOST_AUDITED = 200, 1_000


class Auditing:
    """Reads what was said; guests see their own pool alone."""

    def __init__(self, cabinet: Cabinet, gallery: Gallery, *, guest: bool) -> None:
        self._cabinet, self._gallery, self._guest = cabinet, gallery, guest

    def log(self, query: object) -> dict[str, Any]:
        """{log?, actor?, offset?, limit?} -> {events, total, logs, actors: [{name, events, open}]}.

        `log` is labels or preferences; `logs` counts the events of each. Events come
        newest first, each with its own fields and {seq, at, withdrawal, superseded_by,
        superseded_seq, stands}.
        """
        values = check_names(query, allowed=("log", "actor", "offset", "limit"))
        actor = values.get("actor") or None
        if actor is not None:
            actor = check_text("actor", actor, 100)
        audit = self._cabinet.audit
        log = check_choice("log", values.get("log", "labels"), audit.names)
        events = audit.page(
            guest=self._guest,
            actor=actor,
            offset=check_integer("offset", values.get("offset", 0), 0, 2**31),
            limit=check_integer("limit", values.get("limit", 50), 1, MOST_EVENTS),
            log=log,
        )
        return {
            "events": [audit_record(event) for event in events],
            "total": audit.count(guest=self._guest, actor=actor, log=log),
            "logs": {name: audit.count(guest=self._guest, log=name) for name in audit.names},
            "actors": [vars(found) for found in audit.actors(guest=self._guest, log=log)],
        }

    def undo(self, query: object) -> dict[str, Any]:
        """{log?, actor, open} -> {undone}: take back all that an actor said: so many events."""
        values = check_names(query, allowed=("log", "actor", "open"), required=("actor", "open"))
        audit = self._cabinet.audit
        log = check_choice("log", values.get("log", "labels"), audit.names)
        actor = check_text("actor", values["actor"], 100)
        expected = check_integer("open", values["open"], 0, 2**31)
        return {"undone": audit.undo(actor, by="local", expected=expected, log=log)}

    def rm_audit(self, query: object) -> dict[str, Any]:
        """{ids?, filter?} -> {episodes, summary}: the judge's verdict against people's.

        An episode is {episode_id, imagined, model, probability, threshold, human, dream_broke,
        agrees}; `agrees` is null where no person said success or fail. The summary counts {judged,
        agree, false_positives, false_negatives, dream_broke, without_label} and gives precision
        and recall, null where nothing was counted. Clips whose dream broke are not counted as
        right or wrong.
        """
        values = check_names(query, allowed=("ids", "filter"))
        records = [_audited(row) for row in self._rows(values)]
        return {"episodes": records, "summary": _summary(records)}

    def _rows(self, values: Any) -> list[EpisodeRow]:
        store = self._cabinet.trajectories
        ids, wanted = values.get("ids"), values.get("filter")
        if ids and wanted:
            raise ValueError("choose by ids or by a filter, not by both")
        if ids:
            if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
                raise ValueError("episode_ids must be a list of episode ids")
            if len(ids) > MOST_AUDITED:
                raise ValueError(f"at most {MOST_AUDITED} episodes at once, not {len(ids)}")
            return [store.find(name, guest=self._guest) for name in ids]
        checked = check_names(wanted or {"label": "any"}, allowed=FILTERS)
        return store.episodes(self._gallery.wanted(checked), limit=MOST_AUDITED)


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
