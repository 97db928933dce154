"""The database: hardening, threads, migrations, damage."""

import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from storage.database import Cursor, Database
from storage.workspace import Workspace


def point(step: int, **changes: object) -> dict[str, object]:
    return {
        "run": "run-1",
        "step": step,
        "name": "loss",
        "value": 0.5,
        "attempt": 1,
        "seq": step,
        "time": 0.0,
    } | changes


@pytest.mark.parametrize(
    "attack",
    [
        "select * from read_text('/etc/hostname')",
        "select * from read_blob('/etc/hostname')",
        "select * from read_csv('/etc/hostname')",
        "select * from '/etc/hostname'",
        "select * from glob('/etc/*')",
        "copy (select 1) to '/tmp/stolen.csv'",
        "attach '/tmp/other.duckdb'",
        "export database '/tmp/stolen'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access=true",
        "set lock_configuration=false",
        "set allowed_directories=['/']",
        "select * from a_python_variable",
    ],
)
def test_sql_cannot_reach_the_file_system_or_python(database: Database, attack: str) -> None:
    a_python_variable = [1]
    with pytest.raises(duckdb.Error):
        database.read(attack)
    assert a_python_variable == [1]


def test_sql_cannot_leave_the_export_directory_with_dots(
    database: Database, workspace: Workspace
) -> None:
    (workspace.root / "secret.txt").write_text("secret")
    with pytest.raises(duckdb.PermissionException):
        database.read(f"select * from read_text('{workspace.exports}/../secret.txt')")


def test_what_was_written_is_there_after_reopening(workspace: Workspace) -> None:
    first = Database(workspace.database, exports=workspace.exports)
    first.write(lambda cursor: cursor.insert("metrics", [point(1), point(2)]))
    first.close()
    second = Database(workspace.database, exports=workspace.exports)
    assert second.read("select step from metrics order by step") == [{"step": 1}, {"step": 2}]
    second.close()


def test_four_threads_write_and_read_at_once(workspace: Workspace) -> None:
    database = Database(workspace.database, exports=workspace.exports)
    barrier = threading.Barrier(4)

    def work(name: str) -> None:
        barrier.wait()
        for step in range(10):
            row = point(step, name=name)
            database.write(lambda cursor, row=row: cursor.insert("metrics", [row]))
            database.read("select count(*) from metrics")

    threads = [threading.Thread(target=work, args=(f"metric-{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.read("select count(*) as points from metrics") == [{"points": 40}]
    database.close()


def test_writers_of_one_row_all_succeed_by_trying_again(database: Database) -> None:
    database.write(lambda cursor: cursor.insert("metrics", [point(1, value=0.0)]))
    barrier = threading.Barrier(2)

    def increment(cursor: Cursor) -> None:
        [row] = cursor.rows("select value from metrics")
        cursor.rows("update metrics set value = ?", [row["value"] + 1.0])

    def work() -> None:
        barrier.wait()
        database.write(increment)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.read("select value from metrics") == [{"value": 2.0}]


def test_a_failed_transaction_leaves_nothing_behind(database: Database) -> None:
    def change(cursor: Cursor) -> None:
        cursor.insert("metrics", [point(1)])
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        database.write(change)
    assert database.read("select * from metrics") == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_is_refused(database: Database, value: float) -> None:
    with pytest.raises(duckdb.ConstraintException):
        database.write(lambda cursor: cursor.insert("metrics", [point(1, value=value)]))


def test_a_second_process_is_told_that_the_directory_is_in_use(workspace: Workspace) -> None:
    database = Database(workspace.database, exports=workspace.exports)
    script = (
        "import sys; from pathlib import Path; from storage.database import Database\n"
        "try:\n    Database(Path(sys.argv[1]), exports=Path(sys.argv[2]))\n"
        "except ValueError as error:\n    print(error)"
    )
    arguments = [sys.executable, "-c", script, workspace.database, workspace.exports]
    result = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "another studio is using" in result.stdout
    database.close()


def test_a_newer_schema_is_refused(workspace: Workspace) -> None:
    database = Database(workspace.database, exports=workspace.exports)
    database.write(lambda cursor: cursor.rows("insert into schema_version values (99, 0.0)"))
    database.close()
    with pytest.raises(ValueError, match="newer studio"):
        Database(workspace.database, exports=workspace.exports)


def test_a_backup_holds_the_rows_and_leaves_the_database_open(workspace: Workspace) -> None:
    database = Database(workspace.database, exports=workspace.exports)
    database.write(lambda cursor: cursor.insert("metrics", [point(1)]))
    path = database.backup("copy.duckdb")
    assert database.read("select count(*) as points from metrics") == [{"points": 1}]
    database.close()
    with duckdb.connect(str(path), read_only=True) as copy:
        assert copy.execute("select count(*) from metrics").fetchall() == [(1,)]


def test_insert_of_no_rows_does_nothing(database: Database) -> None:
    database.write(lambda cursor: cursor.insert("metrics", []))
    assert database.read("select * from metrics") == []


def test_storage_loads_no_torch_and_no_gradio() -> None:
    script = (
        "import sys, storage.cabinet\n"
        "print([name for name in ('torch', 'gradio') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_export_directories_with_quotes_are_allowed(tmp_path: Path) -> None:
    exports = tmp_path / "o'clock"
    exports.mkdir()
    database = Database(None, exports=exports)
    assert database.read("select 1 as one") == [{"one": 1}]
    database.close()


def test_a_fatal_error_is_reported_and_the_database_opened_anew(workspace: Workspace) -> None:
    database = Database(workspace.database, exports=workspace.exports)
    database.write(lambda cursor: cursor.insert("metrics", [point(1)]))

    def change(cursor: Cursor) -> None:
        cursor.insert("metrics", [point(2)])
        raise duckdb.FatalException("no space left on device")

    with pytest.raises(duckdb.FatalException):
        database.write(change)
    assert database.read("select step from metrics") == [{"step": 1}]
    database.write(lambda cursor: cursor.insert("metrics", [point(3)]))
    database.close()
    again = Database(workspace.database, exports=workspace.exports)
    assert again.read("select step from metrics order by step") == [{"step": 1}, {"step": 3}]
    again.close()


def test_closing_lets_the_next_process_in(workspace: Workspace) -> None:
    database = Database(workspace.database, exports=workspace.exports)
    thread = threading.Thread(target=lambda: database.read("select 1"))
    thread.start()
    thread.join()
    database.close()
    script = (
        "import sys; from pathlib import Path; from storage.database import Database\n"
        "Database(Path(sys.argv[1]), exports=Path(sys.argv[2])).close()"
    )
    arguments = [sys.executable, "-c", script, workspace.database, workspace.exports]
    subprocess.run(arguments, check=True)


def test_threads_that_end_leave_no_cursors_behind(database: Database) -> None:
    for _ in range(20):
        thread = threading.Thread(target=lambda: database.read("select 1"))
        thread.start()
        thread.join()
    assert database.num_idle_cursors == 1
