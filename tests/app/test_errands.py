"""Errands: one at a time, followed, called off, and honest about how they ended."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.runs.errands import MOST_WAITING, Errands, Progress
from app.web.questions import ask

PATIENCE = 20


class Gate:
    """An errand that goes on when the test says so."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def work(self, progress: Progress) -> dict[str, Any]:
        progress(1, 2)
        self.begun.set()
        assert self.go.wait(PATIENCE)
        progress(2, 2)
        return {"text": "made"}


@pytest.fixture
def errands() -> Iterator[Errands]:
    errands = Errands()
    yield errands
    errands.close()


def ended(errands: Errands, name: str) -> dict[str, Any]:
    pause = threading.Event()
    while errands.get(name)["state"] in ("queued", "running"):
        pause.wait(0.005)
    return errands.get(name)


def test_an_errand_is_followed_from_the_queue_to_its_result(errands: Errands) -> None:
    first, second = Gate(), Gate()
    one = errands.start("export", "one", first.work, unit="episodes")["id"]
    two = errands.start("export", "two", second.work)["id"]
    assert first.begun.wait(PATIENCE)
    assert (errands.get(one)["state"], errands.get(one)["done"]) == ("running", 1)
    assert errands.get(two)["state"] == "queued"
    first.go.set()
    second.go.set()
    assert ended(errands, one) | {"at": 0} == {
        "id": one,
        "kind": "export",
        "title": "one",
        "unit": "episodes",
        "state": "done",
        "done": 2,
        "total": 2,
        "result": {"text": "made"},
        "error": "",
        "at": 0,
    }
    ended(errands, two)
    assert [record["title"] for record in errands.all()] == ["two", "one"]


def test_an_errand_that_is_called_off_stops_at_its_next_step(errands: Errands) -> None:
    gate, waiting = Gate(), Gate()
    one = errands.start("export", "one", gate.work)["id"]
    two = errands.start("export", "two", waiting.work)["id"]
    assert gate.begun.wait(PATIENCE)
    ask(errands.cancel, {"id": one})
    ask(errands.cancel, {"id": two})
    gate.go.set()
    assert ended(errands, one)["state"] == ended(errands, two)["state"] == "cancelled"
    assert not waiting.begun.is_set()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("no episode fits"), "no episode fits"),
        (LookupError("there is no run"), "there is no run"),
        (OSError(28, "No space left on device"), "the disk or the network failed: No space left"),
        (ZeroDivisionError("a defect"), "something went wrong here: the log says what"),
    ],
)
def test_what_went_wrong_is_one_sentence(errands: Errands, error: Exception, sentence: str) -> None:
    def work(progress: Progress) -> dict[str, Any]:
        raise error

    found = ended(errands, errands.start("export", "one", work)["id"])
    assert found["state"] == "failed"
    assert found["error"].startswith(sentence)


def test_only_so_many_wait(errands: Errands) -> None:
    gate = Gate()
    for _ in range(MOST_WAITING):
        errands.start("export", "one", gate.work)
    with pytest.raises(ValueError, match="8 things are waiting already"):
        errands.start("export", "one more", gate.work)
    gate.go.set()


def test_an_unknown_errand_is_said_to_be(errands: Errands) -> None:
    with pytest.raises(LookupError, match="no longer knows this errand"):
        errands.get("lost")
