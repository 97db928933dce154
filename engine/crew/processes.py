"""Workers that are processes of this machine."""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.crew.worker import Cast, Dead, Hands, Part

# Of what work on models needs, what takes longest to import; named, so that nobody else waits.
IMPORTED = "transformers.models.llama.modeling_llama"


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    line: "Connection[Any, Any]"


@dataclass(frozen=True)
class OnDisk:
    """Tensors in a file that is there until the next are shared."""

    path: Path

    def get(self) -> dict[str, Tensor]:
        """The tensors, kept in memory as long as no others are asked for."""
        return _read(self.path)


@lru_cache(maxsize=1)
def _read(path: Path) -> dict[str, Tensor]:
    return load_file(path)


class Processes:
    """A `Workplace` of processes: each has a stage of its own and one torch thread."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._workers: list[_Worker] = []
        self._folder = tempfile.TemporaryDirectory(prefix="wmpo-crew-", ignore_cleanup_errors=True)
        self._shared = 0

    def engage(self) -> _Worker:
        """One more process."""
        context = forking(self._cast)
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._cast), daemon=True)
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))
        return self._workers[-1]

    def hand(self, worker: _Worker, part: Part) -> None:
        """Send a part; of a process that has died one hears at once."""
        with suppress(BrokenPipeError):
            worker.line.send(part)

    def hear(self, busy: Sequence[_Worker], seconds: float) -> list[tuple[_Worker, Any]]:
        """Results that have come; those of the dead are their deaths."""
        lines = {worker.line: worker for worker in busy}
        ready = [lines[line] for line in wait(list(lines), seconds)]  # type: ignore[index]
        return [(worker, self._result(worker)) for worker in ready]

    def share(self, tensors: Mapping[str, Tensor]) -> OnDisk:
        """Write them once; each process reads them when it first meets them."""
        self._shared += 1
        path = Path(self._folder.name) / str(self._shared)
        save_file(dict(tensors), path)
        (path.parent / str(self._shared - 1)).unlink(missing_ok=True)
        return OnDisk(path)

    def close(self) -> None:
        """End every process."""
        for worker in self._workers:
            worker.line.close()
            worker.process.terminate()
            worker.process.join()
        self._folder.cleanup()

    def _result(self, worker: _Worker) -> Any:
        try:
            return worker.line.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            self._workers.remove(worker)
            return Dead(f"exit code {worker.process.exitcode}")


def forking(work: Callable[..., Any]) -> ForkServerContext:
    """How processes are started: forked from one that has drawn nothing and begun no thread.

    From now on it imports what work on models of ours needs, beside whatever is done here.
    """
    context = get_context("forkserver")
    origin = getattr(work, "func", work).__module__
    is_ours = origin.partition(".")[0] == __name__.partition(".")[0]
    context.set_forkserver_preload([__name__, origin, *([IMPORTED] if is_ours else [])])
    ensure_running()
    return context


def _serve(line: "Connection[Any, Any]", cast: Cast) -> None:
    """Do what is asked for, until the line is cut; who asked may die in the middle of a part."""
    end_with_parent()
    hands = Hands(cast)
    try:
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            while True:
                line.send(hands.play(line.recv()))
    finally:
        hands.close()


def end_with_parent() -> None:
    """From now on this process ends with the one that started it, however that ends."""

    def follow() -> None:
        parent = parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    Thread(target=follow, daemon=True).start()
