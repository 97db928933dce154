"""The supervisor's log of a run, and what it says of crashes."""

from pathlib import Path

from app.runs.journal import JOURNAL, crashes, note
from app.runs.processes import identity, memory_kills


def crash(directory: Path, step: int | None, turns: int, saved: int) -> None:
    note(directory, {"event": "crash", "step": step, "turns": turns, "saved": saved})


def test_crashes_are_counted_since_something_was_saved_or_a_person_resumed(tmp_path: Path) -> None:
    crash(tmp_path, 20, 3, saved=4)
    crash(tmp_path, 20, 9, saved=4)
    assert crashes(tmp_path) == [(20, 3), (20, 9)]
    crash(tmp_path, 40, 1, saved=5)
    assert crashes(tmp_path) == [(40, 1)]
    note(tmp_path, {"event": "resume"})
    assert crashes(tmp_path) == []


def test_a_crash_before_the_first_beat_is_no_progress(tmp_path: Path) -> None:
    crash(tmp_path, 20, 3, saved=4)
    crash(tmp_path, None, 0, saved=0)
    crash(tmp_path, 20, 3, saved=4)
    assert len(crashes(tmp_path)) == 3


def test_a_line_that_a_full_disk_tore_costs_no_other(tmp_path: Path) -> None:
    crash(tmp_path, 1, 1, saved=1)
    with (tmp_path / JOURNAL).open("ab") as stream:
        stream.write(b"0badc0de {")
    crash(tmp_path, 1, 2, saved=1)
    assert crashes(tmp_path) == [(1, 1), (1, 2)]


def test_a_process_that_is_gone_has_no_identity(tmp_path: Path) -> None:
    assert identity(2**22 + 1) is None
    assert identity(1) == identity(1) is not None


def test_the_machine_counts_what_it_ended_for_want_of_memory(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("nr_free 9\noom_kill 3\n")
    assert memory_kills(tmp_path / "vmstat") == 3
    assert memory_kills(tmp_path / "nothing") == 0
