"""One lock per place to compute at: never held twice, and dreams go first."""

import subprocess
import sys
import threading
from pathlib import Path

from engine.records.file_locks import is_locked, try_hold
from engine.runs.slot import Slot


def test_a_slot_is_held_once(tmp_path: Path) -> None:
    first, second = Slot(tmp_path / "gpu-0.lock"), Slot(tmp_path / "gpu-0.lock")
    first.take()
    waited = threading.Event()
    waiter = threading.Thread(target=second.take, args=(waited.set,))
    waiter.start()
    waited.wait()
    assert is_locked(tmp_path / "gpu-0.lock")
    first.leave()
    waiter.join()
    assert try_hold(tmp_path / "gpu-0.lock") is None
    second.leave()
    assert not is_locked(tmp_path / "gpu-0.lock")


def test_a_worker_gives_way_to_a_turn_and_goes_on_after_it(tmp_path: Path) -> None:
    told: list[str] = []
    worker, page = Slot(tmp_path / "gpu-0.lock"), Slot(tmp_path / "gpu-0.lock")
    worker.take()
    assert not worker.give_way()  # nobody asked

    def dream() -> None:
        for _ in range(3):
            with page.turn():
                told.append("dream")

    dreaming = threading.Thread(target=dream)
    dreaming.start()
    while len(told) < 3:
        worker.give_way()
    dreaming.join()
    assert try_hold(tmp_path / "gpu-0.lock") is None  # the worker has it again
    worker.leave()


def test_work_and_turns_never_overlap(tmp_path: Path) -> None:
    """Two threads note when they compute; whoever finds the other at work says so."""
    at_work, overlaps, done = [0], [0], threading.Event()

    def compute() -> None:
        at_work[0] += 1
        overlaps[0] += at_work[0] > 1
        threading.Event().wait(0.001)
        at_work[0] -= 1

    def train() -> None:
        slot = Slot(tmp_path / "gpu-0.lock")
        slot.take()
        while not done.is_set():
            compute()
            slot.give_way()
        slot.leave()

    worker = threading.Thread(target=train)
    worker.start()
    page = Slot(tmp_path / "gpu-0.lock")
    for _ in range(30):
        with page.turn():
            compute()
    done.set()
    worker.join()
    assert overlaps == [0]


def test_a_killed_holder_frees_its_slot(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from engine.runs.slot import Slot; "
        "s = Slot(Path(sys.argv[1])); s.take(); print('held', flush=True); time.sleep(60)"
    )
    path = tmp_path / "cpu-0.lock"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert is_locked(path)
        holder.kill()
    slot = Slot(path)
    slot.take()
    assert slot.name == "cpu-0"
    slot.leave()
