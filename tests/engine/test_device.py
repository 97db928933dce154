"""Choosing the device, its precision and the number of threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine.device import (
    Placement,
    autocast,
    choose_device,
    default_placement,
    device_memory,
)

CPU = torch.device("cpu")


def test_the_gpu_is_chosen_exactly_where_there_is_one() -> None:
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_what_is_trained_computes_in_float32_unless_the_placement_says_less() -> None:
    ones = torch.ones(2, 2)
    for placement, dtype in (
        (Placement(), torch.float32),
        (Placement(dtype="bfloat16"), torch.bfloat16),
    ):
        with autocast(placement.where, placement.mixed):
            assert (ones @ ones).dtype == dtype


@pytest.mark.gpu
def test_products_are_bfloat16_on_a_gpu() -> None:
    placement = default_placement(choose_device())
    ones = torch.ones(2, 2, device=placement.where)
    with autocast(placement.where, placement.mixed):
        assert (ones @ ones).dtype == torch.bfloat16


def test_a_cpu_keeps_float32_and_a_gpu_takes_bfloat16() -> None:
    assert default_placement(CPU) == Placement(device="cpu", dtype="float32")
    assert default_placement(torch.device("cuda")) == Placement(device="cuda", dtype="bfloat16")


@pytest.mark.parametrize(
    "wrong", [{"device": "tpu"}, {"device": "meta"}, {"dtype": "float8"}, {"decode_batch": -1}]
)
def test_a_placement_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="models are placed on cpu, cuda"):
        Placement(**wrong)  # type: ignore[arg-type]


def test_a_placement_is_read_from_plain_values() -> None:
    assert Placement.from_dict({"dtype": "bfloat16"}) == Placement(dtype="bfloat16")
    with pytest.raises(ValueError, match="but no devise"):
        Placement.from_dict({"devise": "cuda"})


def test_the_memory_of_this_machine_is_found(tmp_path: Path) -> None:
    memory = device_memory(CPU, cgroups=tmp_path)
    assert memory.kind == "cpu"
    assert 0 < memory.free <= memory.total


@pytest.mark.parametrize("folder", [".", "memory"])
def test_the_limit_of_a_control_group_counts(tmp_path: Path, folder: str) -> None:
    names = {".": ("memory.max", "memory.current")}
    limit, used = names.get(folder, ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / limit).write_text("300000000\n")
    (tmp_path / folder / used).write_text("100000000\n")
    memory = device_memory(CPU, cgroups=tmp_path)
    assert (memory.total, memory.free) == (300_000_000, 200_000_000)


def test_a_control_group_without_limit_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    assert device_memory(CPU, cgroups=tmp_path).total > 300_000_000


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
