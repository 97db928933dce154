"""Label events as files: JSON lines, CSV, Parquet and Label Studio's JSON; and back, exactly."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_type_hints

import pyarrow as pa

from engine.types import Label
from storage.exports.event_tables import KINDS, LARGEST, EventTable, Placed
from storage.exports.label_studio import from_label_studio, to_label_studio
from storage.labels import SPAN, LabelEvent, LabelStore

TABLE: EventTable[LabelEvent] = EventTable(
    hints=get_type_hints(Label) | {"seq": int, "at": float, "hash": str},
    make=LabelEvent.from_dict,
    later=SPAN,
    named=("event_id", "episode_id"),
)
LABEL_STUDIO = "label-studio"
FORMATS = (*KINDS, LABEL_STUDIO)


@dataclass(frozen=True)
class LabelReport:
    """What an import did or, as a dry run, would do.

    Attributes:
        added: events that were not here yet.
        known: events that were.
        problems: one sentence each, naming file place and reason; with any, nothing is added.
    """

    added: int
    known: int
    problems: tuple[str, ...]


def write_labels(kind: str, events: Sequence[LabelEvent]) -> bytes:
    """The events as a file of one of `FORMATS`."""
    rows = [event.to_dict() for event in events]
    return to_label_studio(rows) if kind == LABEL_STUDIO else TABLE.write(kind, rows)


def import_labels(store: LabelStore, kind: str, data: bytes, *, dry_run: bool) -> LabelReport:
    """Add the events of a file that are not there yet, all or none.

    Raises:
        ValueError: the file is not of that format at all.
    """
    if len(data) > LARGEST:
        raise ValueError(f"a file of labels may have {LARGEST // 2**20} MB")
    try:
        placed = list(_from_label_studio(data) if kind == LABEL_STUDIO else TABLE.read(kind, data))
    except (KeyError, TypeError, ValueError, csv.Error, pa.ArrowException) as error:
        raise ValueError(f"that is no {kind} file of labels: {error}") from error
    problems = [f"{place}: {found}" for place, found in placed if isinstance(found, str)]
    good = [(place, found) for place, found in placed if isinstance(found, LabelEvent)]
    events = [event for _, event in good]
    problems += [f"{good[at][0]}: {why}" for at, why in store.objections(events).items()]
    fresh = {e.label.event_id for e in events if store.event(e.label.event_id) is None}
    if problems or dry_run:
        return LabelReport(0 if problems else len(fresh), len(events) - len(fresh), tuple(problems))
    return LabelReport(store.take_in(events), len(events) - len(fresh), ())


def parse_event(values: object) -> LabelEvent:
    """A label event from plain values, every one checked.

    Raises:
        ValueError: a field is missing, unknown, or not what it must be.
    """
    return TABLE.parse(values)


def _from_label_studio(data: bytes) -> Iterable[Placed[LabelEvent]]:
    for place, found in from_label_studio(data):
        yield TABLE.placed(place, partial(_raised, found))


def _raised(found: Any) -> Any:
    if isinstance(found, ValueError):
        raise found
    return found
