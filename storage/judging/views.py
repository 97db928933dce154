"""Saved filters of the wall of episodes, and the episodes put aside for judging."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from storage.database import Cursor, Database, Row
from storage.documents import Document


class ViewStore:
    """Filters under the names that people gave them, in a file.

    Args:
        database: where a studio kept them before there was a file.
    """

    def __init__(self, database: Database, path: Path) -> None:
        self._file = Document(path, first=lambda: _first_views(database))

    def save(self, name: str, query: Mapping[str, Any]) -> None:
        """Keep a filter; one of the same name is replaced."""
        self._file.change(lambda views: views.update({name: dict(query)}))

    def remove(self, name: str) -> None:
        """Forget a filter; one that is not there is forgotten already."""
        self._file.change(lambda views: views.pop(name, None))

    def all(self) -> dict[str, dict[str, Any]]:
        """Every saved filter by name, in order of the names."""
        views = self._file.read()
        return {name: views[name] for name in sorted(views) if isinstance(views[name], dict)}


class LabelQueue:
    """Episodes that somebody wants judged first, in the order in which they were put there.

    A file {episode: when} is the truth; the database has a row each, for filters and orders.
    """

    def __init__(self, database: Database, path: Path) -> None:
        self._database = database
        self._file = Document(path, first=lambda: _first_queued(database))
        queued = {name: at for name, at in self._file.read().items() if isinstance(at, int | float)}
        database.write(lambda cursor: cursor.rows("delete from label_queue"))
        database.insert_each("label_queue", _rows(queued))

    def add(self, episode_ids: Sequence[str]) -> int:
        """Put known episodes at the end of the queue; how many were new to it."""
        now = time.time()

        def change(cursor: Cursor) -> list[Row]:
            known = cursor.rows(
                "select id from episodes where id in (select unnest(?::text[]))"
                " and id not in (select episode_id from label_queue)",
                [list(episode_ids)],
            )
            new = {row["id"] for row in known}
            ordered = [name for name in dict.fromkeys(episode_ids) if name in new]
            # A microsecond apart, so that one call keeps its order.
            rows = _rows({name: now + 1e-6 * place for place, name in enumerate(ordered)})
            cursor.insert("label_queue", rows)
            return rows

        rows = self._database.write(change)
        if rows:
            fresh = {row["episode_id"]: row["queued"] for row in rows}
            self._file.change(lambda queued: queued.update(fresh))
        return len(rows)


def _rows(queued: Mapping[str, float]) -> list[Row]:
    return [{"episode_id": name, "queued": at} for name, at in queued.items()]


def _first_views(database: Database) -> dict[str, Any]:
    rows = database.read("select name, query from saved_views")
    return {row["name"]: json.loads(row["query"]) for row in rows}


def _first_queued(database: Database) -> dict[str, Any]:
    rows = database.read("select episode_id, queued from label_queue")
    return {row["episode_id"]: row["queued"] for row in rows}
