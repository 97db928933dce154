"""Good files of every kind, and the ways in which chance or malice spoils them."""

import functools
import json
import math
import re
import struct
from collections.abc import Callable

import hypothesis.strategies as st
import torch
from safetensors.torch import save

from tests.engine.gate_files import torch_file
from tests.engine.test_gate_valid import FLOATS, TEXTS, module, nested, normal, weights

# What an attacker writes where a number or a word of a header was.
NASTY = [
    b"-1", b"0", b"18446744073709551615", b"9223372036854775807", b"1e400", b"NaN", b"null",
    b"true", b"[]", b"{}", b'""', b'"F32"', b'"../../x"', b"[[[[[[[[", b'"\xff"', b'"__metadata__"',
    b"1099511627776", b'"BF16"', b"0.5",
]  # fmt: skip
_WORDS = re.compile(rb'"[^"]{0,40}"|-?\d+')

Edit = tuple[str, int, int, bytes]


@functools.cache
def texts() -> dict[str, bytes]:
    """Files that are checked without a sandbox."""
    return {name: text.encode() for name, text in TEXTS.items()}


@functools.cache
def safetensors() -> dict[str, bytes]:
    """Files whose values numpy checks in a sandbox."""
    files = weights()
    kept = ("mixed", "scalar", "zero-size", "bool", "int64")
    # More numbers than header, so that edits hit both.
    floats = {str(dtype)[6:]: {"w": normal(16, 30).to(dtype)} for dtype in FLOATS}
    every = {name: files[name] for name in kept} | floats
    return {f"{name}.safetensors": save(tensors) for name, tensors in every.items()}


@functools.cache
def torch_files() -> dict[str, bytes]:
    """Files that torch reads in a sandbox."""
    return {
        "nested.pth": torch_file(nested()[0]),
        "module.pt": torch_file(module()[0], zipped=False),
        "plain.bin": torch_file({"w": torch.ones(40), "b": torch.zeros(3).half()}),
    }


def edits() -> st.SearchStrategy[list[Edit]]:
    """One or two edits: how, where (taken modulo the length), how much, and with which bytes."""
    kinds = [
        "flip",
        "flip",
        "overwrite",
        "word",
        "word",
        "cut",
        "insert",
        "delete",
        "repeat",
        "splice",
    ]
    anywhere = st.integers(0, 2**31)
    nasty = st.one_of(st.binary(min_size=1, max_size=16), st.sampled_from(NASTY))
    edit = st.tuples(st.sampled_from(kinds), anywhere, anywhere, nasty)
    return st.lists(edit, min_size=1, max_size=2)


def mutated(data: bytes, other: bytes, changes: list[Edit]) -> bytes:
    """The file after these edits; `other` is a good file to splice from."""
    for kind, place, amount, nasty in changes:
        if data:
            # Hypothesis likes small numbers: spread over the file, they hit more than its start.
            spread = place * 2_654_435_761 % len(data)
            data = _EDITS[kind](data, spread, amount, nasty, other)
    return data


def _flip(data: bytes, place: int, amount: int, nasty: bytes, other: bytes) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << amount % 8]) + data[place + 1 :]


def _cut(data: bytes, place: int, amount: int, nasty: bytes, other: bytes) -> bytes:
    return data[:place]


def _insert(data: bytes, place: int, amount: int, nasty: bytes, other: bytes) -> bytes:
    return data[:place] + nasty + data[place:]


def _delete(data: bytes, place: int, amount: int, nasty: bytes, other: bytes) -> bytes:
    return data[:place] + data[place + 1 + amount % 64 :]


def _overwrite(data: bytes, place: int, amount: int, nasty: bytes, other: bytes) -> bytes:
    return data[:place] + nasty + data[place + len(nasty) :]


def _repeat(data: bytes, place: int, amount: int, nasty: bytes, other: bytes) -> bytes:
    return data[:place] + data[place : place + 64] * (amount % 2_000) + data[place:]


def _splice(data: bytes, place: int, amount: int, nasty: bytes, other: bytes) -> bytes:
    return data[:place] + other[amount % len(other) :]


def _word(data: bytes, place: int, amount: int, nasty: bytes, other: bytes) -> bytes:
    """Replace a number or a string; a safetensors header keeps its right length."""
    words = list(_WORDS.finditer(data[: 1 << 16]))
    if not words:
        return data
    word = words[amount % len(words)]
    changed = data[: word.start()] + nasty + data[word.end() :]
    if data[8:9] != b"{":
        return changed
    length = struct.unpack("<Q", data[:8])[0] + len(nasty) - len(word.group())
    return struct.pack("<Q", max(0, length)) + changed[8:]


_EDITS: dict[str, Callable[[bytes, int, int, bytes, bytes], bytes]] = {
    "flip": _flip, "cut": _cut, "insert": _insert, "delete": _delete, "overwrite": _overwrite,
    "repeat": _repeat, "splice": _splice, "word": _word,
}  # fmt: skip


def is_finite_json(data: bytes) -> bool:
    """Whether a text is JSON with finite numbers only, as Python's own reader sees it."""
    found: list[str] = []
    json.loads(data, parse_constant=found.append, parse_float=lambda text: found.append(text))
    return all(math.isfinite(float(text)) for text in found)
