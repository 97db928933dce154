"""Worker processes: started apart from the app, known again later, ended with what they started."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

CHECKOUT = Path(__file__).resolve().parents[2]
# What a worker may know of the app's environment: no cookies, no keys, and no token but the one
# that a run's own world model asks for.
PASSED_ON = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "XDG_RUNTIME_DIR"),
    *("MUJOCO_GL", "PYOPENGL_PLATFORM", "CUDA_VISIBLE_DEVICES", "WMPO_DATA_DIR"),
    *("WMPO_DEVICE", "WMPO_WORLD_MODEL_TOKEN"),
)


MEMORY_SECONDS = 30.0  # a process takes a while to end after it was counted as ended


@dataclass
class Worker:
    """A living worker process; one that was adopted is not our child and has no `process`.

    Attributes:
        pid, slot: None for a run on the command line, which is watched but not owned.
        since: when this supervisor first saw it.
        memory_kills: as the machine counted them a while before the worker was last seen alive.
        standstill: what it was last said to be, such as `stalled`.
        asked: when it was first asked to end, and when it was told by a signal.
    """

    pid: int | None
    slot: str | None
    since: float
    memory_kills: int
    process: "subprocess.Popen[bytes] | None" = None
    standstill: str = ""
    asked: dict[str, float] = field(default_factory=dict)
    _counted: tuple[int, float] | None = None

    def count_memory_kills(self, kills: int, now: float) -> None:
        """Remember how many there were, for a comparison half a minute later."""
        if self._counted is None or now - self._counted[1] > MEMORY_SECONDS:
            if self._counted is not None:
                self.memory_kills = self._counted[0]
            self._counted = (kills, now)


def start(
    command: Sequence[str], directory: Path, environ: Mapping[str, str], slot: Path
) -> "subprocess.Popen[bytes]":
    """Start the worker of a run directory in a session of its own; the app goes first always."""
    environment = {name: environ[name] for name in PASSED_ON if name in environ} | {
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(CHECKOUT),
        "WMPO_SLOT": str(slot),
    }
    kind, _, number = slot.stem.partition("-")
    if kind == "gpu":
        visible = [name for name in environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        environment["CUDA_VISIBLE_DEVICES"] = visible[int(number)] if visible else number
    with (directory / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [*command, str(directory)],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            close_fds=True,
        )
    _stand_back(process.pid)
    return process


def identity(pid: int) -> str | None:
    """What tells a living process from others that have, had or will have its pid.

    Counted in ticks since the machine started, because the time of day may be changed.
    """
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return None
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists():
            return str(psutil.Process(pid).create_time())
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {stat.read_text().rpartition(')')[2].split()[19]}"
    except (psutil.Error, OSError):
        return None  # it has ended


def leads_group(pid: int) -> bool:
    """Whether a process is the first of a group of its own, as workers are."""
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a worker and to all that it started."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return  # all ended in the meantime


def end_group(pid: int) -> None:
    """End what a worker that has ended left behind."""
    signal_group(pid, signal.SIGKILL)


def end_leftovers(pid: int, locks: Path) -> None:
    """End what a worker left behind that died while nobody watched.

    Its pid may mean others by now: only those are ended that were started for one of our slots.

    Args:
        locks: where the locks of the slots lie.
    """
    for process in psutil.process_iter():
        try:
            ours = os.getpgid(process.pid) == pid
            if ours and Path(process.environ().get("WMPO_SLOT", "")).parent == locks:
                process.kill()
        except (psutil.Error, OSError):
            continue  # it has ended, or is somebody else's


def memory_kills(vmstat: Path = Path("/proc/vmstat")) -> int:
    """How many processes this machine ended for want of memory since it started; 0 if unknown."""
    if not vmstat.exists():
        return 0
    words = (line.split() for line in vmstat.read_text().splitlines())
    return next((int(count) for name, count in words if name == "oom_kill"), 0)


def _stand_back(pid: int) -> None:
    """Lower priority than the app's, and first in line when memory runs out."""
    try:
        psutil.Process(pid).nice(10)
        Path(f"/proc/{pid}/oom_score_adj").write_text("500")
    except (psutil.Error, OSError):
        return  # it has ended already, or this system has no such file
