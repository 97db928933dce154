"""Events as files of one row each: JSON lines, CSV and Parquet; and back, exactly.

Every format holds every field of every event, so that a file written is read back equal. What
comes in is checked row by row; the reader is told which row is wrong and why.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import UnionType
from typing import Any, Generic, Protocol, TypeVar, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from engine.records.texts import check_unicode
from storage.events.event_log import EventLog, said
from storage.exports.parquet_rows import parquet_rows


class Stored(Protocol):
    """An event of a log."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with its time as `at`."""
        ...


Event = TypeVar("Event", bound=Stored)
Placed = tuple[str, Event | str]  # (place in the file, the event or what is wrong with it)

KINDS = ("jsonl", "csv", "parquet")
LARGEST = 64 * 2**20  # bytes of a file that is read
LONGEST = 10_000  # characters of a text
# What a text may unpack to: a byte of "{}," becomes twenty of Python's.
MOST_ROWS, MOST_OBJECTS, MOST_PARTS = 200_000, 1_000_000, 4_000_000
MOST_PROBLEMS = 1_000
# A table program runs a text that begins like this as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
# How tables write nothing, and truth values; in a column of text they are words like any other.
_NOTHING: Mapping[bool, tuple[str, ...]] = {
    False: (),
    True: ("nan", "NaN", "NA", "N/A", "None", "null", "NULL", "<NA>"),
}
_WORDS = {"true": "true", "false": "false"}
_PLAIN_COMMA = re.compile(r"(?<=\d),(?=\d+$)")  # of 0,5
_ARROW = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


@dataclass(frozen=True)
class ImportReport:
    """What an import did or, as a dry run, would do.

    Attributes:
        added: events that were not here yet.
        known: events that were.
        problems: one sentence each, naming file place and reason; with any, nothing is added.
    """

    added: int
    known: int
    problems: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EventTable(Generic[Event]):
    """How events of one kind are written as rows.

    Attributes:
        hints: the type of each column, in their order.
        make: an event of checked values; raises a `ValueError` where they cannot be one.
        later: columns that files from before they came do not have; each may be nothing.
        named: columns that may not be empty.
    """

    hints: Mapping[str, Any]
    make: Callable[[dict[str, Any]], Event]
    later: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    def write(self, kind: str, rows: list[dict[str, Any]]) -> bytes:
        """The events' plain values as a file of one of `KINDS`."""
        write: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
            "jsonl": _to_jsonl,
            "csv": self._to_csv,
            "parquet": self._to_parquet,
        }
        return write[kind](rows)

    def read(self, kind: str, data: bytes) -> Iterable[Placed[Event]]:
        """The events of a file of one of `KINDS`, each with its place.

        Raises:
            ValueError, csv.Error, pa.ArrowException: it is no such file at all.
        """
        read: dict[str, Callable[[bytes], Iterable[Placed[Event]]]] = {
            "jsonl": self._from_jsonl,
            "csv": self._from_csv,
            "parquet": self._from_parquet,
        }
        return read[kind](data)

    def parse(self, values: object) -> Event:
        """An event from plain values, every one checked.

        Raises:
            ValueError: a field is missing, unknown, or not what it must be.
        """
        if not isinstance(values, Mapping):
            raise ValueError("an event must be an object")
        for wrong, names in (
            ("unknown", set(values) - set(self.hints)),
            ("missing", set(self.hints) - {*values, *self.later}),
        ):
            if names:
                raise ValueError(f"{', '.join(sorted(map(str, names)))} {wrong}")
        found = {name: self._loosened(name, value) for name, value in values.items()}
        for name, value in found.items():
            self._check(name, value)
        return self.make(found)

    def placed(self, place: str, values: Callable[[], object]) -> Placed[Event]:
        """The event of the values that a call gives, or why there is none."""
        try:
            return place, self.parse(values())
        except (ValueError, RecursionError) as error:
            return place, str(error)

    def _kinds(self, name: str) -> tuple[type, ...]:
        hint = self.hints[name]
        return get_args(hint) if isinstance(hint, UnionType) else (hint,)

    def _loosened(self, name: str, value: object) -> object:
        """What a program without whole numbers, truth values or nothing meant: 12.0, 1.0, NaN."""
        kinds = self._kinds(name)
        if type(value) is not float or (float in kinds and math.isfinite(value)):
            return value
        if math.isnan(value) and type(None) in kinds:
            return None
        if int in kinds and value.is_integer():
            return int(value)
        return bool(value) if bool in kinds and value in (0.0, 1.0) else value

    def _check(self, name: str, value: object) -> None:
        kinds = self._kinds(name)
        if type(value) not in kinds:
            words = " or ".join("nothing" if k is type(None) else k.__name__ for k in kinds)
            raise ValueError(f"{name} must be {words}, not {value!r:.60}")
        if isinstance(value, str) and len(value) > LONGEST:
            raise ValueError(f"{name} may have {LONGEST} characters, not {len(value)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} must be finite, not {value}")
        check_unicode(value, name)
        if name in self.named and not value:
            raise ValueError(f"{name} is empty")

    def _from_jsonl(self, data: bytes) -> Iterable[Placed[Event]]:
        for number, line in enumerate(data.decode("utf-8-sig").split("\n"), start=1):
            if line.strip():
                yield self.placed(f"line {number}", partial(json.loads, line))

    def _to_csv(self, rows: list[dict[str, Any]]) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(self.hints)
        writer.writerows([[self._cell(name, row.get(name)) for name in self.hints] for row in rows])
        return text.getvalue().encode()

    def _from_csv(self, data: bytes) -> Iterable[Placed[Event]]:
        text = _text(data)
        delimiter = max(",;\t", key=text.partition("\n")[0].count)
        # Not a StringIO, which takes four bytes a letter.
        lines = io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8", newline="")
        reader = csv.reader(lines, strict=True, delimiter=delimiter)
        head = [name.strip() for name in next(reader, [])]
        needed = set(self.hints) - set(self.later)
        if len(head) != len(set(head)) or not needed <= set(head) <= set(self.hints):
            raise ValueError(f"the first line must name the columns {', '.join(self.hints)}")
        for cells in reader:
            if not any(cells):
                continue  # a spreadsheet's empty line
            place = f"line {reader.line_num}"
            if len(cells) != len(head):
                yield place, f"{len(cells)} cells instead of {len(head)}"
                continue
            named = dict(zip(head, cells, strict=True))
            yield self.placed(place, partial(self._row, named))

    def _row(self, cells: Mapping[str, str]) -> dict[str, object]:
        return {name: self._value(name, cell) for name, cell in cells.items()}

    def _cell(self, name: str, value: object) -> str:
        """A cell; nothing is empty, so an empty text that may also be nothing is a lone quote."""
        if isinstance(value, str):
            bare = value == "" and type(None) in self._kinds(name)
            return f"'{value}" if bare or value.startswith(FORMULA) else value
        return "" if value is None else json.dumps(value)

    def _value(self, name: str, cell: str) -> object:
        kinds = self._kinds(name)
        if cell in ("", *_NOTHING[str not in kinds]) and type(None) in kinds:
            return None
        if str in kinds:
            return cell.removeprefix("'")
        try:
            value = json.loads(_WORDS.get(cell.lower(), _PLAIN_COMMA.sub(".", cell)))
        except ValueError as error:
            raise ValueError(f"{name} cannot be {cell!r:.60}") from error
        return float(value) if float in kinds and type(value) is int else value

    def _to_parquet(self, rows: list[dict[str, Any]]) -> bytes:
        fields = [
            pa.field(name, _ARROW[self._kinds(name)[0]], nullable=type(None) in self._kinds(name))
            for name in self.hints
        ]
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(fields)), buffer)
        return buffer.getvalue()

    def _from_parquet(self, data: bytes) -> Iterable[Placed[Event]]:
        for number, row in enumerate(parquet_rows(data), start=1):
            yield self.placed(f"row {number}", partial(dict, row))


