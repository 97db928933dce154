"""The heartbeat file: what a worker's last moment can be known by."""

import threading
from pathlib import Path

from engine.runs.heartbeat import NAME, Heartbeat, read_heartbeat
from engine.runs.run_directory import RunDirectory


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_boundaries_are_counted_from_a_checkpoint_and_paced(tmp_path: Path) -> None:
    clock = Clock()
    heartbeat = Heartbeat(tmp_path, clock=clock)
    for gap in (1.0, 2.0, 2.0, 9.0):
        clock.now += gap
        heartbeat.turn()
    heartbeat.count_from(40)
    heartbeat.turn()
    heartbeat.saved(3)
    clock.now += 5.0
    heartbeat.move()
    beat = read_heartbeat(tmp_path)
    heartbeat.close()
    assert beat is not None
    assert (beat.step, beat.turns, beat.saved, beat.pace) == (40, 1, 3, 2.0)
    assert (beat.moved, beat.beat) == (119.0, 119.0)


def test_the_thread_beats_though_the_job_does_not_move(tmp_path: Path) -> None:
    clock = Clock()
    heartbeat = Heartbeat(tmp_path, clock=clock)
    clock.now += 1.0
    heartbeat.begin(0.001)
    while (beat := read_heartbeat(tmp_path)) is None or beat.beat < 101.0:
        threading.Event().wait(0.001)
    heartbeat.close()
    assert beat.moved == 100.0


def test_the_file_never_grows_so_that_a_full_disk_takes_the_last_word(tmp_path: Path) -> None:
    heartbeat = Heartbeat(tmp_path)
    before = (tmp_path / NAME).stat().st_size
    heartbeat.no_room("9 MB are to be saved, 3 MB are free" * 100)
    heartbeat.close()
    beat = read_heartbeat(tmp_path)
    assert (tmp_path / NAME).stat().st_size == before
    assert beat is not None and beat.no_room.startswith("9 MB are to be saved, 3 MB are free")


def test_no_heartbeat_and_a_damaged_one_are_none(tmp_path: Path) -> None:
    assert read_heartbeat(tmp_path) is None
    (tmp_path / NAME).write_bytes(b"00000000 {}\n")
    assert read_heartbeat(tmp_path) is None


def test_the_place_of_a_crash_is_the_same_for_a_resumed_attempt(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with run.checkpoint(1):
        pass
    places = []
    for _ in range(2):
        run.latest_checkpoint()
        assert not run.stop_requested
        run.give_way()
        beat = read_heartbeat(tmp_path)
        assert beat is not None
        places.append((beat.step, beat.turns))
        run.close()
        run = RunDirectory(tmp_path)
    run.close()
    assert places == [(1, 2), (1, 2)]
