"""Every draw comes from `generator(seed, purpose, …)`: what a row is decides it, not when."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


def _root(seed: int, path: Sequence[object]) -> int:
    text = "/".join([str(seed), *map(str, path)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *path: object) -> torch.Generator:
    """A CPU generator determined by the seed and a path of words and numbers (design.md §5)."""
    return torch.Generator().manual_seed(_root(seed, path))


def numpy_generator(seed: int, *path: object) -> np.random.Generator:
    """The numpy twin of `generator`."""
    return np.random.default_rng(_root(seed, path))


def member_seed(seed: int, member: int) -> int:
    """The seed of a further episode from the same start; the first, member 0, keeps the seed."""
    if member == 0:
        return seed
    return int(numpy_generator(seed, "member", member).integers(2**31))


def row_generators(
    seed: int, *path: object, rows: Sequence[tuple[object, ...]]
) -> list[torch.Generator]:
    """One generator a row, keyed by what the row is (start id, member), never by its position."""
    return [generator(seed, *path, *row) for row in rows]


def randn(shape: Sequence[int], generators: Sequence[torch.Generator]) -> Tensor:
    """Normal noise of shape (len(generators), *shape): each row depends on its generator alone."""
    return torch.stack([torch.randn(*shape, generator=g) for g in generators])


def rand(shape: Sequence[int], generators: Sequence[torch.Generator]) -> Tensor:
    """Uniform noise in [0, 1) of shape (len(generators), *shape), one generator a row."""
    return torch.stack([torch.rand(*shape, generator=g) for g in generators])


@contextmanager
def initialisation(seed: int, *path: object) -> Iterator[None]:
    """Modules built inside draw their first weights from the seed; nothing outside is touched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_root(seed, path))
        yield