def import_events(
    log: EventLog,
    kind: str,
    data: bytes,
    read: Callable[[str, bytes], Iterable[Placed[Event]]],
    *,
    dry_run: bool,
) -> ImportReport:
    """Add the events of a file that are not in a log yet, all or none.

    Args:
        read: (kind, data) -> the events with their places.

    Raises:
        ValueError: the file is not of that format at all.
    """
    what = log.kind.nouns
    if len(data) > LARGEST:
        raise ValueError(f"a file of {what} may have {LARGEST // 2**20} MB")
    if kind != "parquet":  # which the sandbox unpacks
        check_amount(data)
    try:
        placed = _some(read(kind, data))
    except (KeyError, TypeError, ValueError, csv.Error, pa.ArrowException) as error:
        raise ValueError(f"that is no {kind} file of {what}: {error}") from error
    return import_placed(log, placed, dry_run=dry_run)


def check_amount(data: bytes) -> None:
    """Refuse a text that would unpack to far more than itself, before it is parsed.

    Raises:
        ValueError: more rows, objects or values than a file of events has.
    """
    found = {
        "rows": (data.count(b"\n"), MOST_ROWS),
        "objects": (data.count(b"{") + data.count(b"["), MOST_OBJECTS),
        "values": (sum(data.count(sign) for sign in (b",", b";", b"\t", b":")), MOST_PARTS),
    }
    for what, (count, most) in found.items():
        if count > most:
            raise ValueError(f"it has {count:,} {what}; at most {most:,} are read: split it")


def _some(placed: Iterable[Placed[Event]]) -> list[Placed[Event]]:
    """All of them, or those up to the problem after which nobody reads on."""
    kept, problems = [], 0
    for one in placed:
        kept.append(one)
        problems += isinstance(one[1], str)
        if problems == MOST_PROBLEMS:
            break
    return kept


def import_placed(log: EventLog, placed: Sequence[Placed[Event]], *, dry_run: bool) -> ImportReport:
    """Add events that are not in a log yet, all or none; problems name their places."""
    problems = [f"{place}: {found}" for place, found in placed if isinstance(found, str)]
    good = [(place, found.to_dict()) for place, found in placed if not isinstance(found, str)]
    given = [(said(event), event["at"]) for _, event in good]
    objections = log.objections([values for values, _ in given])
    problems += [f"{good[at][0]}: {why}" for at, why in objections.items()]
    names = [values["event_id"] for values, _ in given]
    fresh = {name for name in names if log.event(name) is None}
    if problems or dry_run:
        return ImportReport(0 if problems else len(fresh), len(given) - len(fresh), tuple(problems))
    return ImportReport(log.take_in(given), len(given) - len(fresh), ())


def _text(data: bytes) -> str:
    """The text of a file in UTF-8 or, where it cannot be that, as Windows writes the West's."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def _to_jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()
