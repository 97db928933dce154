"""Strokes: what a person says with one key each, in a batch, in order; the door of every label."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.access import Access
from app.judging.labelling import Labelling
from app.judging.preferences import Preferences
from app.player.clips import OneEpisode
from app.web.questions import Answer, ask, sentence
from engine.config import Config, knob

MOST_STROKES = 50  # in one question, as the browser's outbox sends them


@dataclass(frozen=True, kw_only=True)
class Strokes(Config):
    """What a person says, in order."""

    strokes: tuple[Mapping[str, Any], ...] = knob(
        help="each as `Judging.on_judge` reads it", high=MOST_STROKES
    )


@dataclass(frozen=True)
class Judging:
    """The door of every label: what is said of one clip, and of two.

    Attributes:
        save_dream: keeps the path to a node of a dream; {episode}.
    """

    labels: Labelling
    pairs: Preferences
    save_dream: Callable[..., Answer]
    access: Access

    @property
    def answers(self) -> dict[str, Callable[..., Answer]]:
        """What `judging.js` asks on every page where something can be said of a clip."""
        return {"judge": self.on_judge, "said": self.on_said}

    def on_judge(self, question: Strokes) -> Answer:
        """{acks}: store strokes in order, each {saved, seq, at} or {event_id, refused}.

        A stroke is a label of an `episode_id` or of a `dream` {dream, node} that becomes an
        episode, with `pair` a preference, with `undo` the event that takes one back. It may name
        its `actor`. One that cannot be stored does not stop the others.
        """
        self.access.spend("labels", len(question.strokes))
        return {"acks": [self._stroke(dict(stroke)) for stroke in question.strokes]}

    def on_said(self, question: OneEpisode) -> Answer:
        """{labels}: all that was said of an episode, newest first."""
        return {"labels": self.labels.of(question.episode)}

    def _stroke(self, stroke: dict[str, Any]) -> dict[str, Any]:
        actor = str(stroke.pop("actor", "local"))
        said = self.pairs if stroke.pop("pair", False) else self.labels
        try:
            if "undo" in stroke:
                undone, new = str(stroke["undo"]), str(stroke["event_id"])
                return said.undo(undone, new_event_id=new, actor=actor)
            if "dream" in stroke:
                return self._of_dream(stroke, actor)
            return said.add(stroke, actor=actor)
        except (ValueError, LookupError) as error:
            return {"event_id": stroke.get("event_id"), "refused": sentence(error)}

    def _of_dream(self, stroke: dict[str, Any], actor: str) -> dict[str, Any]:
        dream = stroke.pop("dream")
        # A label that is sent again may have outlived its dream.
        episode = self.labels.subject(str(stroke["event_id"])) or str(
            ask(self.save_dream, dream)["episode"]
        )
        return self.labels.add({**stroke, "episode_id": episode}, actor=actor) | {
            "episode": episode
        }
