"""Choosing the device, its precision and the number of threads."""

import os
import subprocess
import sys

import pytest
import torch

from engine.device import autocast, choose_device, describe_device

CPU = torch.device("cpu")


def test_the_gpu_is_chosen_exactly_where_there_is_one() -> None:
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_numbers_stay_float32_on_a_cpu() -> None:
    with autocast(CPU):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.float32


@pytest.mark.gpu
def test_products_are_bfloat16_on_a_gpu() -> None:
    ones = torch.ones(2, 2, device="cuda")
    with autocast(choose_device()):
        product = ones @ ones
    assert product.dtype == torch.bfloat16


def test_the_cpu_is_described_in_one_sentence() -> None:
    cores = os.cpu_count() or 1
    expected = f"Runs on the CPU ({cores} core{'s' if cores > 1 else ''}, 1 thread used)."
    assert describe_device(CPU) == expected


@pytest.mark.gpu
def test_a_gpu_is_described_by_its_name() -> None:
    assert torch.cuda.get_device_name() in describe_device(choose_device())


@pytest.mark.slow  # a fresh interpreter has to import torch
@pytest.mark.parametrize(("asked", "threads"), [(None, "1"), ("2", "2")])
def test_one_thread_is_used_unless_asked(asked: str | None, threads: str) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {} if asked is None else {"OMP_NUM_THREADS": asked}
    script = "from engine.device import limit_threads; print(limit_threads())"
    finished = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == threads
