"""What a sandboxed child gives up before it opens a foreign file: network, programs, other files.

Every measure works without privileges. One that this system lacks is left out, and said so by
`confine`, whose answer the sandbox logs.
"""

import ctypes
import os
import platform
import resource
import struct
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SIGKILL = 9
_EPERM, _ENOSYS = 1, 38

# landlock(7): the same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_WRITE_FILE = 1 << 1
# Everything that changes files, by the version of Landlock that knows it: not reading.
_CHANGES = {1: 0x1FF2, 2: 1 << 13, 3: 1 << 14}
_TCP = {4: 0b11}  # bind, connect
_SCOPES = {6: 0b11}  # abstract sockets, signals

# seccomp(2), and the system calls that no reading of weights needs, by architecture:
# sockets, new processes and programs, signals, ptrace and memory of others, mounts, namespaces,
# rights and owners of files (which Landlock leaves alone), io_uring (which may do it all).
_SECCOMP = {"x86_64": (317, 0xC000003E), "aarch64": (277, 0xC00000B7)}
_CLONE3 = 435
_DENIED = {
    "x86_64": (41, 53, 56, 57, 58, 59, 62, 90, 91, 92, 93, 94, 101, 165, 188, 189, 190, 200, 234,
               248, 250, 260, 268, 272, 298, 304, 308, 310, 311, 321, 322, 323, 425, 434, 452),
    "aarch64": (5, 6, 7, 40, 52, 53, 54, 55, 97, 117, 129, 130, 131, 198, 199, 217, 219, 220, 221,
                241, 265, 268, 270, 271, 280, 281, 282, 425, 434, 452),
}  # fmt: skip


def confine(room: Path) -> list[str]:
    """Give up all but reading files and writing below `room`, for good; to be called first.

    Returns:
        What could not be given up on this system.
    """
    if platform.system() != "Linux":
        return ["files", "system calls"]
    libc = ctypes.CDLL(None, use_errno=True)
    # Who started this process reads its answer: without a reader it must not go on.
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    lacking = []
    if not _restrict_files(libc, room):
        lacking.append("files")
    if not _restrict_system_calls(libc):
        lacking.append("system calls")
    return lacking


def limit(*, memory_bytes: int, cpu_seconds: int, file_bytes: int) -> None:
    """Set limits above what the process uses by now: address space, CPU time, size of a file."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_seconds = int(usage.ru_utime + usage.ru_stime) + 1
    _set(resource.RLIMIT_AS, _mapped_bytes() + memory_bytes)
    # One second between the signal that says why and the kill.
    _set(resource.RLIMIT_CPU, used_seconds + cpu_seconds, used_seconds + cpu_seconds + 1)
    _set(resource.RLIMIT_FSIZE, file_bytes)
    _set(resource.RLIMIT_NOFILE, 64)
    _set(resource.RLIMIT_NPROC, 0)
    _set(resource.RLIMIT_CORE, 0)


def _mapped_bytes() -> int:
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else 0


def _set(which: int, soft: int, hard: int | None = None) -> None:
    """No limit is ever raised: the system's own may be lower."""
    _, highest = resource.getrlimit(which)
    if highest == resource.RLIM_INFINITY:
        highest = max(soft, hard or 0)
    resource.setrlimit(which, (min(soft, highest), min(hard or soft, highest)))


def _restrict_files(libc: ctypes.CDLL, room: Path) -> bool:
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    changes, tcp, scopes = (_keep_known(rights, version) for rights in (_CHANGES, _TCP, _SCOPES))
    handled = struct.pack("=QQQ", changes, tcp, scopes)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    for path, rights in ((room, changes), (Path(os.devnull), _WRITE_FILE)):
        beneath = os.open(path, os.O_PATH)
        rule = struct.pack("=Qi", rights, beneath)
        if libc.syscall(_ADD_RULE, ruleset, 1, rule, 0) < 0:
            return False
    return libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0


def _keep_known(rights: dict[int, int], version: int) -> int:
    return sum(bits for since, bits in rights.items() if since <= version)


def _restrict_system_calls(libc: ctypes.CDLL) -> bool:
    machine = platform.machine()
    if machine not in _SECCOMP:
        return False
    seccomp, architecture = _SECCOMP[machine]
    program = _program(architecture, _DENIED[machine])
    filter_ = ctypes.create_string_buffer(program)
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(filter_))
    return libc.syscall(seccomp, 1, 1, header) == 0  # a filter, for all threads


def _program(architecture: int, denied: tuple[int, ...]) -> bytes:
    """A BPF filter: what is denied fails with EPERM; another architecture ends the process."""
    load, jump_if_equal, jump_if_at_least, answer = 0x20, 0x15, 0x35, 0x06
    kill, fail, allow = 0x80000000, 0x00050000, 0x7FFF0000
    steps = [
        (load, 0, 0, 4),
        (jump_if_equal, 1, 0, architecture),
        (answer, 0, 0, kill),
        (load, 0, 0, 0),
        (jump_if_at_least, 0, 1, 0x40000000),  # x86's second table of system calls
        (answer, 0, 0, fail | _EPERM),
        # "No such call" makes the C library fall back to calls that are denied above.
        (jump_if_equal, 0, 1, _CLONE3),
        (answer, 0, 0, fail | _ENOSYS),
    ]
    for number in denied:
        steps += [(jump_if_equal, 0, 1, number), (answer, 0, 0, fail | _EPERM)]
    steps.append((answer, 0, 0, allow))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
