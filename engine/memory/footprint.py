"""How much memory a computation would take, found without taking any: traced on the meta device.

Meta tensors have shapes and no data. While a module runs on them, every new storage is counted
until it is released, as an allocator would see it.
"""

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

META = torch.device("meta")


def on_meta(build: Callable[[], nn.Module], dtype: torch.dtype) -> Any:
    """A module in evaluation mode that has parameters of a dtype but no data.

    Buffers keep their own precision, as `engine.loading.models` leaves them.
    """
    with META:
        module = build().eval()
    for parameter in module.parameters():
        parameter.data = parameter.data.to(dtype)
    return module


def peak_bytes(module: nn.Module, run: Callable[[], object]) -> int:
    """Most bytes alive at once while `run` computes with a module on the meta device.

    The module's own weights are not counted; attention is taken as fused (SDPA), so that its
    score matrices are not either.
    """
    own = {tensor.untyped_storage()._cdata for tensor in (*module.parameters(), *module.buffers())}
    counter = _LiveBytes(own)
    with torch.no_grad(), _FusedAttention(), counter:
        run()
    return counter.peak


def peak_of_training(module: nn.Module, run: Callable[[], object]) -> int:
    """`peak_bytes` of a forward pass that keeps what its gradient will need, to its end."""
    own = {tensor.untyped_storage()._cdata for tensor in (*module.parameters(), *module.buffers())}
    counter = _LiveBytes(own)
    with torch.enable_grad(), _FusedAttention(kept=True), counter:
        kept = run()
    del kept
    return counter.peak


def weight_bytes(module: nn.Module) -> int:
    """Bytes of a module's parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))


def count_parameters(module: nn.Module) -> int:
    """Numbers in a module's parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


class _LiveBytes(TorchDispatchMode):
    """Counts the storages that operations make, from their making to their release."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()
        self.peak = 0
        self._live = 0
        self._known = known

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device == META:
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self._live += size
        self.peak = max(self.peak, self._live)
        weakref.finalize(storage, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._live -= size


class _FusedAttention(TorchFunctionMode):
    """On the meta device attention would take its textbook form, with all scores in memory.

    Args:
        kept: for a gradient, which needs query, key, value and one more of their size.
    """

    def __init__(self, *, kept: bool = False) -> None:
        super().__init__()
        self._kept = kept

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is F.scaled_dot_product_attention:
            query, key, value = args[:3]
            if self._kept:
                return query * key * value
            return query.new_empty((*query.shape[:-1], value.shape[-1]))
        return func(*args, **(kwargs or {}))
