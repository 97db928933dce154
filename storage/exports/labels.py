"""Label events as files: JSON lines, CSV, Parquet and Label Studio's JSON; and back, exactly.

Every format holds every field of every event, so that a file written is read back equal. What
comes in is checked row by row; the reader is told which row is wrong and why.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import UnionType
from typing import Any, get_args, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from engine.types import Label
from storage.exports.label_studio import from_label_studio, to_label_studio
from storage.labels import LabelEvent, LabelStore

LARGEST = 64 * 2**20  # bytes of a file that is read
LONGEST = 10_000  # characters of a text
HINTS: dict[str, Any] = get_type_hints(Label) | {"seq": int, "at": float, "hash": str}
NAMES = tuple(HINTS)
# A table program runs a text that begins like this as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_ARROW = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}

Placed = tuple[str, LabelEvent | str]  # (place in the file, the event or what is wrong with it)


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
    return FORMATS[kind][0]([event.to_dict() for event in events])


def import_labels(store: LabelStore, kind: str, data: bytes, *, dry_run: bool) -> LabelReport:
    """Add the events of a file that are not there yet, all or none.

    Raises:
        ValueError: the file is not of that format at all.
    """
    if len(data) > LARGEST:
        raise ValueError(f"a file of labels may have {LARGEST // 2**20} MB")
    try:
        placed = list(FORMATS[kind][1](data))
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
    if not isinstance(values, Mapping):
        raise ValueError("an event must be an object")
    for wrong, names in (
        ("unknown", set(values) - set(NAMES)),
        ("missing", set(NAMES) - {*values}),
    ):
        if names:
            raise ValueError(f"{', '.join(sorted(map(str, names)))} {wrong}")
    for name in NAMES:
        _check(name, values[name])
    return LabelEvent.from_dict(dict(values))


def _check(name: str, value: object) -> None:
    hint = HINTS[name]
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if type(value) not in kinds:
        words = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in kinds)
        raise ValueError(f"{name} must be {words}, not {value!r:.60}")
    if isinstance(value, str) and len(value) > LONGEST:
        raise ValueError(f"{name} may have {LONGEST} characters, not {len(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value}")
    if name in ("event_id", "episode_id") and not value:
        raise ValueError(f"{name} is empty")


def _placed(place: str, make: Callable[[], object]) -> Placed:
    try:
        return place, parse_event(make())
    except ValueError as error:
        return place, str(error)


def _to_jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


def _from_jsonl(data: bytes) -> Iterable[Placed]:
    for number, line in enumerate(data.decode().split("\n"), start=1):
        if line:
            yield _placed(f"line {number}", partial(json.loads, line))


def _to_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(NAMES)
    writer.writerows([[_cell(name, row[name]) for name in NAMES] for row in rows])
    return text.getvalue().encode()


def _from_csv(data: bytes) -> Iterable[Placed]:
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    head = next(reader, [])
    if sorted(head) != sorted(NAMES):
        raise ValueError(f"the first line must name the columns {', '.join(NAMES)}")
    for cells in reader:
        place = f"line {reader.line_num}"
        if len(cells) != len(head):
            yield place, f"{len(cells)} cells instead of {len(head)}"
            continue
        named = dict(zip(head, cells, strict=True))
        yield _placed(place, partial(_row, named))


def _row(cells: Mapping[str, str]) -> dict[str, object]:
    return {name: _value(name, cell) for name, cell in cells.items()}


def _cell(name: str, value: object) -> str:
    """A cell; nothing is empty, so an empty text that may also be nothing is a lone quote."""
    if isinstance(value, str):
        bare = value == "" and type(None) in get_args(HINTS[name])
        return f"'{value}" if bare or value.startswith(FORMULA) else value
    return "" if value is None else json.dumps(value)


def _value(name: str, cell: str) -> object:
    kinds = get_args(HINTS[name]) or (HINTS[name],)
    if cell == "" and type(None) in kinds:
        return None
    if str in kinds:
        return cell.removeprefix("'")
    try:
        value = json.loads(cell)
    except ValueError as error:
        raise ValueError(f"{name} cannot be {cell!r:.60}") from error
    return float(value) if float in kinds and type(value) is int else value


def _to_parquet(rows: list[dict[str, Any]]) -> bytes:
    fields = []
    for name in NAMES:
        kinds = get_args(HINTS[name]) or (HINTS[name],)
        fields.append(pa.field(name, _ARROW[kinds[0]], nullable=type(None) in kinds))
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(fields)), buffer)
    return buffer.getvalue()


def _from_parquet(data: bytes) -> Iterable[Placed]:
    for number, row in enumerate(pq.read_table(io.BytesIO(data)).to_pylist(), start=1):
        yield _placed(f"row {number}", partial(dict, row))


def _from_label_studio(data: bytes) -> Iterable[Placed]:
    for place, found in from_label_studio(data):
        yield _placed(place, partial(_raised, found))


def _raised(found: object) -> object:
    if isinstance(found, ValueError):
        raise found
    return found


# format -> (write, read)
FORMATS: dict[str, tuple[Callable[..., bytes], Callable[[bytes], Iterable[Placed]]]] = {
    "jsonl": (_to_jsonl, _from_jsonl),
    "csv": (_to_csv, _from_csv),
    "parquet": (_to_parquet, _from_parquet),
    "label-studio": (to_label_studio, _from_label_studio),
}
