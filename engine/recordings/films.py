"""A folder of videos, each with a table of the same name: `pour_1.mp4`, `pour_1.csv` or .parquet.

A row is a step: the frame of that number and the action after it. `action` (a list, of Parquet) or
`action.x`, `action_x`, `action[0]` … are actions; without such, all columns but the known ones are.
`success` marks steps at which it had succeeded, `instruction` the command.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.recordings.description import Array, Cut, Episode, UnusableError, View
from engine.recordings.tables import read_columns, read_csv, vectors
from engine.recordings.video import Videos, look

ENDINGS = (".csv", ".parquet")
BESIDE = ("timestamp", "time", "frame", "frame_index", "step", "index", "success", "instruction")
TRUE, FALSE = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no", "")
_ACTION = re.compile(r"action([._\[]|$)")


class FilmsSource:
    """One folder.

    Raises:
        UnusableError: a video without a table, a cell that is no number, …
    """

    kind = "videos with tables"

    def __init__(self, root: Path) -> None:
        self._root, self._open = root, Videos()
        self._films = sorted(path for path in root.glob("*.mp4") if not path.name.startswith("."))
        if not self._films:
            raise UnusableError(root.name, "holds no .mp4")
        self._tables = [_table_of(path) for path in self._films]
        self._names = self._action_columns(0)
        self._first = look(self._films[0], self._films[0].name)

    def check(self) -> None:
        for index, path in enumerate(self._films):
            about, rows = look(path, path.name), len(self.actions(index))
            if (about.height, about.width) != (self._first.height, self._first.width):
                raise UnusableError(
                    path.name,
                    f"is {about.height}×{about.width}, the others "
                    f"{self._first.height}×{self._first.width}",
                )
            if about.frames < rows:
                raise UnusableError(path.name, f"has {about.frames} frames, its table {rows} rows")

    @property
    def fps(self) -> float | None:
        return self._first.fps

    @property
    def views(self) -> list[View]:
        first = self._first
        return [View(name="video", height=first.height, width=first.width, stored=first.codec)]

    @property
    def action_names(self) -> list[str]:
        if self._names == ["action"]:
            return []
        return [_ACTION.sub("", name).rstrip("]") or name for name in self._names]

    @property
    def states(self) -> Mapping[str, int]:
        return {}

    @property
    def notes(self) -> list[str]:
        return []

    @property
    def success_found(self) -> str:
        return "the column success" if "success" in self._tables[0][1] else ""

    @property
    def count(self) -> int:
        return len(self._films)

    def num_frames(self, index: int) -> int:
        path = self._films[index]
        return min(look(path, path.name).frames, len(self.actions(index)) + 1)

    def actions(self, index: int) -> Array:
        return self._numbers(index)

    def frames(self, index: int, view: str, cut: Cut | None = None) -> Iterator[Array]:
        path, count = self._films[index], self.num_frames(index)
        fps = look(path, path.name).fps
        yield from self._open.frames(path, path.name, start=0.0, fps=fps, count=count, cut=cut)

    def episode(self, index: int) -> Episode:
        name, table = self._tables[index]
        flags = [
            _flag(value, f"{name}, success", row)
            for row, value in enumerate(table.get("success", ()))
        ]
        said = [str(text) for text in table.get("instruction", ()) if text not in (None, "")]
        return Episode(
            name=self._films[index].stem,
            steps=len(self.actions(index)),
            frames=self.num_frames(index),
            instruction=said[0] if said else "",
            success=any(flags) if "success" in table else None,
            succeeded_at=flags.index(True) if any(flags) else None,
        )

    def _action_columns(self, at: int) -> list[str]:
        name, table = self._tables[at]
        named = [column for column in table if _ACTION.match(column)]
        found = named or [column for column in table if column not in BESIDE]
        if not found:
            raise UnusableError(name, "has no column of actions (action, action.x, …)")
        return found

    def _numbers(self, at: int) -> Array:
        name, table = self._tables[at]
        if self._action_columns(at) != self._names:
            raise UnusableError(
                name, f"has the action columns {', '.join(self._action_columns(at))}, "
                f"others {', '.join(self._names)}"
            )  # fmt: skip
        return np.concatenate(
            [_values(table[column], f"{name}, {column}") for column in self._names], axis=1
        )


def _values(cells: Sequence[Any], place: str) -> Array:
    """float64 [rows, n] of cells: text of a CSV, numbers or lists of a Parquet file."""
    texts = [[_number(cell, place, row)] for row, cell in enumerate(cells) if type(cell) is str]
    return vectors(texts if len(texts) == len(cells) else cells, place)


def _table_of(film: Path) -> tuple[str, dict[str, list[Any]]]:
    for ending in ENDINGS:
        path = film.with_suffix(ending)
        if path.is_file():
            if ending == ".csv":
                return path.name, dict(read_csv(path, path.name))
            return path.name, dict(read_columns(path, path.name).to_pydict())
    raise UnusableError(film.name, f"needs a table beside it: {film.stem}.csv or .parquet")


def _number(text: str, place: str, row: int) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UnusableError(place, f"{text!r:.40} is no number", row) from error


def _flag(value: object, place: str, row: int) -> bool:
    text = str(value).strip().lower()
    if text not in TRUE + FALSE:
        raise UnusableError(place, f"{value!r:.40} is neither true nor false", row)
    return text in TRUE
