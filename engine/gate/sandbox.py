"""A child process that does one thing with a foreign file, and may be killed at any moment.

The child runs its own isolated interpreter with an empty environment in a room of its own, gives
up what `confinement` names, and answers with one JSON object.
"""

import importlib
import json
import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.gate.confinement import confine, limit
from engine.gate.verdict import Reason, RefusedError, quoted

_PACKAGES = Path(__file__).resolve().parents[2]
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from engine.gate.sandbox import enter; enter(*sys.argv[2:])"
)
_ANSWER_BYTES = 1 << 16

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a child may use above what its imports took."""

    memory_bytes: int
    cpu_seconds: int
    file_bytes: int = 0

    @property
    def wall_seconds(self) -> int:
        """When a child that waits instead of working is given up: imports included."""
        return 120 + 20 * self.cpu_seconds


def decoding_seconds(size: int) -> int:
    """CPU seconds for a child that unpacks a file of `size` bytes: a small one ends in seconds,
    whatever it asks for; many frames lie in a megabyte of video.
    """
    return min(120, 6 + size // 250_000)


def run(module: str, arguments: list[str], *, room: Path, allowance: Allowance) -> dict[str, Any]:
    """Call `main(arguments)` of a module in a sandboxed child that can write only below `room`.

    Returns:
        What `main` returned, as JSON carries it.

    Raises:
        RefusedError: what the child says, or how it ended.
    """
    command = [
        sys.executable, "-I", "-c", _START, str(_PACKAGES), str(os.getpid()), str(room), module,
        json.dumps([allowance.memory_bytes, allowance.cpu_seconds, allowance.file_bytes]),
        *arguments,
    ]  # fmt: skip
    with (room / "answer").open("w+b") as answer, (room / "complaint").open("w+b") as complaint:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=answer, stderr=complaint,
            cwd=room, env=_environment(room), start_new_session=True,
        )  # fmt: skip
        try:
            status = child.wait(allowance.wall_seconds)
        except subprocess.TimeoutExpired:
            status = -signal.SIGXCPU
        finally:
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        answer.seek(0)
        complaint.seek(0)
        said = answer.read(_ANSWER_BYTES).decode("utf-8", "replace")
        complained = complaint.read(_ANSWER_BYTES).decode("utf-8", "replace")
    if status != 0:
        raise _explain_end(status, complained)
    return _answer(said)


def enter(parent: str, room: str, module: str, allowance: str, *arguments: str) -> None:
    """In the child: give up rights, import the module, set the limits, do the work, answer."""
    lacking = confine(Path(room))
    if os.getppid() != int(parent):
        return  # who asked was killed before this process could ask to die with it
    main = importlib.import_module(module).main
    memory_bytes, cpu_seconds, file_bytes = json.loads(allowance)
    limit(memory_bytes=memory_bytes, cpu_seconds=cpu_seconds, file_bytes=file_bytes + _ANSWER_BYTES)
    try:
        answer = {"lacking": lacking, "result": main(list(arguments))}
    except RefusedError as refusal:
        answer = {"lacking": lacking, "refusal": [refusal.reason, refusal.sentence]}
    sys.stdout.write(json.dumps(answer))


def _environment(room: Path) -> dict[str, str]:
    """Nothing of ours: no token, no proxy, no home."""
    one_thread = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {
        "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(room), "TMPDIR": str(room),
        "HF_HUB_OFFLINE": "1", **dict.fromkeys(one_thread, "1"),
    }  # fmt: skip


def _answer(said: str) -> dict[str, Any]:
    """The child has seen foreign bytes: its answer is read with the same distrust."""
    try:
        answer = json.loads(said)
        if answer["lacking"]:
            logger.warning("the sandbox cannot restrict %s here", " and ".join(answer["lacking"]))
        if "refusal" in answer:
            reason, sentence = answer["refusal"]
            raise RefusedError(Reason(reason), str(sentence))
        result: dict[str, Any] = answer["result"]
    except RefusedError:
        raise
    except (ValueError, LookupError, TypeError) as error:
        raise RefusedError(
            Reason.CRASHED, "made the process that read it answer nonsense"
        ) from error
    return result


def _explain_end(status: int, complained: str) -> RefusedError:
    """Why a child ended without an answer."""
    last = (complained.strip().splitlines() or [""])[-1]
    if status == -signal.SIGXCPU:
        return RefusedError(Reason.TOO_SLOW, "took too long to read and was given up")
    if status < 0:
        return RefusedError(
            Reason.CRASHED, "crashed the process that read it, which was a separate one"
        )
    if "MemoryError" in last or "memory" in last.lower():
        return RefusedError(
            Reason.TOO_MUCH_MEMORY, "needs far more memory than a file of its size may"
        )
    return RefusedError(Reason.UNREADABLE, f"cannot be read: {quoted(last)}")
