"""Sentences about workers that stand still or have ended."""

from pathlib import Path

import pytest

from app.runs.verdicts import cause_of_end, standstill
from engine.runs.heartbeat import Beat

LIMITS = {"stalled": 120.0, "hung": 60.0}


def beat(*, beats: float, moves: float, pace: float = 0.0) -> Beat:
    return Beat(pid=1, beat=beats, moved=moves, pace=pace)


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (beat(beats=999.0, moves=990.0), ""),
        (beat(beats=999.0, moves=800.0, pace=11.0), ""),
        (beat(beats=999.0, moves=800.0), "stalled: the worker lives, but made no progress for 2 "),
        (beat(beats=900.0, moves=900.0), "hung: the worker has not answered for 60 seconds"),
        (None, "hung: "),
    ],
)
def test_a_worker_that_stands_still_is_told_from_one_that_is_slow(
    seen: Beat | None, sentence: str
) -> None:
    found = standstill(seen, now=1000.0, since=0.0, **LIMITS)
    assert found.startswith(sentence) and bool(found) == bool(sentence)


def test_what_was_before_it_was_first_seen_does_not_count(tmp_path: Path) -> None:
    assert standstill(beat(beats=1.0, moves=1.0), now=1000.0, since=990.0, **LIMITS) == ""


def test_the_ends_of_a_worker_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("Traceback\nImportError: no module named wings\n\n")
    causes = {
        (-9, True): "the worker ran out of memory and the system ended it",
        (None, True): "the worker ran out of memory and the system ended it",
        (-9, False): "the worker was killed",
        (-11, True): "the worker was ended by signal 11",
        (1, True): "the worker ended unexpectedly (ImportError: no module named wings)",
    }
    for (status, short), sentence in causes.items():
        assert cause_of_end(status, tmp_path, out_of_memory=short) == sentence
