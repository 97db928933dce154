"""Preference events as files: JSON lines, CSV and Parquet; and back, exactly."""

from collections.abc import Sequence
from typing import get_type_hints

from storage.events.preferences import Preference, PreferenceEvent, PreferenceStore
from storage.exports.events.tables import KINDS, EventTable, ImportReport, import_events

TABLE: EventTable[PreferenceEvent] = EventTable(
    hints=get_type_hints(Preference) | {"seq": int, "at": float, "hash": str},
    make=PreferenceEvent.from_dict,
    named=("event_id", "left", "right"),
)
FORMATS = KINDS


def write_preferences(kind: str, events: Sequence[PreferenceEvent]) -> bytes:
    """The events as a file of one of `FORMATS`."""
    return TABLE.write(kind, [event.to_dict() for event in events])


def import_preferences(
    store: PreferenceStore, kind: str, data: bytes, *, dry_run: bool
) -> ImportReport:
    """Add the events of a file that are not there yet, all or none.

    Raises:
        ValueError: the file is not of that format at all.
    """
    return import_events(store.log, kind, data, TABLE.read, dry_run=dry_run)
