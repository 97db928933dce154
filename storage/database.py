"""The only place that opens DuckDB: hardened, no cursor in two threads, bounded writers."""

import functools
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from storage.damage import REFUSALS, DamagedError, fault_of_place
from storage.schema import MIGRATIONS

Value = TypeVar("Value")
Row = dict[str, Any]
Values = Sequence[Any] | Mapping[str, Any]  # for `?`, or for `$name`

MAX_WRITERS = 4
MAX_ATTEMPTS = 5

# reliability.md T5: no extensions, no files outside `exports`, no view of Python's variables.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "memory_limit": "1GB",
    "threads": "1",
}


class Cursor:
    """One thread's connection inside a transaction or a read; rows come back as dicts."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, types: dict[str, dict[str, str]]
    ) -> None:
        """`types` gives the type of each column of each table."""
        self._connection = connection
        self._types = types

    def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """Run one statement and return its rows, keyed by column."""
        result = self._connection.execute(
            sql, dict(values) if isinstance(values, Mapping) else list(values)
        )
        columns = [column[0] for column in result.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]

    def row(self, sql: str, values: Values = ()) -> Row | None:
        """The first row of a statement, or None."""
        return next(iter(self.rows(sql, values)), None)

    def insert(self, table: str, rows: Sequence[Row], *, conflict: str = "") -> None:
        """Insert rows of equal keys in one statement.

        Args:
            table: a table's name, from code and never from a user.
            conflict: an `on conflict …` clause, from code as well.
        """
        if not rows:
            return
        columns = list(rows[0])
        types = self._types.get(table)
        if types is None:
            raise DamagedError(f"the table {table} is gone")
        sources = ", ".join(f"unnest(?::{types[column]}[])" for column in columns)
        self._connection.execute(
            f"insert into {table} ({', '.join(columns)}) select {sources} {conflict}",
            [[row[column] for row in rows] for column in columns],
        )


class Database:
    """A DuckDB file shared by the threads of the app process, and by no other process.

    Never open, copy or hash the file itself while this object lives: closing any descriptor of
    it drops DuckDB's lock (reliability.md §0.3). Back up through `backup`.

    Raises:
        ValueError: the place of the file is to blame (another process has it, a full disk, no
            permission), or it was written by a newer version of the studio.
        duckdb.Error: the file is damaged.
    """

    def __init__(self, path: Path | None, *, exports: Path) -> None:
        """Open or create the file; None keeps everything in memory (tests)."""
        self._path = path
        self._exports = exports
        self._writers = threading.BoundedSemaphore(MAX_WRITERS)
        self._opening = threading.Lock()
        self._generation = 0
        self._jitter = random.Random()
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._types: dict[str, dict[str, str]] = {}
        self._connection = self._open()
        try:
            self._migrate()
            self._types = self._columns()
        except BaseException:
            self._close()
            raise

    def close(self) -> None:
        """Close the file and the cursors of every thread."""
        with self._opening:
            self._close()

    @property
    def num_idle_cursors(self) -> int:
        """Cursors waiting to be used again: at most as many as were ever in use at once."""
        return len(self._idle)

    def read(self, sql: str, values: Values = ()) -> list[Row]:
        """The rows of one query."""
        with self._recovering(), self._borrowed() as connection:
            return Cursor(connection, self._types).rows(sql, values)

    def write(self, change: Callable[[Cursor], Value]) -> Value:
        """Run `change` in one transaction and commit it.

        At most `MAX_WRITERS` run at once; a write conflict is tried again from the start, so
        `change` must have no effect outside the database.
        """
        with self._writers, self._recovering():
            for attempt in range(MAX_ATTEMPTS):
                try:
                    return self._transaction(change)
                except duckdb.TransactionException:
                    if attempt == MAX_ATTEMPTS - 1:
                        raise
                    time.sleep(self._jitter.uniform(0.005, 0.080))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def insert_each(
        self, table: str, rows: Sequence[Row], *, conflict: str = ""
    ) -> list[tuple[Row, str]]:
        """Insert the rows that the database takes; the others, each with its reason.

        Halves what is refused until single rows are left, so that one of them costs little.
        """
        if not rows:
            return []
        try:
            self.write(lambda cursor: cursor.insert(table, rows, conflict=conflict))
            return []
        except REFUSALS as error:
            if len(rows) == 1:
                return [(rows[0], first_line(error))]
        middle = len(rows) // 2
        halves = (rows[:middle], rows[middle:])
        return [bad for half in halves for bad in self.insert_each(table, half, conflict=conflict)]

    def prove(self) -> None:
        """Read everything once, and compare the tables with those that there should be.

        Raises:
            DamagedError: a table or a column is missing, or another one is there.
            duckdb.Error: something cannot be read.
        """
        wanted = _wanted()
        for table, columns in wanted.items():
            if self._types.get(table) != columns:
                raise DamagedError(f"the table {table} is not as it should be")
        reads = (f"select bit_xor(hash(t)) as everything from {table} as t" for table in wanted)
        self.read(" union all ".join(reads))

    def backup(self, name: str) -> Path:
        """Copy the whole database into a new file of the export directory.

        Raises:
            ValueError: a file of that name is there already.
        """
        target = self._exports / name
        if target.exists():
            raise ValueError(f"there is already a backup {name}")
        with self._borrowed() as connection:
            [[own]] = connection.execute("select current_database()").fetchall()
            quoted = str(target).replace("'", "''")
            connection.execute(f"attach '{quoted}' as backup")
            connection.execute(f'copy from database "{own}" to backup')
            connection.execute("detach backup")
        return target

    def _transaction(self, change: Callable[[Cursor], Value]) -> Value:
        with self._borrowed() as connection:
            connection.begin()
            value = change(Cursor(connection, self._types))
            connection.commit()
            return value

    @contextmanager
    def _borrowed(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for this thread alone. After an error it is closed, which rolls back."""
        with self._opening:
            generation = self._generation
            connection = self._idle.pop() if self._idle else self._connection.cursor()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._opening:
            if generation == self._generation:
                self._idle.append(connection)
                return
        connection.close()

    @contextmanager
    def _recovering(self) -> Iterator[None]:
        """After a fatal error (a full disk) the instance is dead: open it anew, then report."""
        generation = self._generation
        try:
            yield
        except duckdb.FatalException:
            with self._opening:
                if generation == self._generation:
                    self._close()
                    self._connection = self._open()
            raise

    def _close(self) -> None:
        # The instance lives, and keeps its lock, as long as any cursor of it is open.
        self._generation += 1
        while self._idle:
            self._idle.pop().close()
        self._connection.close()

    def _open(self) -> duckdb.DuckDBPyConnection:
        target = ":memory:" if self._path is None else str(self._path)
        try:
            connection = duckdb.connect(target, config=_CONFIG)
        except duckdb.Error as error:
            if self._path is not None and (sentence := fault_of_place(self._path, error)):
                raise ValueError(sentence) from error
            raise
        # This order matters: the directory list is refused after the switch is off.
        quoted = str(self._exports).replace("'", "''")
        connection.execute(f"set allowed_directories=['{quoted}']")
        connection.execute("set enable_external_access=false")
        connection.execute("set lock_configuration=true")
        return connection

    def _columns(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for row in self.read(
            "select table_name, column_name, data_type from duckdb_columns() where not internal"
        ):
            found.setdefault(row["table_name"], {})[row["column_name"]] = row["data_type"]
        return found

    def _migrate(self) -> None:
        def change(cursor: Cursor) -> None:
            cursor.rows(
                "create table if not exists schema_version (version integer, applied double)"
            )
            [found] = cursor.rows("select coalesce(max(version), 0) as version from schema_version")
            version = found["version"]
            if version > len(MIGRATIONS):
                raise ValueError(
                    f"the data directory was written by a newer studio (schema {version}; this "
                    f"one knows {len(MIGRATIONS)}): update the program"
                )
            for number, sql in enumerate(MIGRATIONS[version:], start=version + 1):
                cursor.rows(sql)
                cursor.rows("insert into schema_version values (?, ?)", [number, time.time()])

        self.write(change)


@functools.cache
def _wanted() -> dict[str, dict[str, str]]:
    """The tables that there should be, each with the types of its columns."""
    fresh = Database(None, exports=Path())
    fresh.close()
    return fresh._types


def first_line(error: BaseException) -> str:
    """What an error says, without the statement that DuckDB quotes below it."""
    return str(error).partition("\n")[0]
