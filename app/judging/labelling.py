"""Judging: the queue of clips, and labels as events of the screen."""

from collections.abc import Container
from typing import Any

from app.judging.questions import LabelStroke, check_event_id
from app.player.records import label_record
from app.web.checks import check_actor, check_integer, check_own, check_text
from app.web.questions import parse
from engine.records.types import Label
from storage.cabinet import Cabinet
from storage.episodes.trajectories import EpisodeRow
from storage.events.labels import LabelEvent, is_guest


class Labelling:
    """Labels of one pool: people at home, or the guests of a Space."""

    def __init__(self, cabinet: Cabinet, *, guest: bool) -> None:
        self._cabinet = cabinet
        self._guest = guest

    def add(self, event: object, *, actor: str = "local") -> dict[str, Any]:
        """Store a label; {saved, seq, at} once it is durable.

        Raises:
            ValueError: an unknown or missing field, a bad value, or an unknown episode.
        """
        label = Label(**parse(LabelStroke, event).to_dict(), actor=self._pool(actor))
        if label.supersedes is not None:
            self._check_pool(label.supersedes, "corrected")
        row = self._cabinet.trajectories.find(label.episode_id)
        for name, frame in (("end_step", label.end_step), ("span_last", label.span_last)):
            if frame is not None and frame > row.num_actions:
                raise ValueError(
                    f"{name} {frame} is beyond the episode's {row.num_actions} actions"
                )
        return _acknowledged(self._cabinet.labels.append(label))

    def undo(
        self, event_id: object, *, new_event_id: object, actor: str = "local"
    ) -> dict[str, Any]:
        """Take a label back; {saved, seq, at} of the event that does so.

        Raises:
            ValueError: no such label, an undo, or somebody else's label on a public site.
        """
        target_id = check_event_id("event_id", event_id)
        self._check_pool(target_id, "undone")
        undone = self._cabinet.labels.withdraw(
            target_id,
            new_event_id=check_event_id("new_event_id", new_event_id),
            actor=self._pool(actor),
        )
        return _acknowledged(undone)

    def history(self, *, limit: int = 20, actor: str | None = None) -> list[dict[str, Any]]:
        """The newest labels that were not taken back, with what the model said, newest first.

        Args:
            actor: whose; everybody's of this pool when left out.
        """
        limit = check_integer("limit", limit, 1, 500)
        whose = None if actor is None else self._pool(actor)
        events = self._cabinet.labels.standing(limit=limit, guest=self._guest, actor=whose)
        named = [event.label.episode_id for event in events]
        rows = self._cabinet.trajectories.find_all(named)
        return [
            _shown(event, rows[event.label.episode_id])
            for event in events
            if event.label.episode_id in rows
        ]

    def of(self, episode_id: object) -> list[dict[str, Any]]:
        """Every label of an episode, newest first, with who, when and what became of it.

        `fate` is "taken back", "corrected", or empty while the label stands.

        Raises:
            LookupError: no such episode.
        """
        row = self._cabinet.trajectories.find(check_text("episode", episode_id, 128))
        events = [
            event
            for event in self._cabinet.labels.events(row.id)
            if is_guest(event.label.actor) == self._guest
        ]
        undone = {event.label.supersedes for event in events if event.withdrawal}
        said = [event for event in events if not event.withdrawal]
        corrected = {e.label.supersedes for e in said if e.label.event_id not in undone}
        return [
            {
                **label_record(event.label),
                "actor": event.label.actor,
                "mode": event.label.mode,
                "at": event.at,
                "fate": _fate(event.label.event_id, undone, corrected),
            }
            for event in reversed(said)
        ]

    def subject(self, event_id: str) -> str | None:
        """The episode of a stored label."""
        known = self._cabinet.labels.event(event_id)
        return None if known is None else known.label.episode_id

    def counts(self) -> dict[str, int]:
        """Standing labels by what they say, and how many episodes there are."""
        episodes = self._cabinet.trajectories.count()
        return self._cabinet.labels.counts(guest=self._guest) | {"episodes": episodes}

    def _check_pool(self, event_id: str, done: str) -> None:
        target = self._cabinet.labels.event(event_id)
        if target is not None and is_guest(target.label.actor) != self._guest:
            raise ValueError(f"that label belongs to another pool: it cannot be {done} here")
        if target is not None:
            check_own(target.label.actor, guest=self._guest)

    def _pool(self, actor: str) -> str:
        return check_actor(actor, guest=self._guest)


def _acknowledged(event: LabelEvent) -> dict[str, Any]:
    return {"saved": event.label.event_id, "seq": event.seq, "at": event.at}


def _fate(event_id: str, undone: Container[str | None], corrected: Container[str | None]) -> str:
    return "taken back" if event_id in undone else "corrected" if event_id in corrected else ""


def _shown(event: LabelEvent, row: EpisodeRow) -> dict[str, Any]:
    return {
        **label_record(event.label),
        "episode_id": event.label.episode_id,
        "mode": event.label.mode,
        "actor": event.label.actor,
        "seq": event.seq,
        "at": event.at,
        "task": row.task,
        "imagined": row.imagined,
        "model_success": row.success,
        "probability": row.probability,
    }
