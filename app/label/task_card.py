"""What counts on a task: the rule in words, examples of both outcomes, and clips to practise on.

All of them are real episodes, whose outcome the simulator knows; nothing of it is stored.
"""

from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypedDict

from app.label.room import LabelRoom
from engine.config import Config, knob
from engine.records.tasks import get_task

NUM_EXAMPLES, NUM_PRACTICE = 2, 5
MOST = 50  # real episodes of each outcome that are looked through


@dataclass(frozen=True, kw_only=True)
class OneTask(Config):
    """A task by its name."""

    task: str = knob(help="its name", high=80)


class TaskCard(TypedDict):
    """The rule, ids of examples of each outcome, and ids of clips to practise on."""

    rule: str
    success: list[str]
    fail: list[str]
    practice: list[str]


def task_card(room: LabelRoom, question: OneTask) -> TaskCard:
    """What an annotator of the task sees before the first clip.

    Practice takes other clips than the examples, of both kinds; where there are none of a kind, or
    too few at all, examples come again.
    """
    success, fail = (_known(room, question.task, outcome=outcome) for outcome in (True, False))
    fresh = _mixed(fail[NUM_EXAMPLES:] or fail, success[NUM_EXAMPLES:] or success)
    again = [name for name in _mixed(success, fail) if name not in fresh]
    return {
        "rule": _rule(question.task),
        "success": success[:NUM_EXAMPLES],
        "fail": fail[:NUM_EXAMPLES],
        "practice": [*fresh, *again][:NUM_PRACTICE],
    }


def _known(room: LabelRoom, task: str, *, outcome: bool) -> list[str]:
    found = room.episodes.gallery.records(
        order="by id", limit=MOST, task=task, imagined=False, judged=True, success=outcome
    )
    return [record["id"] for record in found]


def _rule(task: str) -> str:
    with suppress(ValueError):  # a task of elsewhere, of which only recordings are known
        return get_task(task).rule
    return ""


def _mixed(first: list[str], second: list[str]) -> list[str]:
    pairs = zip_longest(first, second)
    return [name for pair in pairs for name in pair if name is not None]
