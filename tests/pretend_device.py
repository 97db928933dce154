"""A device that pretends to be an accelerator: real numbers, computed on the CPU, far away.

Its tensors say that they lie on `pretend:0`. Whatever CUDA refuses is refused here as well: tensors
of two devices in one operation, NumPy's view of what lies on a device. So a whole job, control flow
and all, shows without a GPU where it would mix devices. (PyTorch's own FakeTensorMode has no
numbers: a job cannot go on behind its first `if`. It is what the largest models are tried with.)
"""

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretend"
# What a model computes with: on a device it is never done in main memory.
WORK = ("convolution", "addmm", "mm", "bmm")
# These take tensors of the CPU beside those of a device, as they do on CUDA.
ACROSS = ("copy_", "_to_copy", "index", "index_put", "index_put_", "_index_put_impl_", "set_")


class Far(Tensor):
    """A tensor on the pretended device; `near` has its numbers."""

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> "Far":
        far: Far = torch.Tensor._make_wrapper_subclass(
            cls,
            near.size(),
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            device=torch.device(NAME, 0),
        )
        far.near = near
        return far

    def __init__(self, near: Tensor) -> None:
        """Made in `__new__`."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Far":
        copied = Far(self.near.detach().clone())
        if isinstance(self, torch.nn.Parameter):
            copied._is_param = True
        memo[id(self)] = copied.requires_grad_(self.requires_grad)
        return copied

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return compute(func, args, kwargs or {})


class PretendMode(TorchDispatchMode):
    """Makes what is asked for on the device, out of CPU tensors."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return compute(func, args, kwargs or {})


def compute(func: Any, args: Any, given: Mapping[str, Any]) -> Any:
    """One operation: on the CPU, with its result where it belongs.

    Raises:
        RuntimeError: tensors of two devices.
    """
    kwargs = dict(given)
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    is_far = any(isinstance(tensor, Far) for tensor in tensors)
    near = [t for t in tensors if not isinstance(t, Far) and t.dim() > 0]
    if is_far and near and func.overloadpacket.__name__ not in ACROSS:
        shapes = [f"{tuple(t.shape)} on {t.device}" for t in tensors]
        raise RuntimeError(f"two devices in {func}: {', '.join(shapes)}")
    # Tensors that only have shapes are planned with, not computed.
    real = all(type(t) in (Tensor, torch.nn.Parameter) and t.device.type == "cpu" for t in near)
    if near and real and not is_far and func.overloadpacket.__name__ in WORK:
        _left_behind.append("".join(traceback.format_stack(limit=8)[:-2]))
    asked = kwargs.get("device")
    if asked is not None:
        is_far = torch.device(asked).type == NAME
        kwargs["device"] = torch.device("cpu") if is_far else asked
    if func.overloadpacket.__name__ == "copy_":
        is_far = isinstance(args[0], Far)
    kwargs.pop("pin_memory", None)
    near_args, near_kwargs = tree_map_only(Far, lambda far: far.near, (args, kwargs))
    result = func(*near_args, **near_kwargs)
    if func.overloadpacket.__name__.endswith("_") and isinstance(args[0], Tensor):
        return args[0]
    return tree_map_only(Tensor, _far, result) if is_far else result


def _far(tensor: Tensor) -> Tensor:
    return tensor if isinstance(tensor, Far) else Far(tensor)


_left_behind: list[str] = []


def known_device() -> None:
    """Tell PyTorch of the device; for a process of its own, because it stays known."""
    _setup_privateuseone_for_python_backend(NAME)
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device=…) is made, then moved


@contextmanager
def pretend_device() -> Iterator[None]:
    """The device is there and computes, in this process.

    Raises:
        AssertionError: a model computed in main memory meanwhile.
    """
    known_device()
    _left_behind.clear()
    with PretendMode():
        yield
    found = f"{len(_left_behind)} products were not computed on the device, the first here:\n"
    assert not _left_behind, found + _left_behind[0]
