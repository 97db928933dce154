"""Saved filters of the wall of episodes, and the episodes put aside for judging."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from storage.database import Cursor, Database


class ViewStore:
    """Filters under the names that people gave them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, name: str, query: Mapping[str, Any]) -> None:
        """Keep a filter; one of the same name is replaced."""
        row = {"name": name, "query": json.dumps(dict(query)), "created": time.time()}

        def change(cursor: Cursor) -> None:
            cursor.rows("delete from saved_views where name = ?", [name])
            cursor.insert("saved_views", [row])

        self._database.write(change)

    def remove(self, name: str) -> None:
        """Forget a filter; one that is not there is forgotten already."""
        self._database.write(
            lambda cursor: cursor.rows("delete from saved_views where name = ?", [name])
        )

    def all(self) -> dict[str, dict[str, Any]]:
        """Every saved filter by name, in order of the names."""
        rows = self._database.read("select name, query from saved_views order by name")
        return {row["name"]: json.loads(row["query"]) for row in rows}


class LabelQueue:
    """Episodes that somebody wants judged first, in the order in which they were put there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, episode_ids: Sequence[str]) -> int:
        """Put known episodes at the end of the queue; how many were new to it."""
        now = time.time()

        def change(cursor: Cursor) -> int:
            known = cursor.rows(
                "select id from episodes where id in (select unnest(?::text[]))"
                " and id not in (select episode_id from label_queue)",
                [list(episode_ids)],
            )
            new = {row["id"] for row in known}
            ordered = [name for name in dict.fromkeys(episode_ids) if name in new]
            # A microsecond apart, so that one call keeps its order.
            rows = [
                {"episode_id": name, "queued": now + 1e-6 * place}
                for place, name in enumerate(ordered)
            ]
            cursor.insert("label_queue", rows)
            return len(rows)

        return self._database.write(change)
