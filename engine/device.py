"""The device is chosen once, by whoever composes the objects; the rest follows its inputs.

torch is loaded when it is asked: it takes a second, and a job without models does without.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    import torch

VARIABLE = "WMPO_DEVICE"
DTYPES = ("float32", "bfloat16")
_KNOWN_DEVICES = ("cpu", "cuda")
_CGROUPS = Path("/sys/fs/cgroup")
_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # cgroup v2, v1
_USED = ("memory.current", "memory/memory.usage_in_bytes")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """How models lie on a device: one object for all of a run's. The defaults are the CPU's.

    Attributes:
        device: `cpu`, `cuda`, or the name of another device that torch knows.
        dtype: of the parameters, a name in `DTYPES`; what is trained keeps float32 parameters and
            computes in it. Times, positions, rotary frequencies, the sampler's latents, logits
            and probabilities stay float32 (method.md facts 2, 9).
        decode_batch: frames decoded in one call; 0 leaves the checkpoint's own micro-batch. Part
            of what fixes a dream's bits.
        offload: the policy's language layers stay in main memory and visit the device in turn.
        compiled: `torch.compile` for the world model's denoising step.
    """

    device: str = "cpu"
    dtype: str = "float32"
    decode_batch: int = 0
    offload: bool = False
    compiled: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Placement":
        """From plain values.

        Raises:
            ValueError: an unknown name, or a placement that cannot be.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"a placement has {', '.join(known)}, but no {', '.join(unknown)}")
        return cls(**values)

    def __post_init__(self) -> None:
        if not _is_device(self.device) or self.dtype not in DTYPES or self.decode_batch < 0:
            raise ValueError(
                f"models are placed on cpu, cuda or another device of torch, in "
                f"{' or '.join(DTYPES)}, decoding 0 or more frames at a time, not {self.device}, "
                f"{self.dtype}, {self.decode_batch}"
            )

    @property
    def where(self) -> "torch.device":
        """The device itself."""
        import torch

        return torch.device(self.device)

    @property
    def precision(self) -> "torch.dtype":
        """The dtype itself."""
        return precision(self.dtype)

    @property
    def mixed(self) -> "torch.dtype | None":
        """What a model whose parameters stay float32 computes in, where that is less; else None."""
        return None if self.dtype == "float32" else self.precision


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """What a device has, in bytes.

    Attributes:
        kind: `cpu` or `cuda`.
        name: for a person.
        free: what a new model may take.
    """

    kind: str
    name: str
    total: int
    free: int


def precision(dtype: str) -> "torch.dtype":
    """A dtype by its name in `DTYPES`."""
    import torch

    found: torch.dtype = getattr(torch, dtype)
    return found


def choose_device() -> "torch.device":
    """A CUDA GPU where there is one, else the CPU; the CPU, too, where WMPO_DEVICE says `cpu`."""
    import torch

    wanted = os.environ.get(VARIABLE) != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if wanted else "cpu")


def _is_device(name: str) -> bool:
    if name in _KNOWN_DEVICES:
        return True
    import torch

    try:
        return torch.device(name).type != "meta"
    except RuntimeError:
        return False


def slot_names() -> tuple[str, ...]:
    """Where workers compute: at each GPU, or else at one place on the CPU."""
    if choose_device().type == "cpu":
        return ("cpu-0",)
    import torch

    return tuple(f"gpu-{index}" for index in range(torch.cuda.device_count()))


def default_placement(device: "torch.device") -> Placement:
    """bfloat16 on CUDA, as the released models were trained and run; float32 on a CPU."""
    if device.type == "cuda":
        return Placement(device="cuda", dtype="bfloat16")
    return Placement()


def device_memory(device: "torch.device", *, cgroups: Path = _CGROUPS) -> DeviceMemory:
    """Total and free memory of a GPU, or of this machine within its control group's limit.

    Devices of other kinds count as if they computed in this machine's memory.
    """
    if device.type == "cuda":
        import torch

        free, total = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        name = torch.cuda.get_device_properties(device).name
        return DeviceMemory(kind="cuda", name=name, total=total, free=free + cached)
    memory = psutil.virtual_memory()
    total, free = memory.total, memory.available
    limit, used = _first_number(cgroups, _LIMITS), _first_number(cgroups, _USED)
    if limit is not None and limit < total:
        total, free = limit, min(free, limit - (used or 0))
    return DeviceMemory(kind="cpu", name="the CPU", total=total, free=max(0, free))


def _first_number(folder: Path, names: tuple[str, ...]) -> int | None:
    for name in names:
        path = folder / name
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            return int(text)
    return None


def autocast(device: "torch.device", dtype: "torch.dtype | None") -> AbstractContextManager[object]:
    """Matrix products in `dtype` while parameters keep float32 (`Placement.mixed`); None: as is."""
    if dtype is None:
        return nullcontext()
    import torch

    return torch.autocast(device.type, dtype=dtype)


def limit_threads() -> int:
    """Give this process one torch thread, unless `OMP_NUM_THREADS` asks for another number.

    Two busy threads on two loaded cores were 13 times slower than one (design.md §7).

    Returns:
        The number of threads in force.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    return torch.get_num_threads()
