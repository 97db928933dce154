"""Several processes that play: the results of one, whoever dies."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from engine.crew.crew import perform
from engine.envs.episode import Actor, play_outcome
from engine.protocols import Env
from tests.fakes import CountingEnv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Still:
    """Does nothing."""

    policy_hash = None

    def begin(self, start_id: int, seed: int) -> None:
        """There is nothing to get ready."""

    def needs_frame(self, step: int) -> bool:
        return False

    def act(self, frame: object, step: int) -> object:
        return [0.0] * 4

    def arrays(self) -> dict[str, object]:
        return {}


def cast() -> tuple[Env, Actor]:
    return CountingEnv(), Still()  # type: ignore[return-value]


def name_it(env: Env, actor: Actor, *, number: int) -> tuple[int, int]:
    return number, play_outcome(env, actor, start_id=number, seed=0).end_step


def die_once(env: Env, actor: Actor, *, mark: Path) -> str:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "played"


def fail(env: Env, actor: Actor) -> None:
    raise ValueError("the task cannot be played")


def test_results_come_in_order_and_are_those_of_one_process() -> None:
    parts = [partial(name_it, number=number) for number in range(9)]
    alone = list(perform(parts, cast, workers=1))
    assert alone == [(number, 5) for number in range(9)]
    assert list(perform(parts, cast, workers=3)) == alone


def test_a_process_that_dies_costs_only_its_part_which_is_played_again(tmp_path: Path) -> None:
    parts = [partial(die_once, mark=tmp_path / "dead"), partial(name_it, number=1)]
    assert list(perform(parts, cast, workers=2)) == ["played", (1, 5)]


def test_what_goes_wrong_in_a_process_is_raised_here() -> None:
    with pytest.raises(ValueError, match="cannot be played"):
        list(perform([fail, fail], cast, workers=2))


def die(env: Env, actor: Actor) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_processes_that_keep_dying_end_the_run_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="3 workers died one after the other"):
        list(perform([die, die], cast, workers=2))
