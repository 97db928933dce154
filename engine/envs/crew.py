"""Episodes played in order, by this process or by several: the results are those of one.

Everything random about an episode comes from its seed and start, so who plays it does not matter.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from engine.device import limit_threads
from engine.envs.episode import Actor
from engine.protocols import Env

Part = Callable[[Env, Actor], Any]  # one episode: plays it, returns what is wanted of it
Cast = Callable[[], tuple[Env, Actor]]  # what a process plays with

AHEAD = 4  # parts a player that are played before their turn: they wait in memory
MOST_DEATHS = 3
PLAIN = (ValueError, LookupError, OSError)  # sentences for people; by others a process dies


def perform(
    parts: Sequence[Part], env: Env, actor: Actor, *, workers: int, cast: Cast
) -> Generator[Any, None, None]:
    """The results of the parts, in order; nothing is played before it is asked for or about to be.

    Args:
        parts: to be sent to other processes, if there are several workers.
        env, actor: of this process, where it is the only one.
        cast: makes those of another.

    Raises:
        ValueError: three of the processes died.
    """
    if workers == 1 or len(parts) < 2:
        yield from (part(env, actor) for part in parts)
        return
    crew = _Crew(parts, cast, min(workers, len(parts)))
    try:
        for number in range(len(parts)):
            yield crew.result(number)
    finally:
        crew.close()


@dataclass(eq=False)
class _Player:
    process: BaseProcess
    line: "Connection[Any, Any]"
    number: int | None = None  # of the part it plays now


class _Crew:
    """Processes that play parts, each at its own pace; one that dies costs the part it played."""

    def __init__(self, parts: Sequence[Part], cast: Cast, workers: int) -> None:
        self._parts, self._cast = parts, cast
        self._waiting = deque(range(len(parts)))
        self._done: dict[int, Any] = {}
        self._deaths = 0
        self._players = [self._engage() for _ in range(workers)]

    def result(self, number: int) -> Any:
        """What came of a part; the parts before it were asked for already."""
        while number not in self._done:
            self._hand_out(number + AHEAD * len(self._players))
            busy = {player.line: player for player in self._players if player.number is not None}
            for line in wait(list(busy)):
                self._hear(busy[line])  # type: ignore[index]
        found = self._done.pop(number)
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """Let every player go; one in the middle of a part is not waited for."""
        for player in self._players:
            player.line.close()
            player.process.terminate()
            player.process.join()

    def _hand_out(self, end: int) -> None:
        for player in self._players:
            if player.number is None and self._waiting and self._waiting[0] < end:
                player.number = self._waiting.popleft()
                with suppress(BrokenPipeError):  # it has died: it is heard of at once
                    player.line.send(self._parts[player.number])

    def _hear(self, player: _Player) -> None:
        number, player.number = player.number, None
        assert number is not None
        try:
            self._done[number] = player.line.recv()
        except (EOFError, ConnectionResetError):
            self._deaths += 1
            if self._deaths >= MOST_DEATHS:
                raise ValueError(f"{self._deaths} of the processes that play died") from None
            self._waiting.appendleft(number)
            player.process.join()
            self._players[self._players.index(player)] = self._engage()

    def _engage(self) -> _Player:
        # Not forked from here: a renderer and threads do not survive that.
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._cast), daemon=True)
        process.start()
        theirs.close()
        return _Player(process, ours)


def _serve(line: "Connection[Any, Any]", cast: Cast) -> None:
    """Play what is asked for, until the line is cut: also by the death of who asked."""
    limit_threads()
    try:
        env, actor = cast()
    except PLAIN as error:  # said where the first part is asked for
        line.recv()
        line.send(error)
        return
    with closing(env), suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            part = line.recv()
            try:
                result = part(env, actor)
            except PLAIN as error:  # raised again by who asked
                result = error
            line.send(result)
