"""One compared quantity, and how its error is measured (the vectors' README)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

NETWORK = 1e-4
EXACT = 0.0


@dataclass(frozen=True)
class Item:
    """`error` is max|ours - reference| / max(1, max|reference|) unless the check says otherwise."""

    name: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; NaN never is."""
        return self.error <= self.tolerance


def compare(name: str, ours: Tensor, reference: Tensor, tolerance: float = NETWORK) -> Item:
    """Compare two tensors of one shape; other shapes are an infinite error."""
    if ours.shape != reference.shape:
        return Item(f"{name} {list(ours.shape)}≠{list(reference.shape)}", float("inf"), tolerance)
    if ours.numel() == 0:
        return Item(name, 0.0, tolerance)
    ours, reference = ours.detach().double(), reference.double()
    error = (ours - reference).abs().max() / reference.abs().max().clamp(min=1.0)
    return Item(name, error.item(), tolerance)


def load_vectors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(scalars of the .json, tensors of the .safetensors beside it)."""
    scalars: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return scalars, load_file(path.with_suffix(".safetensors"))


def weights_of(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors named `weight.*`, without that prefix."""
    return {
        name.removeprefix("weight."): tensor
        for name, tensor in tensors.items()
        if name.startswith("weight.")
    }


def deterministic() -> None:
    """One thread and deterministic kernels, as the errors were measured."""
    torch.set_num_threads(1)
