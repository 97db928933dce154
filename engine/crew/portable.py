"""What goes from one process to another: tensors as bytes.

Torch would hand each over as an open file of shared memory, of which a process may have as few as a
thousand, and a row of a batch with all of its batch.
"""

from typing import Any

import numpy as np
import torch


def as_bytes(value: Any) -> Any:
    """A tensor as an array; anything else as it is."""
    return value.cpu().numpy() if isinstance(value, torch.Tensor) else value


def as_tensor(value: Any) -> Any:
    """The inverse."""
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


class Portable:
    """A dataclass that other processes may be sent; arrays among its fields arrive as tensors."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: as_bytes(value) for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({name: as_tensor(value) for name, value in state.items()})
