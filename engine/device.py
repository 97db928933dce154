"""The device is chosen once, by whoever composes the objects; the rest follows its inputs."""

import os
from contextlib import AbstractContextManager, nullcontext

import torch


def choose_device() -> torch.device:
    """A CUDA GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 autocast on CUDA; float32 as it is everywhere else."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def limit_threads() -> int:
    """Give this process one torch thread, unless `OMP_NUM_THREADS` asks for another number.

    Two busy threads on two loaded cores were 13 times slower than one (design.md §7).

    Returns:
        The number of threads in force.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    return torch.get_num_threads()


def describe_device(device: torch.device) -> str:
    """One plain sentence for a person, such as "Runs on the CPU (2 cores, 1 thread used)."."""
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        return f"Runs on one {card.name} ({card.total_memory / 2**30:.0f} GiB)."
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    return f"Runs on the CPU ({_counted(cores, 'core')}, {_counted(threads, 'thread')} used)."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
