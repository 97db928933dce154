"""Stages that do not need each other at once, each a run in a process of its own.

A process that dies costs what its stage did since its last checkpoint; it is begun again there.
"""

import errno
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from engine.crew.crew import BREATH, MOST_DEATHS
from engine.crew.processes import end_with_parent, forking
from engine.crew.worker import PLAIN
from engine.device import Placement, limit_threads
from engine.records.events import read_events
from engine.records.room import is_full
from engine.runs.control import write_control
from engine.runs.heartbeat import read_heartbeat
from engine.runs.run_directory import RunDirectory
from engine.runs.stages import finished_result, perform, prepare_stage, tell_parent

ENDED, FAILED, NO_ROOM = 0, 1, 74  # exit codes


@dataclass
class _Child:
    process: BaseProcess
    work: Callable[[], None]
    directory: Path
    offset: int  # how far its log was passed on
    moved: float = 0.0
    saved: int = 0
    deaths: int = 0
    error: str = ""


class SideBySide:
    """Stages of a study in processes, its log in the study's log and its wishes obeyed."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._children: dict[str, _Child] = {}

    @property
    def names(self) -> list[str]:
        """The stages that are computed now."""
        return list(self._children)

    def begin(self, name: str, job: str, options: Mapping[str, Any], directory: Path) -> None:
        """Start a stage, or go on with it.

        Raises:
            ValueError: the directory holds a run with other options.
        """
        prepare_stage(name, job, options, directory)
        write_control(directory, "run")
        log = directory / "events.jsonl"
        offset = log.stat().st_size if log.is_file() else 0
        work = partial(_work, directory, job, dict(options), self._run.placement)
        self._children[name] = _Child(_started(work), work, directory, offset)

    def ended(self) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """(stage, what it returned) of those that ended since: None if asked to stop or to pause.

        Waits until one does, or for a second.

        Raises:
            ValueError: a stage failed, or its process was killed again and again.
        """
        wait([child.process.sentinel for child in self._children.values()], BREATH)
        for name, child in list(self._children.items()):
            if self._run.control != "run":
                write_control(child.directory, self._run.control)
            gone = child.process.exitcode
            self._pass_on(name, child)
            if gone is None:
                continue
            if gone != ENDED:
                self._mourn(name, child, gone)
                continue
            del self._children[name]
            yield name, finished_result(child.directory)

    def close(self) -> None:
        """End what is still computed."""
        for child in self._children.values():
            child.process.kill()
            child.process.join()

    def _pass_on(self, name: str, child: _Child) -> None:
        for offset, event in read_events(child.directory / "events.jsonl", child.offset):
            child.offset = offset
            child.error = event.get("error", child.error)
            tell_parent(name, event, self._run)
        beat = read_heartbeat(child.directory)
        if beat is None or beat.moved <= child.moved:
            return
        self._run.heartbeat.saved(max(0, beat.saved - child.saved))
        self._run.heartbeat.move()
        child.moved, child.saved = beat.moved, beat.saved

    def _mourn(self, name: str, child: _Child, status: int) -> None:
        if status == NO_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(child.directory))
        child.deaths += 1
        if status > 0 or child.deaths > MOST_DEATHS:
            raise ValueError(f"stage {name}: {child.error or f'ended with exit code {status}'}")
        self._run.alarm(f"{name}: its process was killed ({status}); it is begun again")
        child.process = _started(child.work)


def _started(work: Callable[[], None]) -> BaseProcess:
    process = forking(_work).Process(target=work)
    process.start()
    return process


def _work(directory: Path, job: str, options: Mapping[str, Any], placement: Placement) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # the study hears them, and asks to pause
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    limit_threads()
    run = RunDirectory(directory)
    run.heartbeat.begin()
    run.place(placement)
    try:
        perform(run, job, options)
    except PLAIN as error:  # anything else ends the process, and is told on stderr
        if is_full(error):
            os._exit(NO_ROOM)
        run.state("failed", error=str(error))
        os._exit(FAILED)
    finally:
        run.close()
