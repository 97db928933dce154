"""Label events as files: JSON lines, CSV, Parquet and Label Studio's JSON; and back, exactly."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, get_type_hints

from engine.records.types import Label
from storage.events.labels import SPAN, LabelEvent, LabelStore
from storage.exports.events.label_studio import from_label_studio, to_label_studio
from storage.exports.events.tables import KINDS, EventTable, ImportReport, Placed, import_events

TABLE: EventTable[LabelEvent] = EventTable(
    hints=get_type_hints(Label) | {"seq": int, "at": float, "hash": str},
    make=LabelEvent.from_dict,
    later=SPAN,
    named=("event_id", "episode_id"),
)
LABEL_STUDIO = "label-studio"
FORMATS = (*KINDS, LABEL_STUDIO)


def write_labels(kind: str, events: Sequence[LabelEvent]) -> bytes:
    """The events as a file of one of `FORMATS`."""
    rows = [event.to_dict() for event in events]
    return to_label_studio(rows) if kind == LABEL_STUDIO else TABLE.write(kind, rows)


def import_labels(store: LabelStore, kind: str, data: bytes, *, dry_run: bool) -> ImportReport:
    """Add the events of a file that are not there yet, all or none.

    Raises:
        ValueError: the file is not of that format at all.
    """
    return import_events(store.log, kind, data, _read, dry_run=dry_run)


def parse_event(values: object) -> LabelEvent:
    """A label event from plain values, every one checked.

    Raises:
        ValueError: a field is missing, unknown, or not what it must be.
    """
    return TABLE.parse(values)


def _read(kind: str, data: bytes) -> Iterable[Placed[LabelEvent]]:
    if kind != LABEL_STUDIO:
        return TABLE.read(kind, data)
    return [TABLE.placed(at, partial(_raised, found)) for at, found in from_label_studio(data)]


def _raised(found: Any) -> Any:
    if isinstance(found, ValueError):
        raise found
    return found
